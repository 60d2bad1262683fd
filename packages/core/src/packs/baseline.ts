/** What a newcomer gets before writing any rule: what hardly any agent should do without a person looking. */

import type { Policy } from '../policy/policy.ts';
import { type CommonOptions, definePack, type Pack, packPolicy } from './pack.ts';

export type BaselineOptions = CommonOptions;

/** Kinds that only say where a value stands: a tool that takes a password takes it under that name. */
const PLACES = "['key-name', 'header', 'authorization', 'bearer-token', 'basic-credentials', 'cookie', 'iban', 'card-number']";

export const baseline: Pack<BaselineOptions> = definePack<BaselineOptions>(
  {
    name: 'baseline',
    version: '1',
    summary: 'what hardly any agent should do without a person looking',
    blind: ['Only what stands in the arguments is seen, not what a tool does with them.'],
    rules: () => [
      {
        id: 'baseline.secret-leaves',
        tools: ['*send*', '*post*', '*publish*', '*upload*', '*comment*', '*message*', '*email*', '*mail*', '*fetch*', '*http*'],
        when: `findings.exists(found, !(found.kind in ${PLACES}))`,
        effect: 'require_approval',
        reason: 'a credential stands in what this call sends out',
        reason_code: 'BASELINE_SECRET_LEAVES',
      },
    ],
  },
  {},
);

/** The baseline pack as a policy, to put beside others: `policy: [baselinePack(), rulePolicy(...)]`. */
export function baselinePack(options: BaselineOptions = {}): Policy {
  return packPolicy(baseline, options);
}
