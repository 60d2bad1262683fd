/** How the decision point says no to a request, before and apart from any decision. Pinned by a test and `docs/formats/decision-point.md`. */
import { refusal } from '../http/inbound.ts';

export const SERVE_CODES = {
  HOST_REFUSED: [421, 'this decision point is not reached under that name'],
  BROWSER_REFUSED: [403, 'no browser may ask here'],
  UNAUTHENTICATED: [401, 'a bearer token of a configured client is needed'],
  AGENT_REFUSED: [403, 'the subject is another agent than the one that asks'],
  SESSION_REFUSED: [403, 'this client may not use that session'],
  NOT_FOUND: [404, 'there is nothing here'],
  METHOD_NOT_ALLOWED: [405, 'this method is not taken here'],
  CONTENT_TYPE_UNSUPPORTED: [415, 'the content type must be application/json'],
  BODY_TOO_LARGE: [413, 'the body is too large'],
  BODY_INVALID: [400, 'the body is no JSON that everybody reads alike'],
  REQUEST_INVALID: [400, 'the request does not have its shape'],
  EVALUATIONS_TOO_MANY: [400, 'too many evaluations in one request'],
  PERMIT_NOT_FOUND: [404, 'no open permit of this client has that call and token'],
  PERMIT_ALREADY_SETTLED: [409, 'the outcome of this call was taken before'],
  PERMITS_TOO_MANY: [429, 'too many permits of this client have no outcome yet'],
  OUTCOME_NOT_RECORDED: [
    503,
    'the ledger could not take the outcome: the call ran, its decision stands open; nothing of its result may be shown',
  ],
  SHUTTING_DOWN: [503, 'the decision point is being shut down'],
  INTERNAL_ERROR: [500, 'the decision point failed; nothing was permitted'],
} as const;

export type ServeCode = keyof typeof SERVE_CODES;

/** @param message - of ours alone, in place of the usual one. */
export function refuse(code: ServeCode, message?: string, headers: Readonly<Record<string, string>> = {}): Response {
  const [status, usual] = SERVE_CODES[code];
  return refusal(status, code, message ?? usual, headers);
}
