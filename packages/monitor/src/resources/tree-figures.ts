/** A process and everything it started, and what they use. Which processes those are comes from /proc, or else from `ps`. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import pidusage from 'pidusage';

/** A larger tree is not read: what is read of it would be no figure of it. */
export const MAX_TREE_PROCESSES = 1_024;
const PS = '/bin/ps';
const PS_LIMITS = { encoding: 'utf8', env: {}, timeout: 2_000, killSignal: 'SIGKILL', maxBuffer: 4 * 1024 * 1024 } as const;

/** What pidusage takes. Of our own: it brings no types. */
export interface PidusageOptions {
  /** How long what it knows of a process is kept, milliseconds. */
  readonly maxage: number;
  readonly usePs: boolean;
}

export interface TreeReading {
  /** Resident memory of all of them, bytes; pages they share count for each. */
  readonly rssBytes: number;
  /** CPU time of each process since it started, milliseconds, by pid. */
  readonly cpuMs: ReadonlyMap<number, number>;
}

/** Rejects when the process is gone, the tree is too large, or the platform cannot tell. */
export async function readTree(root: number, options: PidusageOptions): Promise<TreeReading> {
  const reading = await readProcesses([...descendants(root, await parents())], options);
  if (!reading.cpuMs.has(root)) throw new Error(`pidusage found no process ${root}`);
  return reading;
}

/** Of these processes, without those that are gone by now; at least one. Rejects when the platform cannot tell. */
export async function readProcesses(pids: readonly number[], options: PidusageOptions): Promise<TreeReading> {
  const statuses: Readonly<Record<string, pidusage.Status | undefined | null>> = await pidusage([...pids], options);
  const cpuMs = new Map<number, number>();
  let rssBytes = 0;
  for (const status of Object.values(statuses)) {
    if (status === undefined || status === null) continue;
    cpuMs.set(status.pid, status.ctime);
    rssBytes += status.memory;
  }
  return { rssBytes, cpuMs };
}

/** @param parentOf - the parent of each process. */
export function descendants(root: number, parentOf: ReadonlyMap<number, number>): ReadonlySet<number> {
  const children = new Map<number, number[]>();
  for (const [pid, parent] of parentOf) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const found = new Set([root]);
  for (const pid of found) {
    for (const child of children.get(pid) ?? []) found.add(child);
    if (found.size > MAX_TREE_PROCESSES) throw new Error(`process ${root} has more than ${MAX_TREE_PROCESSES} descendants`);
  }
  return found;
}

async function parents(): Promise<ReadonlyMap<number, number>> {
  if (!existsSync('/proc/self/stat')) return parentsFromPs();
  const pids = (await readdir('/proc')).map(Number).filter(Number.isSafeInteger);
  const found = new Map<number, number>();
  await Promise.all(
    pids.map(async (pid) => {
      try {
        const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
        // A process chooses its own name, which may hold spaces and parentheses: fields count from the last one.
        found.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      } catch {
        // Gone meanwhile.
      }
    }),
  );
  return found;
}

async function parentsFromPs(): Promise<ReadonlyMap<number, number>> {
  const { stdout } = await promisify(execFile)(PS, ['-A', '-o', 'pid=,ppid='], PS_LIMITS);
  return new Map(
    stdout.split('\n').flatMap((line) => {
      const [pid, parent] = line.trim().split(/\s+/).map(Number);
      return pid !== undefined && parent !== undefined ? [[pid, parent] as const] : [];
    }),
  );
}
