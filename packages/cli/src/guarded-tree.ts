/**
 * Whether this process was started, directly or not, by something that is itself guarded: an agent must not answer the
 * approval it waits for by running our own command.
 *
 * Two signs: a variable that guards set for what they start, which a hostile child can remove; and an ancestor that
 * writes to the ledger right now, which it cannot. Not seen: a process that detached itself so far that its ancestors
 * are gone, and agents whose guard runs in another branch of the tree. That is what approver keys with a passphrase,
 * or another user, are for.
 */
import { readFileSync } from 'node:fs';
import { CountersignError } from '@countersign/core';

/** How far up is looked. Real trees are far less deep. */
export const MAX_ANCESTORS = 64;
const MARKS = ['COUNTERSIGN_CALL', 'COUNTERSIGN_GUARDED'];

/**
 * @param writers - pids of the processes that write to the ledger now.
 * @throws {CountersignError} `APPROVER_REFUSED`
 */
export function refuseInsideGuard(env: NodeJS.ProcessEnv, writers: readonly number[]): void {
  const mark = MARKS.find((name) => env[name] !== undefined && env[name] !== '');
  if (mark !== undefined) {
    throw refused(`${mark} is set, so this command runs inside a guarded process tree`);
  }
  const guard = ancestors(process.pid).find((pid) => writers.includes(pid));
  if (guard !== undefined) throw refused(`process ${guard}, which started this command, is a guard of this ledger`);
}

/** Parents of a process, nearest first. Where there is no /proc only the direct parent is known. */
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
    return undefined;
  }
  // A process chooses its own name, which may hold spaces and parentheses: fields count from the last one.
  const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  return Number.isSafeInteger(parent) ? parent : undefined;
}

function refused(why: string): CountersignError {
  return new CountersignError('APPROVER_REFUSED', `${why}: approvals are answered from outside; use a terminal the agent did not start`);
}
