/** Policies in Cedar. Needs the package `@cedar-policy/cedar-wasm`. */
import type { Policy } from '../policy/policy.ts';
import { sharedEngine } from './engine.ts';
import { type CedarPolicyOptions, cedarPolicyOn } from './policy.ts';

export type { CedarPolicyOptions } from './policy.ts';

/**
 * A policy written in [Cedar](https://www.cedarpolicy.com). What Cedar is asked is described in `request.ts`, what
 * annotations mean in `rules.ts`. Synchronous; a call whose arguments Cedar cannot hold is denied with
 * `POLICY_EVALUATION_FAILED`, and so is one for which a forbid or an ask could not be evaluated.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for what does not parse or validate, and when Cedar is not installed.
 */
export function cedarPolicy(options: CedarPolicyOptions): Policy {
  return cedarPolicyOn(sharedEngine(), options);
}
