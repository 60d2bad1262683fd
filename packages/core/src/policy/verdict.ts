/**
 * Evaluating a policy that may be anybody's code: whatever it throws or returns becomes a verdict of known shape.
 */
import { type ApprovalTerms, ASSURANCES, type Assurance, MAX_REASON_CHARS } from '../call.ts';
import type { Policy, PolicyInput, PolicyVerdict } from './policy.ts';

/** How long an asynchronous policy may take. */
export const MAX_POLICY_MS = 10_000;
const MAX_VERDICT_LABELS = 64;
const MAX_NAME_CHARS = 128;
const MAX_APPROVERS = 64;

/**
 * Evaluates a policy. Never throws and never rejects: a failure is a deny with `POLICY_EVALUATION_FAILED`.
 *
 * The reason of a failure names the policy and never repeats the error's text, which may quote arguments.
 */
export function evaluatePolicy(policy: Policy, input: PolicyInput): PolicyVerdict | Promise<PolicyVerdict> {
  try {
    const verdict: unknown = policy.evaluate(input);
    if (!isThenable(verdict)) return checked(policy, verdict);
    return inTime(verdict).then(
      (settled) => (settled === LATE ? failedVerdict(policy, `gave no answer within ${MAX_POLICY_MS / 1000} s`) : checked(policy, settled)),
      () => failedVerdict(policy, 'threw an error'),
    );
  } catch {
    return failedVerdict(policy, 'threw an error');
  }
}

export const LATE: unique symbol = Symbol('late');

/** A policy that never answers is a deny, not a hang. */
export async function inTime(verdict: PromiseLike<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((done) => {
    timer = setTimeout(done, MAX_POLICY_MS, LATE);
  });
  try {
    return await Promise.race([verdict, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The verdict of a policy that could not be evaluated. */
export function failedVerdict(policy: Pick<Policy, 'id'>, why: string): Extract<PolicyVerdict, { readonly effect: 'deny' }> {
  const reason = boundReason(`policy "${String(policy.id)}" ${why}`);
  return { effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED', reason };
}

/** At most `MAX_REASON_CHARS`, never ending inside a character. */
export function boundReason(reason: string): string {
  const text = reason.toWellFormed();
  if (text.length <= MAX_REASON_CHARS) return text;
  const cut = text.slice(0, MAX_REASON_CHARS - 3);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}...`;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function checked(policy: Policy, verdict: unknown): PolicyVerdict {
  try {
    // A clean copy: getters and extra members of a foreign object are read once and left behind.
    return readVerdict(verdict) ?? failedVerdict(policy, 'gave something that is not a verdict');
  } catch {
    return failedVerdict(policy, 'gave something that is not a verdict');
  }
}

/** A clean copy; undefined for what is no verdict. */
export function readVerdict(verdict: unknown): PolicyVerdict | undefined {
  if (typeof verdict !== 'object' || verdict === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...verdict };
  const { effect, rule, reasonCode, reason, labels, always, terms, asks } = fields;
  if (!isAbsentOr(reason, isText) || !isAbsentOr(labels, isLabels)) return undefined;
  // Members are added where they are there: each call has two verdicts, and spreading each `undefined` away is slow.
  const read: Ruled = {};
  if (reason !== undefined) read.reason = boundReason(reason);
  if (labels !== undefined) read.labels = [...labels];
  if (effect === 'abstain') return { effect, ...read };
  if (!isAbsentOr(rule, isName) || !isAbsentOr(reasonCode, isName)) return undefined;
  if (rule !== undefined) read.rule = rule;
  if (reasonCode !== undefined) read.reasonCode = reasonCode;
  if (effect === 'allow') return { effect, ...read };
  if (effect === 'deny') {
    if (always !== undefined && typeof always !== 'boolean') return undefined;
    return always === true ? { effect, ...read, always } : { effect, ...read };
  }
  if (effect !== 'require_approval') return undefined;
  if (!isAbsentOr(asks, isPositive)) return undefined;
  const count = asks === undefined ? {} : { asks };
  if (terms === undefined) return { effect, ...read, ...count };
  const asked = readTerms(terms);
  return asked === undefined ? undefined : { effect, ...read, terms: asked, ...count };
}

interface Ruled {
  rule?: string;
  reasonCode?: string;
  reason?: string;
  labels?: readonly string[];
}

function readTerms(terms: unknown): Partial<ApprovalTerms> | undefined {
  if (typeof terms !== 'object' || terms === null) return undefined;
  const { ttlMs, quorum, approvers, assurance }: Readonly<Record<string, unknown>> = { ...terms };
  if (!isAbsentOr(ttlMs, isPositive) || !isAbsentOr(quorum, isPositive) || !isAbsentOr(approvers, isApprovers)) return undefined;
  if (!isAbsentOr(assurance, isAssurance)) return undefined;
  return {
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(quorum === undefined ? {} : { quorum }),
    ...(approvers === undefined ? {} : { approvers: [...approvers] }),
    ...(assurance === undefined ? {} : { assurance }),
  };
}

export function isAbsentOr<T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || is(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_CHARS && value.isWellFormed();
}

function isPositive(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

export function isLabels(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= MAX_VERDICT_LABELS && value.every(isName);
}

function isAssurance(value: unknown): value is Assurance {
  return ASSURANCES.some((assurance) => assurance === value);
}

function isApprovers(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length >= 1 && value.length <= MAX_APPROVERS && value.every(isName);
}
