/** Programs known by name. One that is not known runs, may touch the paths it names, and is judged no further. */
import { ARCHIVES } from './archives.ts';
import { BUILTINS } from './builtins.ts';
import type { Call, Handler } from './call.ts';
import { CONTAINERS } from './containers.ts';
import { DATABASES } from './databases.ts';
import { FILES } from './files.ts';
import { git } from './git.ts';
import { NETWORK } from './network.ts';
import { MANAGER_HANDLERS } from './packages.ts';
import { READING } from './reading.ts';
import { awk, FOLLOWED_SHELLS, interpreterHandlers, OTHER_SHELLS, otherShell, shell, su } from './shells.ts';
import { printsVariables, SYSTEM } from './system.ts';
import { TEXT_COMMANDS } from './text.ts';
import { wrapperHandlers, xargs } from './wrappers.ts';

/** Bare `env` prints every variable, and with them the secrets of the environment. */
function env(wrapped: Handler): Handler {
  return (call: Call) => {
    if (call.args.every((arg) => arg.startsWith('-') || arg.includes('='))) printsVariables(call);
    wrapped(call);
  };
}

const WRAPPED = new Map(wrapperHandlers());
const envWrapper = WRAPPED.get('env');

/** Later ones replace earlier ones of the same name. */
export const COMMANDS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ...FILES,
  ...READING,
  ...ARCHIVES,
  ...TEXT_COMMANDS,
  ...SYSTEM,
  ...NETWORK,
  ...CONTAINERS,
  ...DATABASES,
  ...MANAGER_HANDLERS,
  ...BUILTINS,
  ...WRAPPED,
  ...(envWrapper === undefined ? [] : ([['env', env(envWrapper)]] as const)),
  ...interpreterHandlers(),
  ...MANAGER_HANDLERS.filter(([name]) => name === 'bun'),
  ...FOLLOWED_SHELLS.map((name): readonly [string, Handler] => [name, shell]),
  ...OTHER_SHELLS.map((name): readonly [string, Handler] => [name, otherShell]),
  ['su', su],
  ['sg', su],
  ['newgrp', su],
  ['awk', awk],
  ['gawk', awk],
  ['mawk', awk],
  ['nawk', awk],
  ['goawk', awk],
  ['original-awk', awk],
  ['bwk', awk],
  ['xargs', xargs],
  ['git', git],
  ['hub', git],
]);
