/**
 * An agent must not take the guard off itself, nor put one with other rules in its place, by running `wrap` or `unwrap` from its
 * own shell. Asked are the ledgers of the hooks that are installed, and that of the configuration at hand.
 */
import { CountersignError, loadConfig } from '@countersign/core';
import type { Invocation } from '../command.ts';
import { configPath, hasConfig } from '../configuration.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { writersOf } from '../ledger-writers.ts';
import { hookConfigs } from './claude-hooks.ts';
import { readConfigFile } from './config-file.ts';
import { settingsPaths } from './hook-settings.ts';

/** @throws {CountersignError} `APPROVER_REFUSED` */
export function refuseChangesInsideGuard(invocation: Invocation): void {
  const installed = settingsPaths(invocation).flatMap((path) => {
    const file = readConfigFile(path);
    return file === undefined ? [] : hookConfigs(file);
  });
  const configs = new Set([...installed, ...(hasConfig(invocation) ? [configPath(invocation)] : [])]);
  const writers = [...configs].flatMap((path) => writersUnder(path, invocation.io.env));
  refuseInsideGuard(
    invocation.io.env,
    writers,
    (why) =>
      new CountersignError(
        'APPROVER_REFUSED',
        `${why}: clients are wrapped and unwrapped from outside; use a terminal the agent did not start`,
      ),
  );
}

/** A configuration that cannot be read guards nobody, and must not keep anybody from taking its hook out. */
function writersUnder(path: string, env: NodeJS.ProcessEnv): readonly number[] {
  try {
    return writersOf(loadConfig(path, { env }));
  } catch (error) {
    if (CountersignError.is(error)) return [];
    throw error;
  }
}
