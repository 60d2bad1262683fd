/** Where the activity log lies that a command reads, and the ledger that belongs to it. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Config, loadConfig } from '@countersign/core';
import { stateDirectory } from '@countersign/core/sqlite';
import type { Invocation, Option } from '../command.ts';
import { configOf, hasConfig } from '../configuration.ts';

export const LOG_DIR_OPTION: Option = {
  name: 'log-dir',
  kind: 'text',
  value: 'FOLDER',
  about: 'where activity log and incidents are; default `monitor.log.dir`',
};

export interface LogPlace {
  /** Absolute. */
  readonly dir: string;
  /** None: a log folder was named, and there is no configuration. */
  readonly config: Config | undefined;
}

/**
 * What was watched without a configuration lies in the state directory, as `run` says when it starts.
 *
 * @throws {CountersignError} `CONFIG_NOT_FOUND` when nothing tells where it is.
 */
export function logPlace({ io, flags }: Pick<Invocation, 'io' | 'flags'>): LogPlace {
  const given = flags.text('log-dir');
  const unconfigured = join(stateDirectory(io.env), 'unconfigured', 'countersign.yaml');
  const isUnconfigured = !hasConfig({ io, flags });
  if (isUnconfigured && given !== undefined && !existsSync(unconfigured)) return { dir: resolve(io.cwd, given), config: undefined };
  const config = isUnconfigured && existsSync(unconfigured) ? loadConfig(unconfigured, { env: io.env }) : configOf({ io, flags });
  return { dir: given === undefined ? config.monitor.log.dir : resolve(io.cwd, given), config };
}
