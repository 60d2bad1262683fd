/**
 * The baseline: looks at /proc every 250 ms, and every second while nothing runs. It sees what is there at a look. What begins and
 * ends between two looks is missed, and what it reports has happened: most children of a few milliseconds, most short reads, and every
 * deletion are not seen (`bench/monitor-poll.ts` has the rates).
 */
import { CountersignError } from '@countersign/core';
import type { Action, ActionKind, Actor, Attribution } from '../activity.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { type ProcReader, procReader } from '../tree/proc-fs.ts';
import type { TrackedTree, TreeChange } from '../tree/tracked-tree.ts';
import { type Scan, TreeScanner } from '../tree/tree-scanner.ts';
import { OpenFiles } from './open-files.ts';
import { otherNames } from './other-names.ts';
import { SOCKET_INTERVAL_MS, Sockets } from './sockets.ts';
import { inSlices, type PollTiming, REAL_TIMING } from './timing.ts';
import { activitiesOf, actorOf } from './tree-changes.ts';

export interface ProcPollOptions {
  readonly tree: TrackedTree;
  /** Milliseconds between two looks: an integer from 20 to 60000; default 250. */
  readonly intervalMs?: number;
  /** Look at open files and sockets too, which costs most of a scan. Default true. */
  readonly files?: boolean;
  /** Files that are to be recognised under other names too (hard links). Absolute. */
  readonly guarded?: readonly string[];
  readonly reader?: ProcReader;
  /** Tests give a timer and clock of their own. */
  readonly timing?: PollTiming;
}

export const DEFAULT_POLL_MS = 250;
export const IDLE_POLL_MS = 1_000;
/** Looks in a row at which nothing had run, before it looks less often. */
const IDLE_LOOKS = 8;
const MIN_POLL_MS = 20;
const MAX_POLL_MS = 60_000;

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function procPoll(options: ProcPollOptions): ProcPoll {
  const { intervalMs = DEFAULT_POLL_MS } = options;
  if (!Number.isInteger(intervalMs) || intervalMs < MIN_POLL_MS || intervalMs > MAX_POLL_MS) {
    throw new CountersignError('OPTIONS_INVALID', `intervalMs must be an integer from ${MIN_POLL_MS} to ${MAX_POLL_MS}`);
  }
  return new ProcPoll(options, intervalMs);
}

export class ProcPoll implements Sensor {
  readonly name = 'proc-poll';
  readonly level: CoverageLevel = 'L0';
  readonly gives: readonly ActionKind[];
  readonly #tree: TrackedTree;
  readonly #reader: ProcReader;
  readonly #timing: PollTiming;
  readonly #intervalMs: number;
  readonly #scanner: TreeScanner;
  readonly #files: OpenFiles | undefined;
  readonly #sockets: Sockets;
  #host: SensorHost | undefined;
  #isStopped = false;
  #stopTimer: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  #scanning: Promise<void> | undefined;
  /** True while this sensor, and no other, changes the tree. */
  #isOurStep = false;
  #idleLooks = 0;
  #beganAt = Number.NEGATIVE_INFINITY;
  #since = Number.NEGATIVE_INFINITY;
  #seen = 0;
  #lost = 0;

  constructor({ tree, reader = procReader(), files = true, guarded = [], timing = REAL_TIMING }: ProcPollOptions, intervalMs: number) {
    this.#tree = tree;
    this.#reader = reader;
    this.#timing = timing;
    this.#intervalMs = intervalMs;
    this.#scanner = new TreeScanner(tree, reader);
    this.#files = files ? new OpenFiles(reader, otherNames(guarded)) : undefined;
    this.#sockets = new Sockets(reader);
    this.gives = files ? ['spawn', 'exec', 'exit', 'read', 'write', 'connect'] : ['spawn', 'exec', 'exit'];
  }

  /** Resolves after the first look. @throws {CountersignError} `MONITOR_UNAVAILABLE` without /proc */
  async start(host: SensorHost): Promise<void> {
    if (this.#reader.pids().length === 0) {
      throw new CountersignError('MONITOR_UNAVAILABLE', 'there is no /proc to poll on this system: use the ps poll');
    }
    this.#host = host;
    this.#stopListening = this.#tree.onChange((change) => this.#changed(change));
    await this.#look();
    this.#wait();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopTimer?.();
    await this.#scanning;
    this.#stopListening?.();
    this.#host = undefined;
  }

  /** Nothing of what it tells now was done before that: milliseconds of `timing.steady()`. */
  since(kind: ActionKind): number {
    return kind === 'connect' ? this.#since - SOCKET_INTERVAL_MS : this.#since;
  }

  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost + this.#sockets.lost };
  }

  #wait(): void {
    if (this.#isStopped) return;
    const idle = Math.max(this.#intervalMs, IDLE_POLL_MS);
    this.#stopTimer = this.#timing.after(this.#idleLooks >= IDLE_LOOKS ? idle : this.#intervalMs, () => {
      void this.#look().then(() => this.#wait());
    });
  }

  /** Never rejects: a sensor that fails says so and is dead. */
  #look(): Promise<void> {
    this.#scanning = this.#scan().catch((error: unknown) => {
      const host = this.#host;
      this.#isStopped = true;
      this.#stopListening?.();
      host?.died(error instanceof Error ? error : new Error(String(error)));
    });
    return this.#scanning;
  }

  async #scan(): Promise<void> {
    this.#since = this.#beganAt;
    this.#beganAt = this.#timing.steady();
    const scan = await this.#inSlices(this.#scanner.scan());
    this.#lost += scan.vanished;
    this.#idleLooks = scan.active.length === 0 ? this.#idleLooks + 1 : 0;
    if (this.#files === undefined) return;
    await this.#inSlices(this.#lookAtFiles(this.#files, scan));
    for (const { process, action } of this.#sockets.connected(this.#timing.steady())) {
      const member = this.#tree.get(process.pid);
      this.#emit(action, member?.start === process.start ? member : process, member?.attribution);
    }
  }

  /** What changes the tree in one of these steps is ours to report. */
  #inSlices<Result>(work: Generator<void, Result>): Promise<Result> {
    return inSlices(work, this.#timing, (run) => {
      this.#isOurStep = true;
      try {
        return run();
      } finally {
        this.#isOurStep = false;
      }
    });
  }

  *#lookAtFiles(files: OpenFiles, { active }: Scan): Generator<void, void> {
    for (const pid of active) {
      const process = this.#tree.get(pid);
      if (process === undefined) continue;
      const look = files.look(process, process.parent === undefined ? undefined : this.#tree.get(process.parent));
      this.#lost += look.lost;
      this.#sockets.holds(process, look.sockets);
      for (const action of look.opened) this.#emit(action, process, process.attribution);
      yield;
    }
  }

  #changed(change: TreeChange): void {
    if (change.kind === 'left') {
      this.#files?.forget(change.process.pid);
      this.#sockets.forget(change.process.pid);
    }
    // What another sensor found out, it reports itself.
    if (!this.#isOurStep) return;
    if (change.kind === 'full') this.#lost++;
    for (const { action, actor, attribution } of activitiesOf(change, this.#tree)) this.#emit(action, actor, attribution);
  }

  #emit(action: Action, actor: Actor | undefined, attribution: Attribution | undefined): void {
    if (this.#host === undefined) return;
    this.#seen++;
    this.#host.emit({
      at: this.#timing.now(),
      sensor: this.name,
      phase: 'after',
      ...(actor !== undefined && { actor: actorOf(actor) }),
      action,
      ...(attribution !== undefined && { attribution }),
    });
  }
}
