/**
 * What is certain of a tool's calls before their arguments are known: whether it is worth offering it to an agent at all.
 *
 * It decides nothing. Whatever is not certain counts as possible, so a tool that is kept back is one of which every call
 * would be refused now, and a tool that is offered may still be refused.
 */
import type { Foreseen, ForeseenInput, Policy } from './policy.ts';
import { readVerdict } from './verdict.ts';

/** As `Policy.foresee`, of anybody's policy. Never throws: a policy that cannot say it foresees nothing. */
export function foresee(policy: Policy, input: ForeseenInput): Foreseen | undefined {
  try {
    const answer: unknown = policy.foresee?.(input);
    const foreseen = answer === undefined ? undefined : readVerdict(answer);
    return foreseen?.effect === 'deny' || foreseen?.effect === 'abstain' ? foreseen : undefined;
  } catch {
    return undefined;
  }
}

/** Of several policies: one that denies denies for all, and nobody lets a call through when none would. */
export function foreseeTogether(policies: readonly Policy[], input: ForeseenInput): Foreseen | undefined {
  const foreseen = policies.map((policy) => foresee(policy, input));
  const denied = foreseen.find((verdict) => verdict?.effect === 'deny');
  if (denied !== undefined) return denied;
  return foreseen.every((verdict) => verdict !== undefined) ? { effect: 'abstain' } : undefined;
}
