/** The configuration of a command that guards or watches, also where there is none. */
import { type Config, loadConfig } from '@countersign/core';
import type { Invocation } from './command.ts';
import { configOf, hasConfig } from './configuration.ts';
import { defaultConfigPath } from './default-config.ts';
import { safe } from './output.ts';

/**
 * The configuration, or, when there is none, one that only watches: loudly, and on record all the same.
 *
 * @param blocked - by mode, what becomes of calls or processes without rules: `NOTHING IS BLOCKED`.
 */
export function configuredOrWatching(
  invocation: Invocation,
  env: NodeJS.ProcessEnv,
  blocked: { readonly audit: string; readonly otherwise: string },
): Config {
  const { io, output } = invocation;
  if (hasConfig(invocation)) return configOf({ ...invocation, io: { ...io, env } });
  const config = loadConfig(defaultConfigPath(io.env), { env });
  output.note(
    `countersign: NO CONFIGURATION FOUND: mode ${config.mode}, ${config.mode === 'audit' ? blocked.audit : blocked.otherwise}; ledger ${safe(config.ledger.path)}; to enforce rules of your own: countersign init, then mode: enforce`,
  );
  return config;
}
