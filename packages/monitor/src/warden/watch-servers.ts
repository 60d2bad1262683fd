/**
 * Watches the processes of servers whose calls a host guards. Each server that is started has a tree of its own, rooted at its process: the
 * host, and the client that started the host, are in none of them, and nothing is done to them.
 */
import { CountersignError, createRedactor, type Redactor } from '@countersign/core';
import type { Activity, Actor, Observation } from '../activity.ts';
import type { Freezer } from '../contain/freezer.ts';
import { freezerFor } from '../contain/freezer-for.ts';
import type { FollowIncident } from '../incident-story.ts';
import type { ResourceMonitor } from '../monitor.ts';
import { type RuleEngine, ruleEngine } from '../rules/engine.ts';
import type { HostsLine } from '../rules/rule.ts';
import { type Sensor, sensorThrough } from '../sensor.ts';
import { type ProcPoll, procPoll } from '../sensors/proc-poll.ts';
import { resourceSensor } from '../sensors/resources.ts';
import { type ProcReader, procReader } from '../tree/proc-fs.ts';
import { TrackedTree } from '../tree/tracked-tree.ts';
import type { Grove } from './grove.ts';
import { withoutGuards } from './guards.ts';
import { hostsLines } from './hosts-file.ts';
import { byWhomever } from './judging.ts';
import { kernelEvents, ServerEvents } from './server-events.ts';
import type { ServerIncidents } from './server-incidents.ts';
import { type WatchOptions, withCanaries } from './watch-options.ts';

/** Trees that are watched at one time: of servers that run, or of which something still does. */
export const MAX_SERVERS = 1_000;

export interface ServerWatchOptions extends Pick<WatchOptions, 'scope' | 'home' | 'own' | 'canaries' | 'pollMs'> {
  /** Acts on what is judged, by its mode. */
  readonly monitor: Pick<ResourceMonitor, 'judged' | 'covers'>;
  readonly redactor?: Redactor;
  /** Keeps what is left of those that were stopped. Absent: the ledger alone has it. */
  readonly incidents?: Pick<ServerIncidents, 'see' | 'follow'>;
  /** Every fork, exec and end of them as it happens, for all servers together. Default: the kernel's events where this host has them. */
  readonly events?: (grove: Grove) => Sensor | undefined;
  /** After each verdict of FLAG and above that the monitor was given. Must not throw. */
  readonly onVerdict?: () => void;
  /** A server is not watched, or no more. Must not throw. */
  readonly onTrouble: (server: string, error: unknown) => void;
  readonly reader?: ProcReader;
}

export interface ServerProcess {
  readonly server: string;
  readonly pid: number;
  /** Whatever it started may run on. */
  readonly ended: Promise<unknown>;
}

export interface ServerWatch {
  /** Right after it was started. Returns at once, and never throws. */
  watch(process: ServerProcess): void;
  /** What is frozen of them is ended: nobody is left who could let it go on. */
  close(): Promise<void>;
}

export function watchServers(options: ServerWatchOptions): ServerWatch {
  const { monitor, onTrouble } = options;
  const [reader, hosts] = [options.reader ?? procReader(), hostsLines()];
  const events = new ServerEvents(options.events ?? kernelEvents, () => cover());
  const trees = new Set<ServerTree>();
  const blind = new Set<ServerTree>();
  let isClosed = false;
  /** One that nobody ever looked at. */
  let isPartial = false;

  function watch(process: ServerProcess): void {
    if (isClosed) return;
    try {
      const found = reader.stat(process.pid);
      // It is gone already: there is nothing to look at. Where nothing can be read, that is told.
      if (found === undefined && reader.pids().length > 0) return;
      if (trees.size >= MAX_SERVERS) throw new CountersignError('CALL_LIMIT', `at most ${MAX_SERVERS} servers are watched at once`);
      begin(process, found?.start ?? 0);
    } catch (error) {
      isPartial = true;
      cover();
      onTrouble(process.server, error);
    }
  }

  /** What is least seen of any of them. */
  function cover(): void {
    monitor.covers(isPartial || blind.size > 0 ? 'none' : events.isHeard ? 'L1' : 'L0');
  }

  function begin(process: ServerProcess, start: number): void {
    const tree = new ServerTree(process, start, { ...options, reader, hosts });
    trees.add(tree);
    events.add(tree);
    tree.start((error) => {
      if (!trees.has(tree)) return;
      blind.add(tree);
      cover();
      onTrouble(process.server, error);
    });
    void tree.over.then(async () => {
      trees.delete(tree);
      await stop(tree, process.server);
      if (blind.delete(tree)) cover();
    });
  }

  async function stop(tree: ServerTree, server: string): Promise<void> {
    events.remove(tree);
    await tree.stop().catch((error: unknown) => onTrouble(server, error));
  }

  return {
    watch,
    async close() {
      isClosed = true;
      const all = [...trees];
      trees.clear();
      await events.stop();
      await Promise.all(all.map((tree) => stop(tree, tree.server)));
    },
  };
}

