/**
 * Between a tool and the model: what rules on results say of what came back, and what is left of it.
 *
 * Rules see the redacted view. What they cannot look at (a getter, a proxy, something too large) they cannot judge, and a rule
 * that cannot be judged withholds. In audit mode results go through as they are, labels are attached all the same, and what
 * policy said is recorded.
 */
import type { Mode, ReasonCode, Released, ResultAction, ResultVerdict } from '../call.ts';
import { RESULT_ACTIONS } from '../call.ts';
import { cleanText } from '../detect/clean.ts';
import type { ReleasedResult } from '../ledger/entry.ts';
import { union } from '../ledger/label-index.ts';
import type { Policy, PolicyInput, SessionFacts } from '../policy/policy.ts';
import { mergeResultVerdicts } from '../policy/result-rule.ts';
import { evaluateResult } from '../policy/result-verdict.ts';
import { maskResult, tryMask } from '../redact/mask.ts';
import type { Redactor } from '../redact/redact.ts';
import { type Given, ReadFacts } from './facts.ts';
import { readResult } from './read.ts';
import { asText, charsWithin, cutText, textsOf } from './texts.ts';
import { cutNotice, withheldText } from './words.ts';

export interface ResultDeps {
  readonly mode: Mode;
  readonly redactor: Redactor;
  readonly masksResults: boolean;
  readonly store: { session(id: string): Promise<SessionFacts>; nowMs(): number };
  /** Tells `onError`; never throws. */
  report(error: unknown, context: { readonly callId?: string; readonly during: string }): void;
}

export interface JudgedResult {
  readonly released: Released;
  /** For the outcome; absent when no rule matched. */
  readonly record: ReleasedResult | undefined;
  readonly labels: readonly string[];
  /** A label or a change: the model must not see the result before this is on record. */
  readonly acted: boolean;
}

/** Asks the rules. Never rejects. @param input - what the call was decided on. @param also - what the adapter says beside them. */
export async function judgeResult(
  given: Given,
  policy: Policy,
  input: PolicyInput,
  deps: ResultDeps,
  also: readonly ResultVerdict[] = [],
): Promise<JudgedResult> {
  const facts = new ReadFacts(given, deps.redactor);
  let said: ResultVerdict;
  try {
    // Other calls may have labelled the session since the decision. What it was made on follows from entries, and labels stay.
    const now = await deps.store.session(input.session.id);
    const session = { ...now, labels: union(now.labels, input.session.labels) };
    const ruled = await evaluateResult(policy, { ...input, session, atMs: deps.store.nowMs(), result: facts });
    said = withoutSecrets(also.length === 0 ? ruled : mergeResultVerdicts([ruled, ...also]), deps.redactor);
  } catch (error) {
    deps.report(error, { during: 'rules on results' });
    said = FAILED;
  }
  const labels = said.labels ?? [];
  const least: ResultAction = labels.length > 0 ? 'label' : 'release';
  const verdict: ResultVerdict = said.action === 'release' ? { ...said, action: least } : said;
  const isLetThrough = deps.mode === 'audit' && verdict.always !== true;
  const done = applied(isLetThrough ? { ...verdict, action: least } : verdict, given, facts, deps);
  // A mask that found nothing and a cut of what is short enough did nothing.
  const action = done.action === 'release' ? least : done.action;
  const record = done.isIdle === true ? recordOf({ ...verdict, action: least }, { action }) : recordOf(verdict, { ...done, action });
  return { released: done.released, record, labels, acted: action !== 'release' };
}

