/** The file a policy command is about. */
import { relative } from 'node:path';
import type { Invocation } from './command.ts';
import { configPath } from './configuration.ts';

export const POLICY_FILE_NOTE =
  'FILE is a configuration, or a file that holds what stands under `policy:` alone. Without one it is the configuration.';

/** The file as messages show it: as it was named, or relative to where the command runs. */
export function policyFile({ io, flags, positionals }: Pick<Invocation, 'io' | 'flags' | 'positionals'>): {
  readonly path: string;
  readonly shown: string;
} {
  const path = configPath({ io, flags: positionals[0] === undefined ? flags : flags.with('config', positionals[0]) });
  return { path, shown: positionals[0] ?? flags.text('config') ?? (relative(io.cwd, path) || path) };
}
