/**
 * Conditions and costs of rules, in CEL.
 *
 *     args.amount > 500 && args.currency in ['USD', 'EUR'] && !('untrusted' in session.labels)
 *
 * | variable      | type                                                                          |
 * |---------------|-------------------------------------------------------------------------------|
 * | `tool`        | string                                                                        |
 * | `server`      | string, '' when the tool has none                                             |
 * | `args`        | the shown view of the arguments: secrets are `[redacted:kind]` already        |
 * | `annotations` | map; hints of the tool's author, who may lie                                  |
 * | `agent`       | string                                                                        |
 * | `principal`   | string, '' when there is none                                                 |
 * | `session`     | `id` string, `labels` list of string, `started` timestamp                     |
 * | `time`        | timestamp recorded for this decision                                          |
 * | `mode`        | 'audit', 'confirm' or 'enforce'                                               |
 * | `findings`    | list of `kind`, `pointer`: what the redactor replaced                         |
 * | `raw`         | map from JSON pointer to raw argument, for the pointers the rule declares     |
 *
 * Rules on results see one more: `result`, with `value`, `text`, `size` (characters), `is_error`, and the kinds of what was
 * found in it: `secrets`, `instructions`, `ansi`, `hidden`.
 *
 * `text.matches('^[A-Z]{2}-[0-9]+$')` searches for a regular expression in RE2's syntax, in linear time; the pattern is a literal.
 *
 * A missing key, a type error or a redacted value used as a number is an error, never false; `has(args.key)` guards.
 */
import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { microUnits } from '../budget/micro.ts';
import { conditionEnvironment, readsVariable, tightenTree } from './condition-environment.ts';
import { compileError, faultText, invalid, messageOf } from './condition-errors.ts';
import { ConditionFacts } from './condition-facts.ts';
import { runEvaluation } from './evaluation.ts';
import type { CountCollector } from './functions/session.ts';
import { meterTree } from './metering.ts';
import type { PolicyInput } from './policy.ts';

export const MAX_CONDITION_CHARS = 4096;

/** A condition could not be evaluated on this call. Its text holds rule text and places, never argument values. */
export class ConditionError extends Error {
  override readonly name = 'ConditionError';
}

/** Options of `compileCondition` and `compileCost`. */
export interface ConditionOptions {
  /** JSON pointers whose raw arguments the expression may read. */
  readonly raw?: readonly string[];
  /** `result`: the expression may read `result`, and is evaluated on a `ResultInput`. */
  readonly on?: 'call' | 'result';
  /** Collects what `session.calls` counts; absent = the expression may not use it. */
  readonly counts?: CountCollector;
}

/** @throws {ConditionError} */
export type Condition = (input: PolicyInput, facts?: ConditionFacts) => boolean;
/** Micro-units. @throws {ConditionError} */
export type Cost = (input: PolicyInput, facts?: ConditionFacts) => number;
/** @throws {ConditionError} */
export type Key = (input: PolicyInput, facts?: ConditionFacts) => string;

/**
 * Compiles a condition.
 *
 * @param where - names the place in error messages, such as `policy rule "big-refund" when`.
 * @throws {CountersignError} `CONDITION_INVALID` with `details.line` and `details.column` inside the expression.
 */
export function compileCondition(source: string, where: string, options: ConditionOptions = {}): Condition {
  const run = compile(source, where, ['bool'], options);
  return (input, facts) => {
    const result = run(input, facts);
    if (typeof result !== 'boolean') throw new ConditionError(`${where}: the result is not true or false`);
    return result;
  };
}

/**
 * Compiles a cost: an amount of the call, such as `args.amount`, given back in integer micro-units.
 *
 * @throws {CountersignError} `CONDITION_INVALID`, as for `compileCondition`.
 */
export function compileCost(source: string, where: string, options: ConditionOptions = {}): Cost {
  const run = compile(source, where, ['int', 'double'], options);
  return (input, facts) => {
    const result = run(input, facts);
    if (typeof result !== 'number' && typeof result !== 'bigint') throw new ConditionError(`${where}: the result is not a number`);
    const amount = Number(result);
    if (typeof result === 'bigint' && !Number.isSafeInteger(amount)) throw new ConditionError(`${where}: the amount is out of range`);
    try {
      return microUnits(amount);
    } catch (error) {
      throw new ConditionError(`${where}: ${messageOf(error)}`);
    }
  };
}

/**
 * Compiles the key of a budget: whom the call is charged to, such as `args.customer`.
 *
 * A key that names `principal` is an error for a call without one, not the key of nobody.
 *
 * @throws {CountersignError} `CONDITION_INVALID`, as for `compileCondition`.
 */
export function compileKey(source: string, where: string): Key {
  const run = compile(source, where, ['string'], {});
  const needsPrincipal = readsVariable(parse(source, where).ast, 'principal');
  return (input, facts) => {
    if (needsPrincipal && (input.principal ?? '') === '') throw new ConditionError(`${where}: the call names no principal`);
    const result = run(input, facts);
    if (typeof result !== 'string') throw new ConditionError(`${where}: the result is not a text; write string(...) around a number`);
    return result;
  };
}

/** The syntax tree of an expression, for those who look at rules without running them; `undefined` when it does not parse. */
export function conditionTree(source: string): ASTNode | undefined {
  try {
    return parse(source, 'condition').ast;
  } catch {
    return undefined;
  }
}

const RESULT_TEXTS: ReadonlyMap<string, string> = new Map([
  ['bool', 'true or false'],
  ['int', 'a number'],
  ['string', 'a text'],
]);

const environments = new Map<'call' | 'result', Environment>();

function compile(
  source: string,
  where: string,
  results: readonly string[],
  options: ConditionOptions,
): (input: PolicyInput, facts?: ConditionFacts) => unknown {
  if (typeof source !== 'string' || source.trim() === '') throw invalid(where, 'the expression is empty', '', 0);
  if (source.length > MAX_CONDITION_CHARS) throw invalid(where, `the expression is longer than ${MAX_CONDITION_CHARS} characters`, '', 0);
  const rawPointers = options.raw ?? [];
  const program = parse(source, where, options.on);
  const fault = tightenTree(program.ast, new Set(rawPointers), options.counts);
  if (fault !== undefined) throw invalid(where, fault.message, source, fault.at);
  const check = program.check();
  if (!check.valid) throw compileError(check.error, where, source);
  const type = check.type ?? 'dyn';
  if (type !== 'dyn' && !results.includes(type)) {
    throw invalid(where, `the result must be ${RESULT_TEXTS.get(results[0] ?? '')}, not ${type}`, source, 0);
  }
  meterTree(program.ast);
  return (input, facts = new ConditionFacts(input)) => {
    let result: unknown;
    try {
      result = runEvaluation(facts, () => program(facts.variables(rawPointers)));
    } catch (error) {
      throw new ConditionError(`${where}: ${faultText(error, source)}`);
    }
    if (result instanceof Promise) {
      // Nothing asynchronous is registered; should that change, an unawaited answer must never count as one.
      result.catch(() => undefined);
      throw new ConditionError(`${where}: the result is asynchronous`);
    }
    return result;
  };
}

function parse(source: string, where: string, on: 'call' | 'result' = 'call'): ReturnType<Environment['parse']> {
  const environment = environments.get(on) ?? conditionEnvironment(on);
  environments.set(on, environment);
  try {
    return environment.parse(source);
  } catch (error) {
    throw compileError(error, where, source);
  }
}
