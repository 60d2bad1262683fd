/** Policies that need no rules, and policies written as TypeScript functions. */
import type { Effect } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { policyHash } from './hash.ts';
import type { Policy, PolicyInput, PolicyVerdict, ResultInput, ResultVerdict } from './policy.ts';
import { EFFECTS, NAME_HINT, NAME_SHAPE } from './rule-definition.ts';

/** Allows every call. Calls are still recorded, redacted and charged. */
export function allowAll(): Policy {
  return constant('allow-all', { effect: 'allow', rule: 'allow-all', reasonCode: 'POLICY_ALLOW_LOW_RISK' });
}

/** Denies every call. */
export function denyAll(): Policy {
  return constant('deny-all', { effect: 'deny', rule: 'deny-all', reasonCode: 'POLICY_DENY_HIGH_RISK' });
}

export interface PolicyDefinition {
  readonly id: string;
  /** Raise it when something the function closes over changes. */
  readonly version?: string;
  /** For calls the function abstains on; default `deny`. */
  readonly default?: Effect;
  evaluate(input: PolicyInput): PolicyVerdict | Promise<PolicyVerdict>;
  /** What may be seen of results; everything when absent. */
  evaluateResult?(input: ResultInput): ResultVerdict | Promise<ResultVerdict>;
}

/**
 * A policy written as a function.
 *
 * Its hash covers the declared version and the source text of `evaluate` and `evaluateResult`. It cannot cover what the function closes over,
 * and the document says so.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function definePolicy(definition: PolicyDefinition): Policy {
  const { id, version } = definition;
  const evaluate: unknown = Reflect.get(definition, 'evaluate');
  if (typeof id !== 'string' || !NAME_SHAPE.test(id)) throw new CountersignError('OPTIONS_INVALID', `policy id: ${NAME_HINT}`);
  if (version !== undefined && typeof version !== 'string')
    throw new CountersignError('OPTIONS_INVALID', `policy "${id}": version must be text`);
  if (typeof evaluate !== 'function') throw new CountersignError('OPTIONS_INVALID', `policy "${id}": evaluate must be a function`);
  const onResult: unknown = Reflect.get(definition, 'evaluateResult');
  if (onResult !== undefined && typeof onResult !== 'function')
    throw new CountersignError('OPTIONS_INVALID', `policy "${id}": evaluateResult must be a function`);
  const fallback = definition.default ?? 'deny';
  if (!EFFECTS.includes(fallback))
    throw new CountersignError('OPTIONS_INVALID', `policy "${id}": default must be one of ${EFFECTS.join(', ')}`);
  // Function.prototype itself: an own `toString` would let a function describe itself as another.
  const sourceOf = (fn: unknown): string => Function.prototype.toString.call(fn).toWellFormed();
  const document = canonicalize({
    kind: 'function',
    id,
    version,
    default: fallback,
    source: sourceOf(evaluate),
    ...(onResult !== undefined && { result_source: sourceOf(onResult) }),
    note: 'closures are not covered',
  });
  return {
    id,
    ...(version === undefined ? {} : { version }),
    hash: policyHash(document),
    document,
    default: fallback,
    evaluate: (input) => definition.evaluate(notingTime(input)),
    ...(typeof onResult === 'function' && {
      // What it answers is checked where it is asked.
      evaluateResult: (input) => Reflect.apply(onResult, definition, [input]) as ResultVerdict | Promise<ResultVerdict>,
    }),
  };
}

/** Whether a function reads the time shows only when it does. */
function notingTime(input: PolicyInput): PolicyInput {
  const { lookups, atMs } = input;
  if (lookups?.readTime === undefined) return input;
  const get = (): number => {
    lookups.readTime?.(atMs);
    return atMs;
  };
  return Object.defineProperty({ ...input }, 'atMs', { get, enumerable: true });
}

function constant(id: string, verdict: PolicyVerdict & { readonly effect: 'allow' | 'deny' }): Policy {
  const document = canonicalize({ kind: 'built-in', id });
  return { id, hash: policyHash(document), document, default: verdict.effect, evaluate: () => verdict };
}
