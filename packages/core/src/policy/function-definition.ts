/** What policies written as functions have in common: their names, and what can be hashed of a function. */
import type { Effect, ResultVerdict } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { functionResultInput } from './function-input.ts';
import type { Policy, ResultInput } from './policy.ts';
import { EFFECTS, NAME_HINT, NAME_SHAPE } from './rule-definition.ts';

export interface FunctionDefinition {
  readonly id: string;
  /** Raise it when something changes that the hash cannot cover. */
  readonly version?: string;
  /** For calls the functions abstain on; default `deny`. */
  readonly default?: Effect;
  /** What may be seen of results; everything when absent. */
  evaluateResult?(input: ResultInput): ResultVerdict | Promise<ResultVerdict>;
}

interface CheckedDefinition {
  readonly id: string;
  readonly version: string | undefined;
  readonly fallback: Effect;
  /** Members for the document. */
  readonly result: { readonly result_source?: string };
  /** Members for the policy. */
  readonly members: Pick<Policy, 'version' | 'evaluateResult'>;
}

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function checkDefinition(definition: FunctionDefinition): CheckedDefinition {
  const { id, version } = definition;
  if (typeof id !== 'string' || !NAME_SHAPE.test(id)) throw new CountersignError('OPTIONS_INVALID', `policy id: ${NAME_HINT}`);
  if (version !== undefined && typeof version !== 'string')
    throw new CountersignError('OPTIONS_INVALID', `policy "${id}": version must be text`);
  const onResult: unknown = Reflect.get(definition, 'evaluateResult');
  if (onResult !== undefined && typeof onResult !== 'function')
    throw new CountersignError('OPTIONS_INVALID', `policy "${id}": evaluateResult must be a function`);
  const fallback = definition.default ?? 'deny';
  if (!EFFECTS.includes(fallback))
    throw new CountersignError('OPTIONS_INVALID', `policy "${id}": default must be one of ${EFFECTS.join(', ')}`);
  return {
    id,
    version,
    fallback,
    result: onResult === undefined ? {} : { result_source: sourceOf(onResult) },
    members: {
      ...(version !== undefined && { version }),
      ...(typeof onResult === 'function' && {
        // What it answers is checked where it is asked.
        evaluateResult: (input) =>
          Reflect.apply(onResult, definition, [functionResultInput(input)]) as ResultVerdict | Promise<ResultVerdict>,
      }),
    },
  };
}

/** Function.prototype itself: an own `toString` would let a function describe itself as another. */
export function sourceOf(fn: unknown): string {
  return Function.prototype.toString.call(fn).toWellFormed();
}
