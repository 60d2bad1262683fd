/** What the client is told in place of the server. One line of JSON each. */
import type { Pending, Refusal } from '@countersign/core';
import { refusalText } from '@countersign/core';
import type { CallMessage, InvalidMessage } from './client-message.ts';
import type { Unavailable } from './guard-source.ts';
import { RPC_ERRORS } from './message.ts';

/** Why a call does not run. `note`: more about how it may be answered. */
export type Unrun = Refusal | (Pending & { readonly note?: string }) | Unavailable;

/**
 * Answers a call that does not run. The words are for the model, `_meta` is for programs.
 *
 * @param answerAt - where a person answers an approval, when there is such a page.
 */
export function callAnswer(call: CallMessage, verdict: Unrun, answerAt?: (approvalId: string) => string): Buffer {
  const url = verdict.kind === 'pending' ? answerAt?.(verdict.approvalId) : undefined;
  const text = verdictText(call, verdict, url);
  const meta = { ...verdictMeta(verdict), ...(url !== undefined && { 'countersign/approvalUrl': url }) };
  if (call.task) return errorAnswer(call.idJson, RPC_ERRORS.CALL_REFUSED, text, meta);
  const result = { content: [{ type: 'text', text }], isError: true, ...(call.stateless ? { resultType: 'complete' } : {}), _meta: meta };
  return line(call.idJson, `"result":${JSON.stringify(result)}`);
}

/** Answers a message that was refused unread; `undefined` for one that expects no answer. */
export function invalidAnswer({ idJson, rpcCode, text, code }: InvalidMessage): Buffer | undefined {
  if (idJson === undefined) return undefined;
  return errorAnswer(idJson, rpcCode, `message refused: ${text}`, {
    'countersign/reasonCode': 'MESSAGE_INVALID',
    'countersign/problem': code,
  });
}

/** @param idJson - the id as JSON, so that it goes back byte for byte. */
export function errorAnswer(idJson: string, code: number, message: string, data?: Readonly<Record<string, string>>): Buffer {
  return line(idJson, `"error":${JSON.stringify({ code, message, ...(data === undefined ? {} : { data }) })}`);
}

function line(idJson: string, body: string): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","id":${idJson},${body}}\n`);
}

function verdictText(call: CallMessage, verdict: Unrun, url: string | undefined): string {
  if (verdict.kind === 'refusal') return refusalText(verdict);
  if (verdict.kind === 'unavailable') return `call refused: ${verdict.text} [${verdict.reasonCode}]`;
  const { approvalId, expiresAtMs, decision, note } = verdict;
  const why = decision.reason === undefined ? '' : ` (${decision.reason})`;
  return (
    `call of ${JSON.stringify(call.tool)} has not run: it waits for approval ${approvalId}${why}. ` +
    `A person can approve it ${url === undefined ? '' : `at ${url} or `}with: countersign approvals approve ${approvalId}. ` +
    `After that, repeat exactly the same call and it runs once. The approval expires at ${new Date(expiresAtMs).toISOString()}.` +
    (note === undefined ? '' : ` ${note}`)
  );
}

function verdictMeta(verdict: Unrun): Readonly<Record<string, string>> {
  if (verdict.kind === 'unavailable') return { 'countersign/reasonCode': verdict.reasonCode };
  const meta = { 'countersign/reasonCode': verdict.decision.reasonCode, 'countersign/callId': verdict.callId };
  if (verdict.kind === 'refusal') return meta;
  return { ...meta, 'countersign/approvalId': verdict.approvalId, 'countersign/expiresAt': new Date(verdict.expiresAtMs).toISOString() };
}