const FAILED: ResultVerdict = { action: 'withhold', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' };

/** What is shown where no rule looks at results. */
export function unjudged(value: unknown, isError: boolean, deps: Pick<ResultDeps, 'masksResults' | 'redactor'>): Released {
  const mask = <T>(beside: T): T => (deps.masksResults ? maskResult(beside, deps.redactor) : beside);
  return { kind: 'shown', value: isError ? value : mask(value), mask };
}

/** The result in place of which the model reads why it is not there: what became of the call could not be recorded. */
export function unrecorded(verdict: ReleasedResult | undefined): Released {
  const rule = verdict?.rule === undefined ? {} : { rule: verdict.rule };
  return {
    kind: 'replaced',
    action: 'withhold',
    text: withheldText({ action: 'withhold', ...rule, reasonCode: 'LEDGER_WRITE_FAILED_OUTCOME' }),
    isRecorded: false,
  };
}

interface Applied {
  readonly released: Released;
  readonly action: ResultAction;
  readonly reasonCode?: ReasonCode;
  /** The rule matched, and there was nothing to do. */
  readonly isIdle?: boolean;
}

function applied(verdict: ResultVerdict, given: Given, facts: ReadFacts, deps: ResultDeps): Applied {
  switch (verdict.action) {
    case 'release':
    case 'label':
      return { released: unjudged(given.value, given.isError, deps), action: verdict.action };
    case 'mask':
      return masked(verdict, given, facts, deps);
    case 'truncate':
      return truncated(verdict, given, facts, deps);
    case 'withhold':
      return withheld(verdict);
  }
}

function withheld(verdict: ResultVerdict): Applied {
  return { released: { kind: 'replaced', action: 'withhold', text: withheldText(verdict) }, action: 'withhold' };
}

function unreadable({ rule }: ResultVerdict): Applied {
  const reasonCode = 'REDACTION_FAILED';
  return { ...withheld({ action: 'withhold', ...(rule !== undefined && { rule }), reasonCode }), reasonCode };
}

function masked(verdict: ResultVerdict, given: Given, facts: ReadFacts, deps: ResultDeps): Applied {
  const mask = <T>(value: T): T | undefined => maskedFully(value, deps.redactor);
  try {
    // The model is told the text of an error, never the object.
    const told: unknown = given.isError ? facts.plain : given.value;
    const value = mask(told);
    if (value === undefined && told !== undefined) return unreadable(verdict);
    const isIdle = value === told;
    // What comes beside the result is not for the model; where it cannot be masked it goes.
    const released = { kind: 'shown', value: isIdle ? given.value : value, mask: <T>(beside: T) => mask(beside) as T } as const;
    return isIdle ? { released, action: 'release', isIdle } : { released, action: 'mask' };
  } catch {
    return unreadable(verdict);
  }
}

/** Undefined when a secret or a hidden character may be left. The very same value when there was none. */
function maskedFully<T>(value: T, redactor: Redactor): T | undefined {
  try {
    const tried = tryMask(value, redactor, cleanText);
    if (tried === undefined) return undefined;
    // Instances of classes were passed on: they must have nothing in them.
    if (tried.others && !isClean(tried.value, redactor)) return undefined;
    // A masked value has the shape of the value, with texts in place of what was taken out.
    return tried.value as T;
  } catch {
    return undefined;
  }
}

function isClean(value: unknown, redactor: Redactor): boolean {
  const plain = readResult(value);
  const texts = textsOf(plain, true);
  return redactor.redact(plain).findings.length === 0 && cleanText(texts) === texts;
}

function truncated(verdict: ResultVerdict, given: Given, facts: ReadFacts, deps: ResultDeps): Applied {
  const { maxChars = 0, maxBytes, masks = false } = verdict;
  try {
    const whole = asText(facts.plain);
    if (whole.length <= maxChars && maxBytes === undefined) {
      if (masks) return masked({ action: 'mask' }, given, facts, deps);
      return { released: unjudged(given.value, given.isError, deps), action: 'release', isIdle: true };
    }
    // Before the cut: half a secret is no secret to the redactor.
    const redacted = masks || deps.masksResults ? deps.redactor.text(whole.toWellFormed()) : whole;
    const text = masks ? cleanText(redacted) : redacted;
    const cut = cutText(text, maxBytes === undefined ? maxChars : Math.min(maxChars, charsWithin(text, maxBytes)));
    const isNoted = cut.length < text.length || maxBytes !== undefined;
    const told = isNoted ? cut + cutNotice(text.length - cut.length, text.length, verdict) : text;
    return { released: { kind: 'replaced', action: 'truncate', text: told }, action: 'truncate' };
  } catch {
    return unreadable(verdict);
  }
}

function recordOf(said: ResultVerdict, done: Pick<Applied, 'action' | 'reasonCode'>): ReleasedResult | undefined {
  if (said.action === 'release') return undefined;
  const code = done.reasonCode ?? said.reasonCode;
  return {
    action: done.action,
    ...(RESULT_ACTIONS.indexOf(said.action) > RESULT_ACTIONS.indexOf(done.action) && { would: said.action }),
    ...(said.rule !== undefined && { rule: said.rule }),
    ...(code !== undefined && { reason_code: code }),
  };
}

/** A policy function sees everything, and what it names stands in the entry, where nothing can erase it. */
function withoutSecrets(verdict: ResultVerdict, redactor: Pick<Redactor, 'text'>): ResultVerdict {
  const { rule, reasonCode, labels = [], message } = verdict;
  const isClean = [rule, reasonCode, ...labels].every((name) => name === undefined || redactor.text(name) === name);
  if (!isClean) return FAILED;
  return message === undefined ? verdict : { ...verdict, message: redactor.text(message) };
}
