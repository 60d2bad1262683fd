/** What the client gets of a server's answer to a call, where a rule on results may act on it. */
import type { Outcome, Permit } from '@countersign/core';
import { isObject, member, RPC_ERRORS } from './message.ts';
import type { ServerResponse } from './server-message.ts';

/** Records the outcome. The very same response when nothing of it was changed. Never rejects: what cannot be released is withheld. */
export async function releasedResponse(permit: Permit, response: ServerResponse): Promise<ServerResponse> {
  try {
    const outcome = outcomeOf(response);
    const given = outcome.error ?? outcome.result;
    const released = await permit.release(outcome);
    if (released.kind === 'replaced') return inPlaceOf(response, released.text, released.action === 'withhold');
    if (released.value === given) return response;
    return response.error === undefined ? { ...response, result: released.value } : { ...response, error: released.value };
  } catch {
    return inPlaceOf(response, '[result withheld: it could not be released; see the log of the proxy]', true);
  }
}

export function outcomeOf({ result, error }: ServerResponse): Outcome {
  if (error !== undefined) return { status: 'error', error };
  const failed = typeof result === 'object' && result !== null && 'isError' in result && result.isError === true;
  return failed ? { status: 'error', error: result } : { status: 'success', result };
}

/** Everything of the answer goes: other content blocks, `structuredContent`, `_meta`. */
function inPlaceOf(response: ServerResponse, text: string, isWithheld: boolean): ServerResponse {
  const { error, result } = response;
  if (error !== undefined) {
    const code = isObject(error) ? member(error, 'code') : undefined;
    return { ...response, error: { code: Number.isSafeInteger(code) ? code : RPC_ERRORS.CALL_REFUSED, message: text } };
  }
  const before = isObject(result) ? result : {};
  // A tool with an output schema owes structured content; without it only an error passes the client's check.
  const isError = isWithheld || member(before, 'isError') === true || Object.hasOwn(before, 'structuredContent');
  const type = member(before, 'resultType');
  const told = { content: [{ type: 'text', text }], ...(isError && { isError }), ...(typeof type === 'string' && { resultType: type }) };
  return { ...response, result: told };
}
