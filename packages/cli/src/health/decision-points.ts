/** Whether the decision point that is asked, and the one we offer, could be used now. Asks and opens nothing; a failure says why itself. */
import { configuredClients, configuredPolicy } from '@countersign/connect';
import type { Config } from '@countersign/core';
import type { Verdict } from './finding.ts';

/** True when the configuration names a decision point to ask, or clients that may ask us. */
export function hasDecisionPoints({ authzen, serve }: Config): boolean {
  return authzen !== undefined || serve.clients.length > 0;
}

/** @throws {CountersignError} `CONFIG_INVALID` */
export function decisionPoints(config: Config, env: NodeJS.ProcessEnv): Verdict {
  const policy = configuredPolicy(config, { env });
  const clients = configuredClients(config, env);
  const asked = config.authzen === undefined ? [] : [`every call is also put to the decision point of policy ${policy.id}`];
  const served = clients.length === 0 ? [] : [`serve takes tokens of ${clients.map(({ agent }) => agent).join(', ')}`];
  return { status: 'ok', message: ['nothing was asked, looked at only', ...asked, ...served].join('\n') };
}
