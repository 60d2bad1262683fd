/** Where the figures come from: this process's own counters, and pidusage for the samples in between. */
import { AsyncLocalStorage } from 'node:async_hooks';
import pidusage from 'pidusage';
import { type PidusageOptions, readTree, type TreeReading } from './tree-figures.ts';

/** What the monitor reads. Any method may throw or reject: the monitor counts that and goes on. */
export interface ResourceReadings {
  /** User and system CPU time of the process since its start, microseconds. */
  cpuMicros(): number;
  /** Resident memory now, bytes. Cheap enough for the end of a call, not for its beginning. */
  rssBytes(): number;
  /** Resident memory as the operating system tells it, bytes. */
  sample(): Promise<number>;
  /** What another process and everything it started use. */
  tree(pid: number): Promise<TreeReading>;
  /** Calls `tick` every `intervalMs` until the returned function is called. Never keeps the process alive. */
  every(intervalMs: number, tick: () => void): () => void;
}

/** The readings of this very process. */
export function processReadings(): ResourceReadings {
  return {
    cpuMicros: () => {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    rssBytes: () => process.memoryUsage.rss(),
    sample: () => sampleProcess(process.pid),
    tree: (pid) => readTree(pid, PIDUSAGE_OPTIONS),
    every: repeat,
  };
}

/**
 * Resident memory of a process in bytes, read by pidusage.
 *
 * Rejects when the process is gone or the platform cannot tell.
 */
export async function sampleProcess(pid: number): Promise<number> {
  // For a process that is gone pidusage rejects on some platforms and answers `undefined` on others, whatever its types say.
  const status: pidusage.Status | undefined = await pidusage(pid, PIDUSAGE_OPTIONS);
  if (status === undefined || status === null) throw new Error(`pidusage found no process ${pid}`);
  return status.memory;
}

/**
 * Both are given so that the host's environment cannot change them: with `PIDUSAGE_MAXAGE=0` pidusage never returns and
 * leaks a descriptor per turn, with `PIDUSAGE_USE_PS` it spawns a process per sample.
 */
export const PIDUSAGE_OPTIONS: PidusageOptions = { maxage: 60_000, usePs: false };

/** The first call of a process starts the timer; without this its async context would own every later sample. */
const outsideAnyCall = AsyncLocalStorage.snapshot();

function repeat(intervalMs: number, tick: () => void): () => void {
  const timer = outsideAnyCall(() => setInterval(tick, intervalMs).unref());
  return () => clearInterval(timer);
}
