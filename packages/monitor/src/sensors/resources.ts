/**
 * What the tree uses, once a second: CPU time and memory by pidusage, threads, descriptors and bytes from /proc beside it.
 *
 * CPU time of processes that began and ended between two readings is not in it, nor is what one used after its last. Memory that
 * processes share counts for each.
 */
import { CountersignError } from '@countersign/core';
import type { ActionKind, ResourceAction } from '../activity.ts';
import { spentSince } from '../resources/adopted-servers.ts';
import { type IoReading, IoTotal } from '../resources/io-total.ts';
import { PIDUSAGE_OPTIONS } from '../resources/readings.ts';
import { MAX_TREE_PROCESSES, readProcesses, type TreeReading } from '../resources/tree-figures.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { type ProcReader, procReader } from '../tree/proc-fs.ts';
import type { ProcessTree, TreeProcess } from '../tree/process-tree.ts';
import { type PollTiming, REAL_TIMING } from './timing.ts';

export interface ResourceSensorOptions {
  /** Milliseconds between two readings: an integer from 100 to 60000; default 1000. */
  readonly intervalMs?: number;
  readonly reader?: ProcReader;
  /** Rejects when nothing could be read. */
  readonly usage?: (pids: readonly number[]) => Promise<TreeReading>;
  readonly timing?: PollTiming;
}

export const RESOURCE_INTERVAL_MS = 1_000;
const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 60_000;

/**
 * Of a tree larger than `MAX_TREE_PROCESSES` only the number of processes is told: a part is no figure of the whole.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function resourceSensor(options: ResourceSensorOptions = {}): Sensor {
  const { intervalMs = RESOURCE_INTERVAL_MS } = options;
  if (!Number.isInteger(intervalMs) || intervalMs < MIN_INTERVAL_MS || intervalMs > MAX_INTERVAL_MS) {
    throw new CountersignError('OPTIONS_INVALID', `intervalMs must be an integer from ${MIN_INTERVAL_MS} to ${MAX_INTERVAL_MS}`);
  }
  return new ResourceSensor(options, intervalMs);
}

interface LastReading {
  readonly atMs: number;
  readonly cpuMs: ReadonlyMap<number, number>;
}

class ResourceSensor implements Sensor {
  readonly name = 'resources';
  readonly level: CoverageLevel = 'L0';
  readonly gives: readonly ActionKind[] = ['resource'];
  readonly #reader: ProcReader;
  readonly #usage: (pids: readonly number[]) => Promise<TreeReading>;
  readonly #timing: PollTiming;
  readonly #intervalMs: number;
  readonly #io = new IoTotal();
  #host: SensorHost | undefined;
  #last: LastReading | undefined;
  #stopTimer: (() => void) | undefined;
  #reading: Promise<void> | undefined;
  #isStopped = false;
  #seen = 0;
  #lost = 0;

  constructor({ reader = procReader(), usage = readUsage, timing = REAL_TIMING }: ResourceSensorOptions, intervalMs: number) {
    this.#reader = reader;
    this.#usage = usage;
    this.#timing = timing;
    this.#intervalMs = intervalMs;
  }

  /** Resolves after the first reading. */
  async start(host: SensorHost): Promise<void> {
    this.#host = host;
    await this.#tick();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopTimer?.();
    // A reading that hangs is not waited for: what it brings is thrown away.
    this.#host = undefined;
  }

  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost };
  }

  async #tick(): Promise<void> {
    const host = this.#host;
    if (this.#isStopped || host === undefined) return;
    this.#stopTimer = this.#timing.after(this.#intervalMs, () => void this.#tick());
    if (this.#reading !== undefined) {
      this.#lost++;
      return;
    }
    this.#reading = this.#read(host.tree);
    await this.#reading;
    this.#reading = undefined;
  }

  /** Never rejects. */
  async #read(tree: ProcessTree): Promise<void> {
    const members = tree.members();
    if (members.length === 0) return;
    try {
      const figures = members.length > MAX_TREE_PROCESSES ? {} : { ...this.#counts(members), ...(await this.#used(members)) };
      if (members.length > MAX_TREE_PROCESSES) this.#lost++;
      this.#emit({ kind: 'resource', processes: members.length, ...figures });
    } catch {
      this.#lost++;
    }
  }

  async #used(members: readonly TreeProcess[]): Promise<Pick<ResourceAction, 'cpu_percent' | 'rss_bytes'>> {
    const { cpuMs, rssBytes } = await this.#usage(members.map(({ pid }) => pid));
    if (cpuMs.size === 0) throw new Error('nothing could be read of the tree');
    const now: LastReading = { atMs: this.#timing.steady(), cpuMs };
    const last = this.#last;
    this.#last = now;
    const passedMs = last === undefined ? 0 : now.atMs - last.atMs;
    const percent = last === undefined || passedMs <= 0 ? undefined : Math.round((spentSince(last.cpuMs, cpuMs) / passedMs) * 1_000) / 10;
    return {
      ...(percent !== undefined && Number.isFinite(percent) && { cpu_percent: percent }),
      ...(Number.isSafeInteger(rssBytes) && { rss_bytes: rssBytes }),
    };
  }

  /** Of those that are still there. Descriptors of another user's process cannot be counted: then there is no such figure. */
  #counts(members: readonly TreeProcess[]): Pick<ResourceAction, 'threads' | 'fds' | 'read_bytes' | 'write_bytes'> {
    let threads = 0;
    let fds: number | undefined = 0;
    const io: IoReading[] = [];
    for (const { pid, start, parent } of members) {
      const stat = this.#reader.stat(pid);
      if (stat?.start !== start) continue;
      threads += stat.threads;
      const open: number | undefined = this.#reader.descriptorCount(pid);
      fds = fds === undefined || open === undefined ? undefined : fds + open;
      const bytes = this.#reader.io(pid);
      if (bytes !== undefined) io.push({ pid, start, parent, io: bytes });
    }
    if (threads === 0) return {};
    const bytes = io.length === 0 ? undefined : this.#io.add(io);
    return {
      threads,
      ...(fds !== undefined && { fds }),
      ...(bytes !== undefined && { read_bytes: bytes.readBytes, write_bytes: bytes.writeBytes }),
    };
  }

  #emit(action: ResourceAction): void {
    if (this.#host === undefined) return;
    this.#seen++;
    this.#host.emit({ at: this.#timing.now(), sensor: this.name, phase: 'after', action });
  }
}

function readUsage(pids: readonly number[]): Promise<TreeReading> {
  return readProcesses(pids, PIDUSAGE_OPTIONS);
}
