/** Policies that need no rules, and policies written as TypeScript functions. */
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { checkDefinition, type FunctionDefinition, sourceOf } from './function-definition.ts';
import { functionInput } from './function-input.ts';
import { policyHash } from './hash.ts';
import type { Policy, PolicyInput, PolicyVerdict } from './policy.ts';

/** Allows every call. Calls are still recorded, redacted and charged. */
export function allowAll(): Policy {
  return constant('allow-all', { effect: 'allow', rule: 'allow-all', reasonCode: 'POLICY_ALLOW_LOW_RISK' });
}

/** Denies every call. */
export function denyAll(): Policy {
  return constant('deny-all', { effect: 'deny', rule: 'deny-all', reasonCode: 'POLICY_DENY_HIGH_RISK' });
}

export interface PolicyDefinition extends FunctionDefinition {
  evaluate(input: PolicyInput): PolicyVerdict | Promise<PolicyVerdict>;
}

/**
 * A policy written as a function. `toolPolicy` is one function per tool, with types for its arguments.
 *
 * Its hash covers the declared version and the source text of `evaluate` and `evaluateResult`. It cannot cover what the function closes over,
 * and the document says so.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function definePolicy(definition: PolicyDefinition): Policy {
  const { id, version, fallback, result, members } = checkDefinition(definition);
  const evaluate: unknown = Reflect.get(definition, 'evaluate');
  if (typeof evaluate !== 'function') throw new CountersignError('OPTIONS_INVALID', `policy "${id}": evaluate must be a function`);
  const document = canonicalize({
    kind: 'function',
    id,
    version,
    default: fallback,
    source: sourceOf(evaluate),
    ...result,
    note: 'closures are not covered',
  });
  return {
    id,
    hash: policyHash(document),
    document,
    default: fallback,
    // The function that was hashed, whatever stands there by now; what it answers is checked where it is asked.
    evaluate: (input) => Reflect.apply(evaluate, definition, [functionInput(input)]) as PolicyVerdict | Promise<PolicyVerdict>,
    ...members,
  };
}

function constant(id: string, verdict: PolicyVerdict & { readonly effect: 'allow' | 'deny' }): Policy {
  const document = canonicalize({ kind: 'built-in', id });
  const foreseen = verdict.effect === 'deny' ? { foresee: () => verdict } : {};
  return { id, hash: policyHash(document), document, default: verdict.effect, evaluate: () => verdict, ...foreseen };
}
