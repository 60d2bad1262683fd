/**
 * Which running process is meant by `attach`. A name only selects, once, and only when it fits exactly one: from then on the process is
 * pid and start time, and whatever gets the pid later is a stranger.
 */
import { CountersignError } from '@countersign/core';
import type { ProcessId } from '../activity.ts';
import type { ProcReader } from '../tree/proc-fs.ts';

/** Of those that fit, so many are named in the message. */
const MAX_NAMED = 10;
const MAX_ANCESTORS = 1_000;
const INTERPRETERS = new Set(['node', 'nodejs', 'bun', 'deno', 'python', 'python3', 'ruby', 'perl', 'sh', 'bash', 'dash', 'zsh']);

export interface ChooseOptions {
  readonly reader: Pick<ProcReader, 'pids' | 'stat' | 'exe' | 'argv' | 'owner'>;
  /** Ours. */
  readonly self: number;
  /** Ours; 0 may watch everybody. */
  readonly user: number;
}

/** @throws {CountersignError} `PROCESS_NOT_FOUND`, `PROCESS_REFUSED` for one that may not be watched */
export function processByPid(pid: number, options: ChooseOptions): ProcessId {
  const { reader, self, user } = options;
  const stat = Number.isSafeInteger(pid) && pid > 0 ? reader.stat(pid) : undefined;
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X')
    throw new CountersignError('PROCESS_NOT_FOUND', `there is no process ${pid}: it has ended, or never was`);
  if (pid === 1) throw refused('process 1 starts and holds all others: it cannot be stopped');
  if (stat.parent === 0 || stat.parent === 2) throw refused(`process ${pid} is the kernel's own`);
  if (pid === self || ancestors(self, reader).has(pid))
    throw refused(`process ${pid} is this command, or what started it: stopping it would stop the watching`);
  const owner = reader.owner(pid);
  if (user !== 0 && owner !== user)
    throw refused(`process ${pid} is ${owner === undefined ? "another user's" : `user ${owner}'s`}: attach as that user, or as root`);
  return { pid, start: stat.start };
}

/** @throws {CountersignError} as `processByPid`, and `PROCESS_NOT_FOUND` unless exactly one fits. */
export function processByName(name: string, options: ChooseOptions): ProcessId {
  const { reader, self, user } = options;
  const own = ancestors(self, reader);
  const fitting = reader
    .pids()
    .filter((pid) => pid !== self && !own.has(pid) && (user === 0 || reader.owner(pid) === user) && namesOf(pid, reader).has(name));
  const [only, ...others] = fitting;
  if (only === undefined)
    throw new CountersignError('PROCESS_NOT_FOUND', `no process of yours is called that: the name is that of its program or script, whole`);
  if (others.length > 0) {
    const named = fitting.slice(0, MAX_NAMED).join(', ');
    throw new CountersignError(
      'PROCESS_NOT_FOUND',
      `${fitting.length} processes are called that (${named}${fitting.length > MAX_NAMED ? ', ...' : ''}): say which with --pid`,
    );
  }
  return processByPid(only, options);
}

/** Of its program, and of the script an interpreter runs. What the process calls itself does not count: it may call itself anything. */
function namesOf(pid: number, reader: ChooseOptions['reader']): ReadonlySet<string> {
  const program = base(reader.exe(pid)?.replace(/ \(deleted\)$/, ''));
  const argv = reader.argv(pid) ?? [];
  const script =
    program !== undefined && INTERPRETERS.has(program.replace(/[0-9.]+$/, ''))
      ? argv.slice(1).find((word) => !word.startsWith('-'))
      : undefined;
  const scriptName = base(script);
  return new Set([program, scriptName, scriptName?.replace(/\.[a-z]{1,4}$/, '')].filter((each) => each !== undefined));
}

function base(path: string | undefined): string | undefined {
  return path === undefined || path === '' ? undefined : path.slice(path.lastIndexOf('/') + 1);
}

function ancestors(self: number, reader: Pick<ProcReader, 'stat'>): ReadonlySet<number> {
  const found = new Set<number>();
  for (
    let stat = reader.stat(self);
    stat !== undefined && !found.has(stat.parent) && found.size < MAX_ANCESTORS;
    stat = reader.stat(stat.parent)
  )
    found.add(stat.parent);
  return found;
}

function refused(message: string): CountersignError {
  return new CountersignError('PROCESS_REFUSED', message);
}
