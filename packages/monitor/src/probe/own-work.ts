/**
 * What Countersign itself does in the process it watches, so that writing the ledger is no activity of an agent.
 *
 * Two narrow doors, and who could go through them. Code of core or of this package may touch the guard's own files: told by the script
 * that calls the built-in, which code in the same process can forge (`vm` takes any file name) or reach by calling that code. And
 * the sampler may read /proc and run `ps`, told by an async context that whoever imports this very file can open. Neither leads to
 * anything else: not to a secret, not to the network. What it can lead to is the ledger, whose entries are chained, signed and checked.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import nodeUrl from 'node:url';
import type { Action } from '../activity.ts';
import { originals } from './originals.ts';

const sampling = new AsyncLocalStorage<true>();
// Whoever replaces the methods of its class later does not get hold of it.
for (const name of ['getStore', 'run', 'enterWith'] as const)
  Object.defineProperty(sampling, name, { value: AsyncLocalStorage.prototype[name] });

/** The monitor's own readings. */
export function withinOwnWork<T>(work: () => T): T {
  return sampling.run(true, work);
}

const SAMPLERS = new Set(['ps', '/bin/ps', 'getconf']);
const MAX_FRAMES = 20;

/** @param files - absolute; folders stand for what is below them. */
export function ownWork(files: readonly string[]): (action: Action) => boolean {
  const own = [...new Set(files.map(followed))];
  return (action) => (sampling.getStore() === true && isSampling(action)) || (own.length > 0 && touches(action, own) && isCalledByUs());
}

/** Core's threads write the ledger: no agent's code runs in them. Only core starts them so. */
export function isOwnThread(file: string): boolean {
  return OURS.some((folder) => file.startsWith(folder)) && /-thread\.[jt]s$/.test(file) && isCalledByUs();
}

function isSampling(action: Action): boolean {
  if (action.kind === 'read') return (action.resolved ?? action.path).startsWith('/proc/');
  return action.kind === 'exec' && SAMPLERS.has(action.exe);
}

function touches(action: Action, own: readonly string[]): boolean {
  if (action.kind !== 'read' && action.kind !== 'write' && action.kind !== 'delete' && action.kind !== 'rename') return false;
  const paths = action.kind === 'rename' ? [action.path, action.to] : [action.resolved ?? action.path];
  return paths.every((path) => own.some((each) => path === each || path.startsWith(`${each}/`)));
}

/** The first script below the probe and Node itself. */
function isCalledByUs(): boolean {
  const caller = originals
    .getCallSites(MAX_FRAMES)
    .map(({ scriptName }) => (scriptName.startsWith('file:') ? nodeUrl.fileURLToPath(scriptName) : scriptName))
    .find((script) => !script.startsWith('node:') && !script.startsWith(PROBE));
  return caller !== undefined && OURS.some((folder) => caller.startsWith(folder));
}

const PROBE = nodeUrl.fileURLToPath(new URL('.', import.meta.url));
const OURS = [nodeUrl.fileURLToPath(new URL('..', import.meta.url)), ...coreFolder()];

function coreFolder(): readonly string[] {
  try {
    return [nodeUrl.fileURLToPath(new URL('..', import.meta.resolve('@countersign/core/light')))];
  } catch {
    return [];
  }
}

function followed(file: string): string {
  try {
    return originals.realpath(file);
  } catch {
    return file;
  }
}
