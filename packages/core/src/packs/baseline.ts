/**
 * What a newcomer gets before writing any rule: what hardly any agent should do without a person looking.
 *
 * Most rules ask; only what no ordinary call does is denied. Sequences are told by labels: `secret-read`, `surveyed`,
 * `dropped` and `injected` say what a session did, and rules about what goes out read them.
 *
 * Seam: a tool whose description *changed* is for the pins of the proxy, which compare it with what was accepted; a rule
 * sees only what the server says now.
 */
import type { Policy } from '../policy/policy.ts';
import { machine } from './baseline/machine.ts';
import { money } from './baseline/money.ts';
import { egress, secrets } from './baseline/outgoing.ts';
import { sequences } from './baseline/sequences.ts';
import { tools } from './baseline/tools.ts';
import { type CommonOptions, definePack, optionTexts, type Pack, packPolicy } from './pack.ts';

export interface BaselineOptions extends CommonOptions {
  /** Hosts inside that calls may go to. */
  readonly hosts?: readonly string[] | undefined;
}

export const baseline: Pack<BaselineOptions> = definePack<BaselineOptions>(
  {
    name: 'baseline',
    version: '1',
    summary: 'what hardly any agent should do without a person looking',
    example: {},
    blind: [
      'What a tool does with its arguments, and what programs and scripts do that a command starts.',
      'Secrets in a spelling that nothing decodes: encrypted, compressed, or reworded by the model.',
      'Destinations that names hide: a redirect, a name that answers with an inner address.',
      'Tools that changed since they were looked at: that is what pins are for.',
    ],
    rules: ({ hosts = [] }) => [...secrets(), ...egress(hosts), ...machine(), ...sequences(), ...money(), ...tools()],
  },
  { hosts: optionTexts.optional().describe('hosts of the inner network that calls may go to, such as *.ours.internal') },
);

/** The baseline pack as a policy, to put beside others: `policy: [baselinePack(), rulePolicy(...)]`. */
export function baselinePack(options: BaselineOptions = {}): Policy {
  return packPolicy(baseline, options);
}
