/** From `countersign.yaml` to the policy that decides: its rules, and the decision point it names. */
import { type Config, CountersignError, composePolicies, type Policy } from '@countersign/core';
import { type Environment, invalid, readSecret } from '../channels/secret.ts';
import { authzenPolicy } from './client.ts';

export interface ConfiguredPolicyOptions {
  /** Where a token named by variable is; default `process.env`. */
  readonly env?: Environment;
}

/**
 * The rules of a configuration together with the decision point under `policy.authzen`, if it names one. The most restrictive
 * verdict wins: what a rule denies stays denied, and a decision point that fails denies.
 *
 * @throws {CountersignError} `CONFIG_INVALID` when the decision point cannot be used: its token is not there or malformed, its URL not allowed.
 */
export function configuredPolicy({ policy, authzen }: Pick<Config, 'policy' | 'authzen'>, options: ConfiguredPolicyOptions = {}): Policy {
  if (authzen === undefined) return policy;
  const { token: source, ...asked } = authzen;
  const token = source === undefined ? undefined : readSecret(source, options.env ?? process.env, 'policy.authzen.token');
  try {
    return composePolicies([policy, authzenPolicy({ ...asked, ...(token !== undefined && { token: () => token }) })]);
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'OPTIONS_INVALID') throw invalid('policy.authzen', error.message);
    throw error;
  }
}
