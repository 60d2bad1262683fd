/** From `countersign.yaml` to the policy that decides: its rules, and the decision point it names. */
import { type Config, CountersignError, composePolicies, type Policy, type PolicyInput, type PolicyVerdict } from '@countersign/core';
import { type Environment, invalid, readSecret } from '../channels/secret.ts';
import { authzenPolicy } from './client.ts';

type Abstain = Extract<PolicyVerdict, { readonly effect: 'abstain' }>;

export interface ConfiguredPolicyOptions {
  /** Where a token named by variable is; default `process.env`. */
  readonly env?: Environment;
}

/**
 * The policy of a configuration together with the decision point under `policy.authzen`, if it names one. The most restrictive
 * verdict wins: what a rule denies stays denied, and a decision point that fails denies. Beside a signed bundle it can only take
 * away: what the bundle leaves to its default is no decision point's to allow.
 *
 * @throws {CountersignError} `CONFIG_INVALID` when the decision point cannot be used: its token is not there or malformed, its URL not allowed.
 */
export function configuredPolicy(
  { policy, authzen, bundle }: Pick<Config, 'policy' | 'authzen' | 'bundle'>,
  options: ConfiguredPolicyOptions = {},
): Policy {
  if (authzen === undefined) return policy;
  const { token: source, ...asked } = authzen;
  const token = source === undefined ? undefined : readSecret(source, options.env ?? process.env, 'policy.authzen.token');
  try {
    return composePolicies([
      bundle === undefined ? policy : decidingDefault(policy),
      authzenPolicy({ ...asked, ...(token !== undefined && { token: () => token }) }),
    ]);
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'OPTIONS_INVALID') throw invalid('policy.authzen', error.message);
    throw error;
  }
}

/** The same policy, which says itself what no rule of it says. */
function decidingDefault(policy: Policy): Policy {
  return {
    ...policy,
    evaluate: async (input) => {
      const verdict = await policy.evaluate(input);
      return verdict.effect === 'abstain' ? defaultOf(policy, input, verdict) : verdict;
    },
  };
}

function defaultOf({ default: fallback = 'deny' }: Policy, { mode }: PolicyInput, { reason, labels }: Abstain): PolicyVerdict {
  const more = { reason: reason ?? 'no rule matches this call', ...(labels !== undefined && { labels }) };
  if (fallback === 'allow') return { effect: 'allow', reasonCode: 'POLICY_DEFAULT_ALLOW', ...more };
  // As the guard has it: in `confirm` a person is asked where no rule matches.
  if (fallback === 'require_approval' || mode === 'confirm')
    return { effect: 'require_approval', reasonCode: 'POLICY_DEFAULT_REQUIRE_APPROVAL', ...more };
  return { effect: 'deny', reasonCode: 'POLICY_DEFAULT_DENY', ...more };
}
