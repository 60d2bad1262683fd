import { setTimeout as pause } from 'node:timers/promises';
import type { CallWatch, HostMonitor, MonitorHost, ResourceFigures, WatchedProcess } from '@countersign/core';
import { CountersignError } from '@countersign/core';
import type { Activity } from './activity.ts';
import type { Freezer } from './contain/freezer.ts';
import type { FollowIncident } from './incident-story.ts';
import { HostProbe, type HostProbeOptions, type ProbeStats } from './probe/host-probe.ts';
import { withinOwnWork } from './probe/own-work.ts';
import { Reactions } from './reactions.ts';
import { RecentCalls } from './recent-calls.ts';
import { AdoptedServers, type ServerReading } from './resources/adopted-servers.ts';
import type { ResourceReadings } from './resources/readings.ts';
import { processReadings } from './resources/readings.ts';
import type { CoverageLevel } from './sensor.ts';
import type { MonitorMode, Verdict } from './verdict.ts';

export interface HostMonitorOptions {
  /** Milliseconds between two samples while a call is in flight: an integer from 100 to 60000; default 1000. */
  readonly sampleMs?: number;
  /** What is done about verdicts; default what the scope of the probe says, else `enforce_kill`. */
  readonly mode?: MonitorMode;
  /**
   * Watches what this process does, from inside: on when the guard opens its monitor, off with `close()`. Coverage is then `L1`, and what
   * the scope forbids is refused before it happens. Default: off.
   */
  readonly probe?: boolean | HostProbeOptions;
  /** Stops what this host started when a verdict says so. Absent: its sessions are halted, and its children run on. */
  readonly freezer?: Freezer;
  /** Told of verdicts that could not be recorded, and of halts that the ledger did not take. */
  readonly onError?: (error: unknown, during: string) => void;
}

export interface MonitorStats {
  /** Samples taken so far. */
  readonly samples: number;
  /** Samples that failed, gave nonsense, or were due while an earlier one had not come back. */
  readonly lost: number;
  /** Present with a probe. */
  readonly probe?: ProbeStats;
}

/** Whose deed a verdict is on. */
export interface JudgedBy {
  /** Of the call it was done in. */
  readonly session?: string;
  /** Whose process did it: it belongs to the calls in flight there. */
  readonly server?: string;
  /** It was done at that time of `performance.now()` or later; absent: now. */
  readonly since?: number;
  /** Of the processes it is about; absent: the one the monitor was given. */
  readonly freezer?: Freezer;
  /** Keeps the story of what is stopped by it. */
  readonly follow?: FollowIncident;
}

/** A monitor inside of the host: it sees resource figures, with a probe what the host does, and acts on verdicts. */
export interface ResourceMonitor extends HostMonitor {
  /** `none`: what watched the processes of a server is dead. */
  readonly coverage: CoverageLevel | 'none';
  /**
   * From now on calls of this server are watched in the processes that run it: figures of a call that was in flight at a sample
   * have scope `tree`. A server may have several processes; their figures are added up.
   *
   * @returns to be called when the process ended: its pid may then be another's.
   * @throws {CountersignError} `OPTIONS_INVALID` for what is no pid
   */
  adopt(process: WatchedProcess): () => void;
  /**
   * Takes a verdict on something that this host, or a process of one of its servers, did. A HALT or KILL refuses further calls of the
   * session it belongs to at once, of each session it may belong to, or, when nobody knows whose it is, of every session; it is
   * recorded, and what this host started is frozen or ended where a freezer was given. Returns at once, and never throws.
   */
  judged(activity: Activity, verdict: Verdict, by?: JudgedBy): void;
  /** What can be seen is more or less from now on: recorded in the sessions that have calls here. */
  covers(level: CoverageLevel | 'none'): void;
  stats(): MonitorStats;
}

/** More calls than this in flight at once and `begin` refuses: each costs work on every sample. */
export const MAX_WATCHES = 10_000;
const DEFAULT_SAMPLE_MS = 1_000;
const MIN_SAMPLE_MS = 100;
const MAX_SAMPLE_MS = 60_000;

/**
 * Watches CPU time and memory of the process behind a guard, or of the processes of a server it was told of (`adopt`). Coverage
 * is `L0`: it sees figures, prevents nothing, and every figure is of whole processes, so calls that overlap share it. With `probe`
 * it is `L1`: files, processes and connections of this process and of Node processes below it are judged before they happen.
 *
 * `begin` throws `MONITOR_CLOSED` after `close()` and `CALL_LIMIT` past `MAX_WATCHES`; the guard turns both into a deny.
 * Failing samples are counted in `stats()` and never reach the host.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function hostMonitor(options: HostMonitorOptions = {}): ResourceMonitor {
  return monitorOf(processReadings(), options);
}

/** `hostMonitor` over given readings. */
export function monitorOf(readings: ResourceReadings, options: HostMonitorOptions = {}): ResourceMonitor {
  return new SamplingMonitor(readings, sampleIntervalMs(options), options);
}

