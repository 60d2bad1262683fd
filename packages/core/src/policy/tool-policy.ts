/** Policies written as one function per tool, each with the types of that tool's arguments. */
import type * as z from 'zod';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { type ArgumentsSchema, type CheckedSchema, checkSchema } from './argument-schema.ts';
import { strictest } from './compose.ts';
import { checkDefinition, type FunctionDefinition, sourceOf } from './function-definition.ts';
import { functionInput } from './function-input.ts';
import { policyHash } from './hash.ts';
import { compileToolPattern, type ToolPattern } from './patterns.ts';
import type { Policy, PolicyInput, PolicyVerdict } from './policy.ts';
import { evaluatePolicy, failedVerdict } from './verdict.ts';

export const MAX_TOOL_FUNCTIONS = 1000;
/** Longest pattern: it is the name of its rule, too. */
export const MAX_TOOL_FUNCTION_CHARS = 128;

/** Nothing in it can be assigned to; at run time it is frozen. */
export type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;

/** A call whose arguments fit the schema. They are the shown view: a secret in them is a text `[redacted:kind]`. */
export interface ToolInput<Args> extends Omit<PolicyInput, 'args'> {
  readonly args: Immutable<Args>;
}

export interface ToolFunction<Schema extends ArgumentsSchema> {
  /** Checks the arguments before `evaluate` sees them, and may not change them: no coerce, default, catch, transform, trim. */
  readonly args: Schema;
  /** Asked about calls whose arguments fit; every other call is denied. */
  evaluate(input: ToolInput<z.output<Schema>>): PolicyVerdict | Promise<PolicyVerdict>;
}

export interface ToolPolicyDefinition<Schemas extends Readonly<Record<string, ArgumentsSchema>>> extends FunctionDefinition {
  /**
   * By tool pattern, which reaches like that of a rule: `refund` denies and asks about `refund` of any server, and allows the one
   * without a server. Where several match, the most restrictive verdict wins.
   */
  readonly tools: { readonly [Pattern in keyof Schemas]: ToolFunction<Schemas[Pattern]> };
}

/**
 * A policy of one function per tool.
 *
 * Arguments that do not fit the schema are a deny (`POLICY_EVALUATION_FAILED`, also in audit mode), like a function that throws, or
 * that has not answered after `MAX_POLICY_MS`. A verdict without a rule is named after its pattern.
 *
 * The hash covers the declared version, the source text of every function and the JSON Schema of every schema. It cannot cover
 * what functions close over, and what JSON Schema cannot say: refinements and flags of patterns. The document says so.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function toolPolicy<Schemas extends Readonly<Record<string, ArgumentsSchema>>>(definition: ToolPolicyDefinition<Schemas>): Policy {
  const { id, version, fallback, result, members } = checkDefinition(definition);
  const functions = readFunctions(id, definition.tools);
  const document = canonicalize({
    kind: 'tool-functions',
    id,
    version,
    default: fallback,
    tools: functions.map(({ pattern, schema, source }) => ({ tool: pattern, args: schema.document, source })),
    ...result,
    note: 'closures, refinements of schemas and flags of patterns in them are not covered',
  });
  return {
    id,
    hash: policyHash(document),
    document,
    default: fallback,
    evaluate: (given) => {
      const input = functionInput(given);
      return strictest(functions.filter(({ wide }) => wide.matches(given.tool)).map((asked) => verdictOf(asked, input)));
    },
    // What a function will say nobody knows; where none is asked, nothing is said.
    foresee: ({ tool }) => (functions.some(({ wide }) => wide.matches(tool)) ? undefined : { effect: 'abstain' }),
    ...members,
  };
}

interface ReadFunction {
  readonly pattern: string;
  /** For messages. */
  readonly id: string;
  readonly narrow: ToolPattern;
  readonly wide: ToolPattern;
  readonly schema: CheckedSchema;
  readonly source: string;
  readonly evaluate: (input: PolicyInput) => unknown;
}

function readFunctions(id: string, tools: unknown): readonly ReadFunction[] {
  const refused = (problem: string): CountersignError => new CountersignError('OPTIONS_INVALID', `policy "${id}": ${problem}`);
  // `{ __proto__: ... }` makes no member: the function would never be asked, and nobody would know.
  if (typeof tools !== 'object' || tools === null || ![Object.prototype, null].includes(Object.getPrototypeOf(tools)))
    throw refused('tools must be an object of tool patterns, such as { "bank/refund": { args, evaluate } }');
  const entries: readonly (readonly [string, unknown])[] = Object.entries(tools);
  if (entries.length === 0) throw refused('tools needs at least one tool; ask for denyAll() by name if that is meant');
  if (entries.length > MAX_TOOL_FUNCTIONS) throw refused(`tools has at most ${MAX_TOOL_FUNCTIONS} members; compose several policies`);
  return entries.map(([pattern, entry]) => {
    const where = `policy "${id}", tools`;
    const narrow = compileToolPattern(pattern, 'narrow', where);
    const wide = compileToolPattern(pattern, 'wide', where);
    if (pattern.length > MAX_TOOL_FUNCTION_CHARS) throw refused(`a pattern in tools has at most ${MAX_TOOL_FUNCTION_CHARS} characters`);
    if (typeof entry !== 'object' || entry === null) throw refused(`tools "${pattern}" needs args and evaluate`);
    const evaluate: unknown = Reflect.get(entry, 'evaluate');
    if (typeof evaluate !== 'function') throw refused(`tools "${pattern}": evaluate must be a function`);
    const schema = checkSchema(Reflect.get(entry, 'args'), `${where} "${pattern}"`);
    return {
      pattern,
      id: `${id}: ${pattern}`,
      narrow,
      wide,
      schema,
      source: sourceOf(evaluate),
      evaluate: (input) => Reflect.apply(evaluate, entry, [input]) as unknown,
    };
  });
}

function verdictOf(asked: ReadFunction, input: PolicyInput): PolicyVerdict | Promise<PolicyVerdict> {
  const misfit = misfitOf(asked, input);
  if (misfit !== undefined) return named(failedVerdict(asked, misfit), asked);
  const policy = { id: asked.id, hash: '', document: '', evaluate: (given: PolicyInput) => asked.evaluate(given) as PolicyVerdict };
  const isNear = asked.narrow.matches(input.tool);
  const verdict = evaluatePolicy(policy, input);
  return verdict instanceof Promise ? verdict.then((late) => reached(late, asked, isNear)) : reached(verdict, asked, isNear);
}

function misfitOf({ schema }: ReadFunction, input: PolicyInput): string | undefined {
  try {
    return schema.misfit(input.args);
  } catch {
    // Also a check that is asynchronous: nothing waits for those.
    return 'has a schema that threw an error';
  }
}

/** An allow reaches no further than that of a rule. */
function reached(verdict: PolicyVerdict, asked: ReadFunction, isNear: boolean): PolicyVerdict {
  if (verdict.effect !== 'allow' || isNear) return named(verdict, asked);
  return { effect: 'abstain', reason: `"${asked.pattern}" allows only what is named exactly so, and this call is not` };
}

function named(verdict: PolicyVerdict, { pattern }: ReadFunction): PolicyVerdict {
  return verdict.effect === 'abstain' ? verdict : { rule: pattern, ...verdict };
}
