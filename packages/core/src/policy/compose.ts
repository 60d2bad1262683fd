/** Several policies as one: the most restrictive verdict wins. */
import type { ApprovalTerms, Effect } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { foreseeTogether } from './foresight.ts';
import { policyHash } from './hash.ts';
import type { Policy, PolicyVerdict } from './policy.ts';
import { mergeResultVerdicts } from './result-rule.ts';
import { evaluateResult } from './result-verdict.ts';
import { mergeLabels, mergeTerms } from './terms.ts';
import { boundReason, evaluatePolicy, failedVerdict } from './verdict.ts';

export { evaluatePolicy } from './verdict.ts';

export const MAX_COMPOSED_POLICIES = 64;

/** Rises with restriction. */
const STRICTNESS: Readonly<Record<Effect, number>> = { allow: 0, require_approval: 1, deny: 2 };

/**
 * Composes policies. deny > require_approval > allow over all members; abstains when all abstain, and then the most
 * restrictive default of the members applies. A member that fails denies. Synchronous as long as every member is.
 *
 * One policy is returned as it is.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for none or too many.
 */
export function composePolicies(policies: readonly Policy[]): Policy {
  const members = [...policies];
  const [only] = members;
  if (only === undefined)
    throw new CountersignError('OPTIONS_INVALID', 'policy: at least one is needed; ask for allowAll() by name if that is meant');
  if (members.length === 1) return only;
  if (members.length > MAX_COMPOSED_POLICIES)
    throw new CountersignError('OPTIONS_INVALID', `policy: at most ${MAX_COMPOSED_POLICIES} compose`);
  const parts = members.map(({ id, version, hash, document }) => ({ id, version, hash, document }));
  const document = canonicalize({ kind: 'composed', policies: parts });
  return {
    id: members.map((member) => member.id).join('+'),
    hash: policyHash(document),
    document,
    default: strictestDefault(members),
    ...composedCounts(members),
    evaluate: (input) => strictest(members.map((member) => evaluatePolicy(member, input))),
    foresee: (input) => foreseeTogether(members, input),
    ...composedResults(members),
  };
}

function composedCounts(members: readonly Policy[]): Pick<Policy, 'counts'> {
  const counts = new Set(members.flatMap((member) => member.counts ?? []));
  return counts.size === 0 ? {} : { counts: [...counts].toSorted() };
}

function strictestDefault(members: readonly Policy[]): Effect {
  const defaults = members.map((member) => member.default ?? 'deny');
  return defaults.reduce((most, next) => (STRICTNESS[next] > STRICTNESS[most] ? next : most));
}

/** The most restrictive of several verdicts; abstains when there are none. Synchronous as long as every verdict is. */
export function strictest(verdicts: readonly (PolicyVerdict | Promise<PolicyVerdict>)[]): PolicyVerdict | Promise<PolicyVerdict> {
  const known = verdicts.filter((verdict): verdict is PolicyVerdict => !(verdict instanceof Promise));
  if (known.length === verdicts.length) return mergeVerdicts(known);
  return Promise.all(verdicts.map(async (verdict) => verdict)).then(mergeVerdicts);
}

/** Present when a member has something to say about results. */
function composedResults(members: readonly Policy[]): Pick<Policy, 'evaluateResult' | 'mayActOnResult'> {
  const judging = members.filter((member) => member.evaluateResult !== undefined);
  if (judging.length === 0) return {};
  return {
    evaluateResult: async (input) => mergeResultVerdicts(await Promise.all(judging.map((member) => evaluateResult(member, input)))),
    mayActOnResult: (tool) => judging.some((member) => member.mayActOnResult?.(tool) ?? true),
  };
}

type Deny = PolicyVerdict & { readonly effect: 'deny' };
type Ask = PolicyVerdict & { readonly effect: 'require_approval' };
type Allow = PolicyVerdict & { readonly effect: 'allow' };
type Abstain = PolicyVerdict & { readonly effect: 'abstain' };

function mergeVerdicts(verdicts: readonly PolicyVerdict[]): PolicyVerdict {
  const denies: Deny[] = [];
  const asks: Ask[] = [];
  const allows: Allow[] = [];
  const abstained: Abstain[] = [];
  for (const verdict of verdicts) {
    switch (verdict.effect) {
      case 'deny':
        denies.push(verdict);
        break;
      case 'require_approval':
        asks.push(verdict);
        break;
      case 'allow':
        allows.push(verdict);
        break;
      case 'abstain':
        abstained.push(verdict);
        break;
      default:
        return failedVerdict({ id: 'composed' }, 'gave an unknown effect');
    }
  }
  // A deny that audit mode enforces too is the stricter one.
  const denied = denies.find((verdict) => verdict.always === true) ?? denies[0];
  if (denied !== undefined) return { ...denied, ...labelled([...denies, ...asks, ...allows, ...abstained]) };
  if (asks[0] !== undefined) return mergeAsks(asks, asks[0], [...allows, ...abstained]);
  if (allows[0] !== undefined) return { ...allows[0], ...labelled([...allows, ...abstained]) };
  const reasons = abstained.flatMap(({ reason }) => reason ?? []);
  return { effect: 'abstain', ...(reasons.length > 0 && { reason: boundReason(reasons.join('; ')) }), ...labelled(abstained) };
}

function mergeAsks(asks: readonly Ask[], first: Ask, others: readonly (Allow | Abstain)[]): PolicyVerdict {
  const terms: Partial<ApprovalTerms> | undefined = mergeTerms(asks.map((verdict) => verdict.terms ?? {}));
  if (terms === undefined) {
    const rule = first.rule === undefined ? {} : { rule: first.rule };
    return { effect: 'deny', ...rule, reasonCode: 'POLICY_DENY_HIGH_RISK', reason: 'nobody can approve under the terms of all policies' };
  }
  const count = asks.reduce((sum, verdict) => sum + (verdict.asks ?? 1), 0);
  return { ...first, ...labelled([...asks, ...others]), terms, ...(count > 1 && { asks: count }) };
}

function labelled(verdicts: readonly PolicyVerdict[]): { readonly labels?: readonly string[] } {
  const labels = mergeLabels(verdicts.map((verdict) => verdict.labels));
  return labels === undefined ? {} : { labels };
}