function sampleIntervalMs({ sampleMs = DEFAULT_SAMPLE_MS }: HostMonitorOptions): number {
  if (!Number.isInteger(sampleMs) || sampleMs < MIN_SAMPLE_MS || sampleMs > MAX_SAMPLE_MS) {
    throw new CountersignError('OPTIONS_INVALID', `sampleMs must be an integer from ${MIN_SAMPLE_MS} to ${MAX_SAMPLE_MS}`);
  }
  return sampleMs;
}

class SamplingMonitor implements ResourceMonitor {
  coverage: CoverageLevel | 'none' = 'L0';
  readonly #reactions: Reactions;
  readonly #calls = new RecentCalls();
  readonly #hosts: MonitorHost[] = [];
  readonly #onError: HostMonitorOptions['onError'];
  readonly #probe: HostProbe | undefined;
  readonly #readings: ResourceReadings;
  readonly #sampleMs: number;
  readonly #inFlight = new Set<Watch>();
  readonly #servers = new AdoptedServers();
  #stopTimer: (() => void) | undefined;
  #sampling = false;
  #closed = false;
  #samples = 0;
  #lost = 0;

  constructor(readings: ResourceReadings, sampleMs: number, { mode: asked, freezer, onError, probe = false }: HostMonitorOptions) {
    if (probe !== false) {
      const options = probe === true ? {} : probe;
      this.#probe = new HostProbe(options, asked, (activity, verdict, session) =>
        this.judged(activity, verdict, session === undefined ? {} : { session }),
      );
      this.coverage = 'L1';
    }
    const mode = this.#probe?.mode ?? asked;
    this.#readings = readings;
    this.#sampleMs = sampleMs;
    this.#onError = onError;
    this.#reactions = new Reactions({
      ...(mode !== undefined && { mode }),
      ...(freezer !== undefined && { freezer }),
      ...(onError !== undefined && { onError }),
      every: (intervalMs, tick) => readings.every(intervalMs, tick),
      pause: (ms) => pause(ms, undefined, { ref: false }),
    });
  }

  open(host: MonitorHost): void {
    this.#reactions.open(host);
    this.#hosts.push(host);
    this.#probe?.on(host.files);
  }

  begin(callId: string, call?: { readonly server?: string; readonly session?: string }): CallWatch {
    // What a child did since the last call may be why this one must not run.
    this.#probe?.poll();
    if (this.#reactions.isStopping(call?.session))
      throw new CountersignError('SESSION_STOPPED', 'the session was stopped: no call of it runs', { details: { callId } });
    if (this.#closed) {
      throw new CountersignError('MONITOR_CLOSED', 'the host monitor is closed: make a new one', { details: { callId } });
    }
    if (this.#inFlight.size >= MAX_WATCHES) {
      throw new CountersignError('CALL_LIMIT', `the host monitor watches at most ${MAX_WATCHES} calls at once`, { details: { callId } });
    }
    this.#probe?.on();
    const watch = new Watch(
      this.#readings,
      (ended) => {
        this.#inFlight.delete(ended);
        this.#calls.ended(callId);
      },
      call?.server,
    );
    this.#stopTimer ??= this.#readings.every(this.#sampleMs, () => this.#tick());
    this.#inFlight.add(watch);
    this.#calls.began(callId, call);
    return watch;
  }

  adopt({ pid, server }: WatchedProcess): () => void {
    if (!Number.isSafeInteger(pid) || pid < 1) throw new CountersignError('OPTIONS_INVALID', 'adopt takes the pid of a process');
    return this.#closed ? () => {} : this.#servers.adopt(server, pid);
  }

  judged(activity: Activity, verdict: Verdict, by: JudgedBy = {}): void {
    try {
      const known = this.#calls.attribute(activity.attribution, by.server, by.since);
      this.#reactions.judged({ ...activity, attribution: known }, verdict, this.#calls.whose(known, by.session), by.freezer, by.follow);
    } catch (error) {
      this.#report(error, 'acting on a verdict');
    }
  }

  covers(level: CoverageLevel | 'none'): void {
    if (level === this.coverage) return;
    this.coverage = level;
    for (const host of this.#hosts)
      for (const session of this.#calls.sessions())
        host.mark('coverage', { session, coverage: level }).catch((error: unknown) => this.#report(error, 'recording what can be seen'));
  }

  #report(error: unknown, during: string): void {
    try {
      this.#onError?.(error, during);
    } catch {
      // Its trouble.
    }
  }

  stats(): MonitorStats {
    return { samples: this.#samples, lost: this.#lost, ...(this.#probe !== undefined && { probe: this.#probe.stats }) };
  }

  /** Stops sampling. Watches still open give the figures they have. Waits for what is to be recorded, not for a sample under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    this.#probe?.off();
    await this.#reactions.close();
  }

  #stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #tick(): void {
    this.#probe?.poll();
    // The timer outlives the last call by one tick, so that many short calls in a row are sampled too.
    if (this.#inFlight.size === 0) return this.#stop();
    // A sampler that hangs costs one pending promise, not one per second.
    if (this.#sampling) {
      this.#lost++;
      return;
    }
    this.#sampling = true;
    const watches = [...this.#inFlight];
    void Promise.all([this.#sample(watches), ...this.#byServer(watches).map((each) => this.#sampleServer(...each))]).finally(() => {
      this.#sampling = false;
    });
  }

  #byServer(watches: readonly Watch[]): readonly (readonly [server: string, watches: readonly Watch[]])[] {
    const servers = Map.groupBy(watches, ({ server }) => server);
    return [...servers].flatMap(([server, those]) => (server !== undefined && this.#servers.has(server) ? [[server, those] as const] : []));
  }

  /** Never rejects, and counts as `#sample` does. */
  async #sampleServer(server: string, watches: readonly Watch[]): Promise<void> {
    try {
      const reading = await withinOwnWork(() => this.#servers.read(server, (pid) => this.#readings.tree(pid)));
      if (reading === undefined) return;
      const rssBytes = byteCount(reading.rssBytes);
      if (rssBytes === undefined || !Number.isFinite(reading.spentMs)) {
        this.#lost++;
        return;
      }
      this.#samples++;
      for (const watch of watches) watch.seeServer({ ...reading, rssBytes });
    } catch {
      this.#lost++;
    }
  }

  /** Never rejects: nobody waits for it. Counts only for calls in flight when it began; to one that has ended it makes no difference. */
  async #sample(watches: readonly Watch[]): Promise<void> {
    try {
      const rss = byteCount(await withinOwnWork(() => this.#readings.sample()));
      if (rss === undefined) {
        this.#lost++;
        return;
      }
      this.#samples++;
      for (const watch of watches) watch.see(rss);
    } catch {
      this.#lost++;
    }
  }
}

class Watch implements CallWatch {
  readonly server: string | undefined;
  readonly #readings: ResourceReadings;
  readonly #ended: (watch: Watch) => void;
  readonly #cpuMicrosAtBegin: number;
  #samples = 0;
  #rssBytes: number | undefined;
  #tree: { readonly first: ServerReading; last: ServerReading; rssBytes: number; samples: number } | undefined;
  #isOver = false;

  constructor(readings: ResourceReadings, ended: (watch: Watch) => void, server: string | undefined) {
    this.server = server;
    this.#readings = readings;
    this.#ended = ended;
    // May throw: nothing has run yet, so a sensor that fails here is a deny.
    this.#cpuMicrosAtBegin = readings.cpuMicros();
  }

  see(rssBytes: number): void {
    this.#samples++;
    this.#rssBytes = Math.max(this.#rssBytes ?? 0, rssBytes);
  }

  seeServer(reading: ServerReading): void {
    this.#tree ??= { first: reading, last: reading, rssBytes: 0, samples: 0 };
    this.#tree.last = reading;
    this.#tree.samples++;
    this.#tree.rssBytes = Math.max(this.#tree.rssBytes, reading.rssBytes);
  }

  /** The call has run by now, so whatever cannot be read is left out. The last reading counts as a sample. */
  end(): ResourceFigures | undefined {
    if (this.#isOver) return undefined;
    this.#isOver = true;
    this.#ended(this);
    if (this.#tree !== undefined) return treeFigures(this.#tree);
    const rssAtEnd = byteCount(attempt(() => this.#readings.rssBytes()));
    if (rssAtEnd !== undefined) this.see(rssAtEnd);
    const cpuMs = this.#cpuMs();
    return {
      ...(cpuMs === undefined ? {} : { cpu_ms: cpuMs }),
      ...(this.#rssBytes === undefined ? {} : { rss_bytes: this.#rssBytes }),
      samples: this.#samples,
      scope: 'process',
    };
  }

  #cpuMs(): number | undefined {
    const now = attempt(() => this.#readings.cpuMicros());
    if (now === undefined) return undefined;
    const spent = Math.round((now - this.#cpuMicrosAtBegin) / 1_000);
    return Number.isSafeInteger(spent) ? Math.max(0, spent) : undefined;
  }
}

/** What was used before the first sample and after the last one is not seen: one sample alone says nothing of CPU time. */
function treeFigures(tree: {
  readonly first: ServerReading;
  readonly last: ServerReading;
  readonly rssBytes: number;
  readonly samples: number;
}): ResourceFigures {
  const spent = Math.max(0, Math.round(tree.last.spentMs - tree.first.spentMs));
  return { ...(tree.samples > 1 && { cpu_ms: spent }), rss_bytes: tree.rssBytes, samples: tree.samples, scope: 'tree' };
}

function attempt(read: () => number): number | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Ledger figures are integers; pidusage computes in doubles and may give NaN. */
function byteCount(value: number | undefined): number | undefined {
  const rounded = value === undefined ? Number.NaN : Math.round(value);
  return Number.isSafeInteger(rounded) && rounded >= 0 ? rounded : undefined;
}
