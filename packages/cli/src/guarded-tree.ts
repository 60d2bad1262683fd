/**
 * Whether this process was started, directly or not, by something that is itself guarded: an agent must not answer the
 * approval it waits for by running our own command.
 *
 * Two signs: a variable, which a hostile child can remove; and an ancestor that writes to the ledger right now, or whose hooks
 * do, which it cannot. Of the variables `proxy` sets COUNTERSIGN_GUARDED for the server it starts. COUNTERSIGN_CALL is set by nobody
 * here: it is a marker that hosts may set, to the id of the call, for what a tool starts. Not seen: a process that detached itself so far that its ancestors
 * are gone, and agents whose guard runs in another branch of the tree. That is what approver keys with a passphrase,
 * or another user, are for.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { CountersignError } from '@countersign/core';

/** How far up is looked. Real trees are far less deep. */
export const MAX_ANCESTORS = 64;
/** By its full path: whoever started us chose PATH. */
const PS = '/bin/ps';
const PS_TIMEOUT_MS = 2000;
const MAX_PS_BYTES = 65_536;
const MARKS = ['COUNTERSIGN_CALL', 'COUNTERSIGN_GUARDED'];

/**
 * @param writers - pids of the processes that write to the ledger now.
 * @param refused - makes the error; default: an answer is refused.
 * @throws {CountersignError} `APPROVER_REFUSED`
 */
export function refuseInsideGuard(
  env: NodeJS.ProcessEnv,
  writers: readonly number[],
  refused: (why: string) => CountersignError = answerRefused,
): void {
  const mark = guardMark(new Map(Object.entries(env)));
  if (mark !== undefined) {
    throw refused(`${mark} is set, so this command runs inside a guarded process tree`);
  }
  const guard = ancestors(process.pid).find((pid) => writers.includes(pid));
  if (guard !== undefined) throw refused(`process ${guard}, which started this command, is a guard of this ledger`);
}

/** The variable that says so, if one does. */
export function guardMark(env: ReadonlyMap<string, string | undefined>): string | undefined {
  return MARKS.find((name) => (env.get(name) ?? '') !== '');
}

/** Parents of a process, nearest first. From /proc, else from `ps`; where there is neither only the direct parent is known. */
export function ancestors(pid: number): readonly number[] {
  const found: number[] = [];
  let parent = pid === process.pid ? process.ppid : parentOf(pid);
  while (parent !== undefined && parent > 0 && found.length < MAX_ANCESTORS && !found.includes(parent)) {
    found.push(parent);
    parent = parentOf(parent);
  }
  return found;
}

function parentOf(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    // With a /proc, as on Linux, the process is gone. Without, as on macOS, somebody else has to be asked.
    return existsSync('/proc/self/stat') ? undefined : parentFromPs(pid);
  }
  // A process chooses its own name, which may hold spaces and parentheses: fields count from the last one.
  const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  return Number.isSafeInteger(parent) ? parent : undefined;
}

/** Undefined when the process is gone, or there is no `ps` that answers in time. */
export function parentFromPs(pid: number): number | undefined {
  const text = psOf('ppid', pid);
  return text !== undefined && /^\s*[0-9]{1,10}\s*$/.test(text) ? Number(text) : undefined;
}

/** What `ps` says of one process; undefined when that is gone, or there is no `ps` that answers in time. */
export function psOf(field: 'ppid' | 'command', pid: number): string | undefined {
  try {
    return execFileSync(PS, ['-o', `${field}=`, '-p', String(pid)], {
      encoding: 'utf8',
      env: {},
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: PS_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_PS_BYTES,
    });
  } catch {
    return undefined;
  }
}

function answerRefused(why: string): CountersignError {
  return new CountersignError('APPROVER_REFUSED', `${why}: approvals are answered from outside; use a terminal the agent did not start`);
}
