/**
 * What an AuthZEN answer means here.
 *
 *     { "decision": true }                                                             allow
 *     { "decision": false, "context": { "reason_user": { "en": "over the limit" } } }  deny, with that reason
 *     { "decision": false, "context": { "countersign": { "effect": "require_approval", "reason_code": "REFUND_OVER_LIMIT" } } }
 *                                                                                      ask a human
 *
 * `countersign` is what another Countersign adds: `effect`, here also `deny`, `reason_code`, and `approval_id`, the id of an
 * approval that is pending *there*, which gives no right here and is not read.
 *
 * `context` may hold obligations. Those we cannot honour, so an answer that would let a call run (at once or after an approval)
 * must hold no key but the three that only inform. AuthZEN 1.0, section 5.5, leaves that rejection to the enforcement point.
 */
import type { PolicyVerdict } from '@countersign/core';
import { createRedactor, REASON_CODES } from '@countersign/core';
import * as z from 'zod';
import { Unusable } from '../http/post.ts';

/** Members we do not know beside `decision` and `context` are ignored, as section 10.1.1 demands. */
const ANSWER = z.object({
  decision: z.boolean(),
  context: z.custom<Readonly<Record<string, unknown>>>(isObject).optional(),
});
const ASK = z.strictObject({
  effect: z.literal('require_approval'),
  reason_code: z.string().refine(isOwnReasonCode).optional(),
  approval_id: z.string().optional(),
});

/** What a decision keeps of a reason; cut here, so that the cut shows and splits no character. */
export const MAX_REASON_CHARS = 500;

const INFORMATIONAL: ReadonlySet<string> = new Set(['id', 'reason_admin', 'reason_user']);
const REASON_CODE = /^[A-Z][A-Z0-9_]{2,63}$/;
/** Codes with which the engine states facts of its own (`APPROVAL_GRANTED` ...): not for a decision point to claim. */
const ENGINE_CODES: ReadonlySet<string> = new Set(REASON_CODES.filter((code) => !code.startsWith('POLICY_')));

/** Reads an answer, all of it from the decision point. `token`, and what looks like a secret, is kept out of the reason. Throws `Unusable`. */
export function readVerdict(answer: unknown, token?: string): PolicyVerdict {
  const parsed = ANSWER.safeParse(answer);
  if (!parsed.success) throw new Unusable('answered without a boolean decision, or with a context that is no object');
  const { decision, context = {} } = parsed.data;
  if (decision) {
    requireInformational(Object.keys(context));
    return { effect: 'allow', reasonCode: 'POLICY_ALLOW_LOW_RISK' };
  }
  const reason = userReason(context, token);
  if (!Object.hasOwn(context, 'countersign') || saysDeny(context['countersign'])) {
    return { effect: 'deny', reasonCode: 'POLICY_DENY_HIGH_RISK', reason: reason ?? 'denied by the decision point' };
  }
  requireInformational(Object.keys(context).filter((key) => key !== 'countersign'));
  const reasonCode = askReasonCode(context['countersign']);
  return { effect: 'require_approval', reasonCode, ...(reason === undefined ? {} : { reason }) };
}

function saysDeny(value: unknown): boolean {
  return isObject(value) && Object.hasOwn(value, 'effect') && value['effect'] === 'deny';
}

function requireInformational(keys: readonly string[]): void {
  if (!keys.every((key) => INFORMATIONAL.has(key))) throw new Unusable('attached a context that cannot be honoured');
}

function askReasonCode(value: unknown): string {
  const ask = ASK.safeParse(value);
  // Strict: terms we do not know (approvers, a shorter time) would be dropped, and the human asked is not the one that was meant.
  if (!ask.success || (isObject(value) && Object.hasOwn(value, '__proto__')))
    throw new Unusable('attached a countersign object that cannot be honoured');
  return ask.data.reason_code ?? 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE';
}

function isOwnReasonCode(code: string): boolean {
  return REASON_CODE.test(code) && !ENGINE_CODES.has(code);
}

/** `reason_user` is a text or a map from language or status to text. `reason_admin` must not reach the user and is not read. */
function userReason(context: Readonly<Record<string, unknown>>, token: string | undefined): string | undefined {
  const value = Object.hasOwn(context, 'reason_user') ? context['reason_user'] : undefined;
  const text = isObject(value) ? Object.values(value).find((entry) => typeof entry === 'string') : value;
  return typeof text === 'string' ? plainText(text, token) : undefined;
}

const REDACTOR = createRedactor();

/** One redacted line of visible text: no control, format or unassigned characters, no lone surrogates, at most `MAX_REASON_CHARS`. */
function plainText(text: string, token: string | undefined): string | undefined {
  const safe = token === undefined ? text : text.replaceAll(token, '[redacted:token]');
  const line = REDACTOR.text(safe.replace(/[\p{C}\p{Z}]+/gu, ' ').trim());
  if (line.length <= MAX_REASON_CHARS) return line === '' ? undefined : line;
  return `${line.slice(0, MAX_REASON_CHARS - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
