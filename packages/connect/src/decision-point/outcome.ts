/**
 * `POST /countersign/v1/permits/{call}/outcome`: what became of a permitted call, told once by the client that has the permit.
 *
 *     { "permit_token": "...", "status": "success", "result": { ... } }
 *     { "permit_token": "...", "status": "error", "error": { "type": "ValueError", "message": "no such account" } }
 *
 * The answer has what the model may see, after redaction and rules on results: `{ "kind": "settled", "call": "01...", "result":
 * { ... } }`, `"error": { "message": "..." }`, or `"replaced": { "action": "withhold", "text": "..." }`: that text and nothing else.
 */
import { CountersignError, type Outcome, type Permit } from '@countersign/core';
import * as z from 'zod';
import { jsonResponse } from '../http/inbound.ts';
import type { Client } from './clients.ts';
import { refuse } from './codes.ts';
import { jsonBody, shaped } from './json-body.ts';
import type { OpenPermits } from './open-permits.ts';

const MAX_MESSAGE_CHARS = 65_536;

const common = { permit_token: z.string().min(1).max(256) };
/** No `refund`: who is charged does not say what is given back. */
const outcomeBody = z.discriminatedUnion('status', [
  z.strictObject({ ...common, status: z.literal('success'), result: z.unknown().optional() }),
  z.strictObject({
    ...common,
    status: z.literal('error'),
    error: z.strictObject({ type: z.string().max(256).optional(), message: z.string().max(MAX_MESSAGE_CHARS).optional() }).optional(),
  }),
  z.strictObject({ ...common, status: z.literal('cancelled') }),
]);
type OutcomeBody = z.infer<typeof outcomeBody>;

/** @param call - from the path. */
export async function outcome(request: Request, call: string, client: Client, open: OpenPermits): Promise<Response> {
  const body = await jsonBody(request);
  if (body instanceof Response) return body;
  const parsed = shaped(body.value, outcomeBody);
  if (parsed instanceof Response) return parsed;
  const permit = open.take(client.agent, call, parsed.permit_token);
  if (permit === undefined) return refuse('PERMIT_NOT_FOUND');
  if (permit === 'settled') return refuse('PERMIT_ALREADY_SETTLED');
  const shown = await settled(permit, parsed);
  return shown === undefined ? refuse('OUTCOME_NOT_RECORDED') : jsonResponse(200, { kind: 'settled', call, ...shown });
}

/** Records it, and gives what the model may see; undefined when the ledger could not take it. */
async function settled(permit: Permit, body: OutcomeBody): Promise<object | undefined> {
  const outcome = outcomeOf(body);
  if (body.status === 'cancelled' || !permit.holdsResult) {
    if (!(await isSettled(permit, outcome))) return undefined;
    return seen(body, body.status === 'success' ? permit.mask(body.result) : permit.mask(messageOf(outcome.error)));
  }
  const released = await permit.release(outcome, { durable: true });
  if (released.kind === 'shown') return seen(body, released.value);
  return released.isRecorded === false ? undefined : { replaced: { action: released.action, text: released.text } };
}

async function isSettled(permit: Permit, outcome: Outcome): Promise<boolean> {
  try {
    await permit.settle(outcome, { durable: 'or-throw' });
    return true;
  } catch (error) {
    // The guard has told its operator why.
    if (CountersignError.is(error) && error.code === 'LEDGER_WRITE_FAILED') return false;
    throw error;
  }
}

function seen(body: OutcomeBody, value: unknown): object {
  switch (body.status) {
    case 'success':
      return 'result' in body ? { result: value } : {};
    case 'error':
      return { error: { message: messageOf(value) } };
    case 'cancelled':
      return {};
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function outcomeOf(body: OutcomeBody): Outcome {
  switch (body.status) {
    case 'success':
      return { status: 'success', ...('result' in body && { result: body.result }) };
    case 'error':
      return { status: 'error', error: reportedError(body.error ?? {}) };
    case 'cancelled':
      return { status: 'cancelled' };
  }
}

/** As if it had been thrown here: its class name is recorded, its message kept redacted. */
function reportedError({
  type = 'Error',
  message = '',
}: {
  readonly type?: string | undefined;
  readonly message?: string | undefined;
}): Error {
  class Reported extends Error {}
  Object.defineProperty(Reported, 'name', { value: type });
  const error = new Reported(message);
  error.name = type;
  return error;
}
