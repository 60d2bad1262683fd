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
import { didYouMean } from '../config/nearest.ts';
import { CountersignError } from '../errors.ts';
import { CONDITION_WORDS, conditionEnvironment, readsVariable, tightenTree } from './condition-environment.ts';
import { ConditionFault, conditionMap, conditionValue } from './condition-value.ts';
import { type Evaluation, runEvaluation } from './evaluation.ts';
import type { CountCollector } from './functions/session.ts';
import { createLookups, type Lookups } from './lookups.ts';
import { meterTree } from './metering.ts';
import type { PolicyInput, ResultFacts, ResultInput, SessionFacts } from './policy.ts';

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

/** What the conditions of one call see. Make one per call and share it between rules; nothing is computed before it is read. */
export class ConditionFacts implements Evaluation {
  readonly input: PolicyInput;
  #lookups: Lookups | undefined;
  #args: unknown;
  #plain: Variables | undefined;

  constructor(input: PolicyInput) {
    this.input = input;
  }

  get lookups(): Lookups {
    this.#lookups ??= this.input.lookups ?? createLookups();
    return this.#lookups;
  }

  /** The evaluator's variables, together with the raw arguments at these pointers. */
  variables(rawPointers: readonly string[]): object {
    if (rawPointers.length > 0) return new Variables(this.input, () => this.args(), rawPointers);
    this.#plain ??= new Variables(this.input, () => this.args(), rawPointers);
    return this.#plain;
  }

  /** @throws {ConditionFault} when the arguments cannot be shown to the evaluator. */
  args(): unknown {
    if (this.#args === undefined) this.#args = conditionValue(this.input.args);
    return this.#args;
  }
}

/** Read by the evaluator as `variables[name]` for declared names only. */
class Variables {
  readonly #input: PolicyInput;
  readonly #args: () => unknown;
  readonly #rawPointers: readonly string[];
  // A condition may read a variable once per item of a list.
  #annotations: unknown;
  #session: object | undefined;
  #findings: unknown;
  #raw: unknown;
  #result: unknown;

  constructor(input: PolicyInput, args: () => unknown, rawPointers: readonly string[]) {
    this.#input = input;
    this.#args = args;
    this.#rawPointers = rawPointers;
  }
  get tool(): string {
    return this.#input.tool.name;
  }
  get server(): string {
    return this.#input.tool.server ?? '';
  }
  get args(): unknown {
    return this.#args();
  }
  get annotations(): unknown {
    this.#annotations ??= conditionValue(this.#input.tool.annotations ?? {});
    return this.#annotations;
  }
  /** In whole units; a call that declares no cost has none to compare, which is a fault and not a zero. */
  get cost(): number {
    if (this.#input.cost === undefined) throw new ConditionFault('this call declares no cost');
    return this.#input.cost / 1_000_000;
  }
  get agent(): string {
    return this.#input.agent;
  }
  get principal(): string {
    return this.#input.principal ?? '';
  }
  get session(): object {
    this.#session ??= sessionValue(this.#input.session);
    return this.#session;
  }
  get time(): Date {
    this.#input.lookups?.readTime?.(this.#input.atMs);
    return new Date(this.#input.atMs);
  }
  get mode(): string {
    return this.#input.mode;
  }
  get findings(): unknown {
    this.#findings ??= conditionValue(this.#input.findings);
    return this.#findings;
  }
  get raw(): unknown {
    this.#raw ??= rawValue(this.#input, this.#rawPointers);
    return this.#raw;
  }
  /** Declared for rules on results only, whose input it is. */
  get result(): unknown {
    this.#result ??= resultValue((this.#input as ResultInput).result);
    return this.#result;
  }
}

/** Own getters, so that nothing is looked for which no rule asks about. */
function resultValue(facts: ResultFacts): object {
  let value: unknown;
  return {
    size: facts.size,
    is_error: facts.isError,
    get value() {
      value ??= conditionValue(facts.value);
      return value;
    },
    get text() {
      return facts.text;
    },
    get secrets() {
      return [...facts.secrets];
    },
    get instructions() {
      return [...facts.instructions];
    },
    get ansi() {
      return [...facts.ansi];
    },
    get hidden() {
      return [...facts.hidden];
    },
  };
}

function sessionValue({ id, labels, startedAtMs }: SessionFacts): object {
  return { id, labels: [...labels], started: new Date(startedAtMs) };
}

function rawValue(input: PolicyInput, pointers: readonly string[]): unknown {
  const pairs: [string, unknown][] = [];
  for (const pointer of pointers) {
    const value = input.raw(pointer);
    if (value !== undefined) pairs.push([pointer, value]);
  }
  return conditionMap(pairs);
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

/** What the evaluator's errors carry. Their messages quote values, so only the code and the place are used at run time. */
interface EvaluatorError {
  readonly code: string;
  readonly summary: string;
  readonly range?: { readonly start: number; readonly end: number };
  readonly node?: { readonly start: number; readonly end: number; readonly args?: unknown };
}

function isEvaluatorError(error: unknown): error is EvaluatorError {
  return (
    error instanceof Error && 'code' in error && 'summary' in error && typeof error.code === 'string' && typeof error.summary === 'string'
  );
}

function compileError(error: unknown, where: string, source: string): CountersignError {
  if (!isEvaluatorError(error)) return invalid(where, messageOf(error), source, 0);
  const name = error.node?.args;
  const suggestion = error.code !== 'unknown_variable' || typeof name !== 'string' ? '' : suggestionFor(name);
  const text = error.code === 'unknown_variable' && typeof name === 'string' ? `unknown variable "${name}"` : lowerFirst(error.summary);
  return invalid(where, text + suggestion, source, error.range?.start ?? 0);
}

function suggestionFor(name: string): string {
  return name === 'result' ? ': only a rule with on: result can see what came back' : didYouMean(name, CONDITION_WORDS);
}

function invalid(where: string, message: string, source: string, at: number): CountersignError {
  const before = source.slice(0, at).split('\n');
  const line = before.length;
  const column = (before.at(-1)?.length ?? 0) + 1;
  return new CountersignError('CONDITION_INVALID', `${where}: ${message} (line ${line}, column ${column} of the expression)`, {
    details: { line, column },
  });
}

const FAULT_TEXTS: ReadonlyMap<string, string> = new Map([
  ['no_such_key', 'missing key'],
  ['index_out_of_bounds', 'index out of bounds'],
  ['no_such_overload', 'type error'],
  ['no_matching_overload', 'type error'],
  ['unsupported_type', 'type error'],
  ['variable_type_mismatch', 'type error'],
]);
const MAX_SNIPPET_CHARS = 80;

function faultText(error: unknown, source: string): string {
  if (error instanceof ConditionFault) return error.message;
  // Anything else may quote a value.
  if (!isEvaluatorError(error)) return 'evaluation failed';
  const text = FAULT_TEXTS.get(error.code) ?? error.code.replaceAll('_', ' ');
  const { start, end } = error.node ?? error.range ?? { start: 0, end: 0 };
  const snippet = source.slice(start, end);
  if (snippet === '') return text;
  return `${text} at "${snippet.length > MAX_SNIPPET_CHARS ? `${snippet.slice(0, MAX_SNIPPET_CHARS)}...` : snippet}"`;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