class ServerTree {
  /** The server has ended, and so has all that it started, as far as anybody still looks. */
  readonly over: Promise<void>;
  readonly server: string;
  readonly #options: ServerWatchOptions;
  readonly tree: TrackedTree = new TrackedTree({ roots: [] });
  readonly #poll: ProcPoll;
  readonly #sensors: readonly Sensor[];
  readonly #rules: RuleEngine;
  readonly #freezer: HeldFreezer;
  readonly #beganAt = performance.now();
  /** Of observations that wait: when they were done at the earliest. */
  readonly #since = new WeakMap<Observation, number>();
  #seq = 0;
  #isStopped = false;
  #isBlind = false;
  #look: () => void = () => {};

  constructor(
    { server, pid, ended }: ServerProcess,
    start: number,
    options: ServerWatchOptions & { readonly reader: ProcReader; readonly hosts: readonly HostsLine[] },
  ) {
    const { scope, home, own, canaries, pollMs, reader, hosts, redactor = createRedactor() } = options;
    this.#options = options;
    this.server = server;
    this.tree.addRoot({ pid, start });
    this.#freezer = new HeldFreezer(freezerFor(this.tree));
    this.#poll = procPoll({ tree: this.tree, intervalMs: pollMs, guarded: [...own.files, ...own.configs, ...canaries], reader });
    this.#sensors = [this.#guarded(this.#noting(this.#poll), reader), resourceSensor({ reader })];
    this.#rules = ruleEngine(withCanaries(scope, canaries), {
      workspace: reader.cwd(pid) ?? '/',
      home,
      hosts,
      own: { files: own.files, configs: own.configs, pids: [process.pid] },
      isMember: (each) => this.tree.get(each) !== undefined,
      redact: (text) => redactor.text(text),
    });
    // However it ended: what it left behind is watched on, and the proxy tells of the end itself.
    this.over = ended.catch(() => {}).then(() => this.#whenEmpty());
  }

  /** @param died - once for each sensor that sees nothing, or no more. */
  start(died: (error: Error) => void): void {
    for (const sensor of this.#sensors) {
      const gone = (error: unknown): void => {
        this.#isBlind = true;
        this.#look();
        if (!this.#isStopped) died(error instanceof Error ? error : new Error(String(error)));
      };
      sensor
        .start({
          tree: this.tree,
          emit: (observation) => this.observe(observation, this.#since.get(observation) ?? this.#beganAt),
          died: gone,
        })
        .catch(gone);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#sensors.map((sensor) => sensor.stop()));
    this.#isStopped = true;
    await this.#freezer.letGo();
  }

  /** @param since - it was done at that time of `performance.now()` or later. */
  observe(observation: Observation, since: number): void {
    if (this.#isStopped) return;
    // What stands in the environment of its processes a server may have made up.
    const activity: Activity = { ...observation, seq: ++this.#seq, attribution: { method: 'none' } };
    const verdict = byWhomever(this.#rules.judge(activity), activity);
    const { monitor, incidents, onVerdict } = this.#options;
    incidents?.see(activity, verdict);
    if (verdict.level === 'SAFE') return;
    const follow: FollowIncident = (incident, steps) => incidents?.follow(incident, steps, this.tree.members());
    monitor.judged(activity, verdict, { server: this.server, since: Math.max(since, this.#beganAt), freezer: this.#freezer, follow });
    onVerdict?.();
  }

  /** What is known of the time of each only while it is told. */
  #noting(sensor: Sensor): Sensor {
    return sensorThrough(sensor, (emit) => (observation, judged) => {
      this.#since.set(observation, Math.max(this.#beganAt, this.#poll.since(observation.action.kind)));
      emit(observation, judged);
    });
  }

  /** A server may be a guard itself: a proxy before other servers. */
  #guarded(sensor: Sensor, reader: ProcReader): Sensor {
    const { guards } = this.#options.own;
    if (guards === undefined) return sensor;
    const isHere = ({ pid, start }: Actor): boolean => reader.stat(pid)?.start === start;
    return withoutGuards(sensor, { ...guards, isWriter: (process: Actor) => guards.isWriter(process) && isHere(process) });
  }

  #whenEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (this.#isBlind || this.tree.size === 0) resolve();
      };
      this.tree.onChange(() => this.#look());
      this.#look();
    });
  }
}

/** Knows whether something of it stands still by us. */
class HeldFreezer implements Freezer {
  readonly #freezer: Freezer;
  #isHeld = false;

  constructor(freezer: Freezer) {
    this.#freezer = freezer;
  }

  get grade(): Freezer['grade'] {
    return this.#freezer.grade;
  }

  freeze(): ReturnType<Freezer['freeze']> {
    this.#isHeld = true;
    return this.#freezer.freeze();
  }

  async resume(): Promise<void> {
    await this.#freezer.resume();
    this.#isHeld = false;
  }

  kill(): ReturnType<Freezer['kill']> {
    return this.#freezer.kill();
  }

  killOnly(processes: Parameters<Freezer['killOnly']>[0]): ReturnType<Freezer['killOnly']> {
    return this.#freezer.killOnly(processes);
  }

  close(): Promise<void> {
    return this.#freezer.close();
  }

  /** What stands still is ended. */
  async letGo(): Promise<void> {
    if (this.#isHeld) await this.kill();
    await this.close();
  }
}
