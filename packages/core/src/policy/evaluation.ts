/**
 * The evaluation that is going on: how a function of the conditions reaches the call, the disk and its allowance of work.
 *
 * Evaluation is synchronous, and the evaluator hands its functions nothing but their arguments. So the running
 * evaluation stands in a variable of this module, set while the condition runs and put back afterwards.
 *
 *     export function registerExample(environment: Environment): void {
 *       environment.registerFunction('example(string): bool', (text: string) => {
 *         const { input, lookups } = currentEvaluation();
 *         spend(text.length / CHARS_PER_STEP);
 *         if (text === '') throw new ConditionFault('example() needs a text');
 *         return remember('example', text, () => expensive(text)) === input.agent;
 *       });
 *     }
 *
 * A function throws `ConditionFault` where it would have to guess: the rule fails closed. Its message names the function
 * and never quotes an argument.
 */
import { ConditionFault } from './condition-value.ts';
import type { Lookups } from './lookups.ts';
import type { PolicyInput } from './policy.ts';

/**
 * Work one condition may do: a step is one turn of `all`, `exists`, `map` or `filter` over a small body. Functions add
 * to it by the size of what they read. Past it the condition cannot be evaluated, whatever its other parts say.
 */
export const MAX_CONDITION_STEPS = 100_000;
/** Reading a text costs a step per so many characters. */
export const CHARS_PER_STEP = 64;
/** Answers of functions remembered per call. */
const MAX_REMEMBERED = 256;

export interface Evaluation {
  readonly input: PolicyInput;
  readonly lookups: Lookups;
}

let current: Evaluation | undefined;
let stepsLeft = 0;
/** What this condition paid for already. */
let paid: Set<Remembered> | undefined;

/**
 * Runs a condition under a fresh allowance of steps. May be entered again from inside.
 *
 * @throws what `run` throws; `ConditionFault` when the allowance was used up, also when the evaluator absorbed that error:
 *   `error || true` is true in CEL, and a condition that ran out of steps has no answer.
 */
export function runEvaluation<T>(evaluation: Evaluation, run: () => T): T {
  const outer = current;
  const outerSteps = stepsLeft;
  const outerPaid = paid;
  const outerAnswers = answers;
  const outerAsked = asked;
  const outerPaidToOthers = paidToOthers;
  current = evaluation;
  stepsLeft = MAX_CONDITION_STEPS;
  paid = undefined;
  answers = undefined;
  asked = undefined;
  try {
    const result = run();
    if (stepsLeft < 0) throw exhausted();
    return result;
  } catch (error) {
    throw stepsLeft < 0 ? exhausted() : error;
  } finally {
    current = outer;
    stepsLeft = outerSteps;
    paid = outerPaid;
    answers = outerAnswers;
    asked = outerAsked;
    paidToOthers = outerPaidToOthers;
  }
}

/** @throws {ConditionFault} when no condition is running. */
export function currentEvaluation(): Evaluation {
  if (current === undefined) throw new ConditionFault('this function works in a condition only');
  return current;
}

/**
 * Takes work off the allowance of the running condition. Once it is used up, this and every later call throws.
 *
 * @param steps - 0 or more; fractions count.
 * @throws {ConditionFault}
 */
export function spend(steps: number): void {
  // Not `stepsLeft < 0` after the fact alone: a NaN would never fall below anything.
  stepsLeft = steps >= 0 ? stepsLeft - steps : -1;
  if (stepsLeft < 0) throw exhausted();
}

/** Whether the running condition has used up its allowance: whatever it still says, it has no answer. */
export function isExhausted(): boolean {
  return stepsLeft < 0;
}

interface Remembered {
  readonly answer: unknown;
  /** Its own, without those of what it asked. */
  readonly steps: number;
  readonly asked: readonly Remembered[];
}

/** By kind, then by subject. A text alone is the key: put together with its kind it would be read again for each question. */
interface Answers {
  size: number;
  readonly kinds: Map<string, Map<unknown, Remembered>>;
}

/** By call: rules, and the policies they belong to, share what a function worked out. */
const remembered = new WeakMap<PolicyInput, Answers>();
/** Those of the running evaluation, once it has asked. */
let answers: Answers | undefined;

/** What the answer that is being worked out has asked of others, and what it paid them. */
let asked: Remembered[] | undefined;
let paidToOthers = 0;

/**
 * What a pure function gives for a subject, worked out once per call: twenty rules over `shell(args.command)` parse once.
 *
 * A condition that finds the answer ready pays the steps it cost all the same, and those of what it asked of others, each
 * once: whether a condition runs out of steps must not depend on the rules before it. An error is not remembered.
 *
 * @param subject - a text, or an object of the call, which is known by its identity.
 */
export function remember<T>(kind: string, subject: string | object, compute: () => T): T {
  answers ??= answersOf(currentEvaluation().input);
  const own = answers;
  const known = own.kinds.get(kind)?.get(subject);
  if (known !== undefined) {
    const before = stepsLeft;
    pay(known);
    paidToOthers += before - stepsLeft;
    asked?.push(known);
    return known.answer as T; // stored under this kind by the same function
  }
  const outer = asked;
  const outerPaidToOthers = paidToOthers;
  const before = stepsLeft;
  const asks: Remembered[] = [];
  asked = asks;
  paidToOthers = 0;
  let made: Remembered & { readonly answer: T };
  try {
    const answer = compute();
    made = { answer, steps: before - stepsLeft - paidToOthers, asked: asks };
  } finally {
    asked = outer;
    paidToOthers = outerPaidToOthers + before - stepsLeft;
  }
  outer?.push(made);
  (paid ??= new Set()).add(made);
  if (own.size < MAX_REMEMBERED) keep(own, kind, subject, made);
  return made.answer;
}

function pay(known: Remembered): void {
  if (paid?.has(known) === true) return;
  spend(known.steps);
  (paid ??= new Set()).add(known);
  for (const other of known.asked) pay(other);
}

function keep(own: Answers, kind: string, subject: unknown, made: Remembered): void {
  let bySubject = own.kinds.get(kind);
  if (bySubject === undefined) {
    bySubject = new Map();
    own.kinds.set(kind, bySubject);
  }
  bySubject.set(subject, made);
  own.size += 1;
}

function answersOf(input: PolicyInput): Answers {
  let own = remembered.get(input);
  if (own === undefined) {
    own = { size: 0, kinds: new Map() };
    remembered.set(input, own);
  }
  return own;
}

function exhausted(): ConditionFault {
  return new ConditionFault(`the condition needs more than ${MAX_CONDITION_STEPS} steps on this call`);
}
