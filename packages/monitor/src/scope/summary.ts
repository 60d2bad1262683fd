/** A scope in a few lines, for a judge and for people. */
import { escapeForTerminal } from '@countersign/core/light';
import type { Scope } from './scope.ts';

/** Of each list; the rest is counted. */
const MAX_SHOWN = 20;

export function scopeSummary(scope: Scope): string {
  const { filesystem, network, process: processes, limits } = scope;
  const lines = [
    ...(scope.agent === undefined ? [] : [`agent: ${escapeForTerminal(scope.agent)}`]),
    `may read and write: ${shown(filesystem.allowedPaths, 'read anywhere but secrets, write in the workspace and in caches')}`,
    `may not touch: ${shown(filesystem.forbiddenPaths)}`,
    `may not write: ${shown(filesystem.forbiddenWrites)}`,
    `may not touch files ending in: ${shown(filesystem.forbiddenExtensions)}`,
    `may connect to: ${shown(network.allowedDomains, 'anywhere')}, ports ${shown(network.allowedPorts, 'any')}`,
    `may not connect to: ${shown(network.forbiddenDomains)}`,
    `may run: ${shown(processes.allowedCommands, 'anything')}`,
    `may not run: ${shown(processes.forbiddenCommands)}`,
    `at most ${limits.deletions} deletions in 10 s, ${limits.connectionsPerMinute} connections in 60 s${
      limits.actionsPerMinute === undefined ? '' : `, ${limits.actionsPerMinute} actions a minute`
    }`,
  ];
  return lines.join('\n');
}

function shown(items: readonly (string | number)[] | undefined, absent = 'nothing'): string {
  if (items === undefined) return absent;
  if (items.length === 0) return 'nothing';
  const rest = items.length - MAX_SHOWN;
  return `${items
    .slice(0, MAX_SHOWN)
    .map((item) => escapeForTerminal(String(item)))
    .join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
