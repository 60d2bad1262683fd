/** What a policy says of a result, whoever wrote it: whatever it throws or returns becomes a verdict of known shape. */

import type { ResultVerdict } from '../call.ts';
import { RESULT_ACTIONS, type ResultAction } from '../call.ts';
import type { Policy, ResultInput } from './policy.ts';
import { MAX_MESSAGE_CHARS, MAX_TRUNCATED_CHARS } from './result-rule.ts';
import { inTime, isAbsentOr, isLabels, isName, isText, LATE } from './verdict.ts';

/** Never rejects: a failure withholds. */
export async function evaluateResult(policy: Policy, input: ResultInput): Promise<ResultVerdict> {
  try {
    const verdict: unknown = policy.evaluateResult === undefined ? RELEASED : await inTime(Promise.resolve(policy.evaluateResult(input)));
    return verdict === LATE ? FAILED : (readVerdict(verdict) ?? FAILED);
  } catch {
    return FAILED;
  }
}

const RELEASED: ResultVerdict = { action: 'release' };
const FAILED: ResultVerdict = { action: 'withhold', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' };

/** A clean copy: getters and extra members of a foreign object are read once and left behind. */
function readVerdict(verdict: unknown): ResultVerdict | undefined {
  if (typeof verdict !== 'object' || verdict === null) return undefined;
  const { action, rule, reasonCode, maxChars, masks, message, labels, always }: Readonly<Record<string, unknown>> = { ...verdict };
  if (!isAction(action)) return undefined;
  if (!isAbsentOr(rule, isName) || !isAbsentOr(reasonCode, isName) || !isAbsentOr(labels, isLabels)) return undefined;
  if (!isAbsentOr(message, isText) || !isAbsentOr(masks, isBoolean) || !isAbsentOr(always, isBoolean)) return undefined;
  // A cut of no known length is none.
  if (action === 'truncate' ? !isLength(maxChars) : maxChars !== undefined) return undefined;
  return {
    action,
    ...(rule !== undefined && { rule }),
    ...(reasonCode !== undefined && { reasonCode }),
    ...(isLength(maxChars) && { maxChars }),
    ...(masks === true && action === 'truncate' && { masks }),
    ...(message !== undefined && { message: message.slice(0, MAX_MESSAGE_CHARS).toWellFormed() }),
    ...(labels !== undefined && { labels: [...labels] }),
    ...(always === true && action === 'withhold' && { always }),
  };
}

function isAction(value: unknown): value is ResultAction {
  return RESULT_ACTIONS.some((action) => action === value);
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isLength(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_TRUNCATED_CHARS;
}
