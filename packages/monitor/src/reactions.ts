/**
 * What a monitor inside of a host does about a verdict: the sessions of whoever did it get no further call, what the host started is
 * frozen, and all of it goes on record. The host itself cannot be frozen from inside: that takes `countersign run` or `attach`.
 *
 * Nothing here waits for the disk before it stops something, and nothing that fails lets something go on. A session is refused from
 * the moment of the verdict, by this process until the ledger has its halt, and by every process from then on, until an operator resumes it.
 */
import { randomBytes } from 'node:crypto';
import { CountersignError, type EntryRef, type MonitorHost } from '@countersign/core';
import type { Activity } from './activity.ts';
import type { Freezer } from './contain/freezer.ts';
import { type Contained, type FollowIncident, story } from './incident-story.ts';
import { plainJson } from './plain-json.ts';
import { enforced, type Level, type MonitorMode, type Verdict } from './verdict.ts';

/** Verdicts that may wait for the ledger. */
export const MAX_WAITING = 1_000;
/** How often a halt is tried that the ledger does not take. The session is refused here all the same. */
export const MAX_TRIES = 5;
/** Guards that share one monitor. */
export const MAX_HOSTS = 1_000;

export interface ReactionOptions {
  /** Default `enforce_kill`. */
  readonly mode?: MonitorMode;
  /** Of what the host started. Absent: nothing is frozen, and what is refused is calls. */
  readonly freezer?: Freezer;
  /** Told of everything that could not be recorded or contained. */
  readonly onError?: (error: unknown, during: string) => void;
  /** Calls `tick` until it is stopped; for looking whether an operator resumed. */
  readonly every: (intervalMs: number, tick: () => void) => () => void;
  /** Waits between two tries. */
  readonly pause: (ms: number) => Promise<void>;
}

/** Whose it was. Neither: nobody knows, and every session of the host stands still. */
export interface Whose {
  readonly session?: string;
  readonly sessions?: readonly string[];
}

interface Incident {
  readonly id: string;
  /** Undefined: every session. */
  readonly sessions: readonly string[] | undefined;
  readonly hosts: readonly MonitorHost[];
  readonly freezer: Freezer | undefined;
  readonly told: ReturnType<typeof story>;
}

/** Every session: no session has this name, names are not empty. */
const EVERY = '';
const RESUME_POLL_MS = 1_000;
const FIRST_PAUSE_MS = 100;

export class Reactions {
  readonly mode: MonitorMode;
  readonly #options: ReactionOptions;
  readonly #hosts: MonitorHost[] = [];
  /** Sessions whose halt the ledger does not have yet. */
  readonly #stopping = new Map<string, number>();
  /** Incidents whose halts stand, as far as is known here. */
  readonly #open = new Set<Incident>();
  /** From before there was a ledger to put them on. */
  readonly #early: (() => void)[] = [];
  readonly #work = new Set<Promise<void>>();
  #stopPolling: (() => void) | undefined;
  #isClosed = false;
  #lost = 0;

  constructor(options: ReactionOptions) {
    this.#options = options;
    this.mode = options.mode ?? 'enforce_kill';
  }

  /** Verdicts, halts and steps that are not on record. */
  get lost(): number {
    return this.#lost;
  }

  open(host: MonitorHost): void {
    if (this.#hosts.length >= MAX_HOSTS) throw new CountersignError('CALL_LIMIT', `one monitor serves at most ${MAX_HOSTS} guards`);
    this.#hosts.push(host);
    for (const follow of this.#early.splice(0)) follow();
  }

  /** Whether calls of this session are to be refused although the ledger may not say so yet. */
  isStopping(session: string | undefined): boolean {
    return this.#stopping.has(EVERY) || (session !== undefined && this.#stopping.has(session));
  }

  /**
   * Returns at once. What is to be stopped is stopped when it does.
   *
   * @param freezer - of the processes it is about; default: of what the host started. @param follow - whoever keeps the story of it.
   */
  judged(
    activity: Activity,
    verdict: Verdict,
    whose: Whose = {},
    freezer: Freezer | undefined = this.#options.freezer,
    follow?: FollowIncident,
  ): void {
    if (verdict.level === 'SAFE' || this.#isClosed) return;
    const level = enforced(verdict.level, this.mode);
    const sessions = whose.session === undefined ? whose.sessions : [whose.session];
    const hosts = this.#hostsOf(activity);
    const stops = level === 'HALT' || level === 'KILL';
    const isKnown = sessions !== undefined && sessions.length > 0;
    const id = newIncident();
    const session = (isKnown ? sessions[0] : hosts[0]?.session) ?? '';
    const told = story({ id, at: activity.at, session, mode: this.mode, activity, verdict }, follow);
    const incident = verdict.level === 'FLAG' ? undefined : { id, sessions: isKnown ? sessions : undefined, hosts, freezer, told };
    if (incident !== undefined && !stops) told();
    if (stops && incident !== undefined) this.#stop(incident);
    else if (this.#work.size + this.#early.length >= MAX_WAITING)
      return this.#lose(new Error(`${MAX_WAITING} verdicts wait for the ledger`), 'recording a verdict');
    const containing = stops && incident !== undefined ? this.#contain(level, incident) : undefined;
    const judged = { activity, verdict, level, incident, session: whose.session };
    if (hosts.length === 0) return this.#later(judged, containing);
    this.#track(this.#follow(judged, hosts, containing));
    this.#tellFollowers(judged, hosts);
  }

  /** Whoever follows the call in a trace, where it is sure which it was. Somebody's code: not before something is stopped. */
  #tellFollowers({ activity, verdict, level, incident }: Judged, hosts: readonly MonitorHost[]): void {
    const { call } = activity.attribution;
    if (call === undefined) return;
    const news = { level: onRecord(verdict.level), enforced: onRecord(level), rule: verdict.rule };
    for (const host of hosts) attempt(() => host.tell(call, { ...news, ...(incident !== undefined && { incident: incident.id }) }));
  }

  /** Takes no more, and waits for what is to be recorded. What is frozen stays so. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopPolling?.();
    if (this.#early.length > 0) this.#lose(new Error(`there was no ledger for ${this.#early.length} verdicts`), 'recording a verdict');
    await Promise.all(this.#work);
  }

  /** Those that run the call. Where nobody knows which, all. */
  #hostsOf({ attribution: { call, candidates = [] } }: Activity): readonly MonitorHost[] {
    const calls = call === undefined ? candidates : [call];
    const those = this.#hosts.filter((host) => {
      const running = new Set(attempt(() => host.inFlight()) ?? []);
      return calls.some((each) => running.has(each));
    });
    return those.length > 0 ? those : this.#hosts;
  }

  /** No call has run yet, and none does before there is a ledger. What stops something has room when flags have none. */
  #later(judged: Judged, containing: Promise<Contained> | undefined): void {
    if (this.#early.length >= 2 * MAX_WAITING)
      return this.#lose(new Error(`${MAX_WAITING} verdicts wait for the ledger`), 'recording a verdict');
    this.#early.push(() => {
      const hosts = [...this.#hosts];
      const incident = judged.incident && { ...judged.incident, hosts };
      this.#track(this.#follow({ ...judged, incident }, hosts, containing));
    });
  }

  #stop({ sessions }: Incident): void {
    for (const session of sessions ?? [EVERY]) this.#stopping.set(session, (this.#stopping.get(session) ?? 0) + 1);
  }

  /** Whoever follows is told before the ledger, which may be slow. */
  async #contain(level: Level, { freezer, told }: Incident): Promise<Contained> {
    if (freezer === undefined) return { event: undefined };
    const contained = await this.#contained(level, freezer);
    told(contained);
    return contained;
  }

  async #contained(level: Level, freezer: Freezer): Promise<Contained> {
    try {
      if (level === 'KILL') {
        const { grade, killed, left, duration_ms } = await freezer.kill();
        return { event: 'killed', grade, count: killed, left: left.length, duration_ms };
      }
      const { grade, processes, running, duration_ms } = await freezer.freeze();
      return { event: 'frozen', grade, count: processes, left: running.length, duration_ms };
    } catch (error) {
      this.#tell(error, 'containing what the host started');
      return { event: 'failed' };
    }
  }

  async #follow(judged: Judged, hosts: readonly MonitorHost[], containing: Promise<Contained> | undefined): Promise<void> {
    const { incident } = judged;
    // The halt first: it is what refuses calls in other processes.
    if (containing !== undefined && incident !== undefined) await this.#halt(incident);
    const refs = new Map<MonitorHost, EntryRef | undefined>();
    for (const host of hosts) refs.set(host, await this.#try('recording a verdict', () => host.record(verdictOf(judged, host, this.mode))));
    const contained = await containing;
    if (contained?.event === undefined || incident === undefined) return;
    await this.#recordSteps(incident, contained, refs);
    if (contained.event === 'frozen') this.#poll(incident);
  }

  async #halt(incident: Incident): Promise<void> {
    for (const session of incident.sessions ?? [EVERY]) {
      const isDurable = await this.#haltOne(incident, session);
      // Where the ledger could not take it, this process goes on refusing: it is the one that the session runs in.
      if (isDurable) this.#release(session);
    }
  }

  async #haltOne({ id, hosts }: Incident, session: string): Promise<boolean> {
    let isDurable = true;
    for (const host of hosts) {
      const halted = await this.#try('halting a session', async () => {
        await host.halt(session === EVERY ? undefined : session, 'MONITOR_HALTED', { incident: id });
        return true;
      });
      isDurable &&= halted === true;
    }
    return isDurable;
  }

  #release(session: string): void {
    const count = this.#stopping.get(session) ?? 0;
    if (count > 1) this.#stopping.set(session, count - 1);
    else this.#stopping.delete(session);
  }

  async #recordSteps(incident: Incident, step: Contained & object, refs: ReadonlyMap<MonitorHost, EntryRef | undefined>): Promise<void> {
    const { event, grade, count, left, duration_ms } = step;
    if (event === undefined) return;
    for (const [host, verdict] of refs) {
      const session = incident.sessions?.length === 1 ? (incident.sessions[0] as string) : host.session;
      await this.#try('recording what was contained', () =>
        host.record({
          kind: 'containment',
          session,
          incident: incident.id,
          event,
          ...(verdict !== undefined && { verdict }),
          ...(grade !== undefined && { grade }),
          ...(count !== undefined && { count }),
          ...(left !== undefined && { left }),
          ...(duration_ms !== undefined && { duration_ms: Math.max(0, Math.round(duration_ms)) }),
        }),
      );
    }
  }

  /** What was frozen goes on once nothing of what it was frozen for is halted any more, whichever process ended that. */
  #poll(incident: Incident): void {
    this.#open.add(incident);
    this.#stopPolling ??= this.#options.every(RESUME_POLL_MS, () => {
      if (this.#work.size === 0) this.#track(this.#look());
    });
  }

  async #look(): Promise<void> {
    for (const incident of this.#open) if (await this.#stands(incident)) return;
    const resumed = [...this.#open];
    this.#open.clear();
    this.#stopPolling?.();
    this.#stopPolling = undefined;
    let event: 'resumed' | 'failed' = 'resumed';
    try {
      for (const freezer of new Set(resumed.map((incident) => incident.freezer))) await freezer?.resume();
    } catch (error) {
      event = 'failed';
      this.#tell(error, 'letting go on what the host started');
    }
    for (const incident of resumed) incident.told({ event });
    for (const incident of resumed) await this.#recordSteps(incident, { event }, new Map(incident.hosts.map((host) => [host, undefined])));
  }

  async #stands({ sessions, hosts }: Incident): Promise<boolean> {
    for (const host of hosts)
      for (const session of sessions ?? [host.session]) {
        if (this.isStopping(session)) return true;
        try {
          if (await host.isHalted(session)) return true;
        } catch {
          // What cannot be read is not let go on.
          return true;
        }
      }
    return false;
  }

  async #try<T>(during: string, act: () => Promise<T>): Promise<T | undefined> {
    for (let tries = 0; ; tries++) {
      try {
        return await act();
      } catch (error) {
        if (tries === 0) this.#tell(error, during);
        if (tries + 1 >= MAX_TRIES) {
          this.#lost++;
          return undefined;
        }
        await this.#options.pause(FIRST_PAUSE_MS * 2 ** tries);
      }
    }
  }

  #lose(error: unknown, during: string): void {
    this.#lost++;
    this.#tell(error, during);
  }

  #tell(error: unknown, during: string): void {
    attempt(() => this.#options.onError?.(error, during));
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((error: unknown) => this.#tell(error, 'following a verdict')).finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}

interface Judged {
  readonly activity: Activity;
  readonly verdict: Verdict;
  readonly level: Level;
  readonly incident: Incident | undefined;
  readonly session: string | undefined;
}

function verdictOf(judged: Judged, host: MonitorHost, mode: MonitorMode): Parameters<MonitorHost['record']>[0] {
  const { activity, verdict, level, incident, session = host.session } = judged;
  const { call, candidates } = activity.attribution;
  return {
    kind: 'verdict',
    session,
    ...(call !== undefined && { call }),
    ...(call === undefined && candidates !== undefined && { candidates }),
    level: onRecord(verdict.level),
    enforced: onRecord(level),
    mode,
    rule: verdict.rule,
    evaluator: verdict.evaluator,
    confidence: verdict.confidence,
    ...(incident !== undefined && { incident: incident.id }),
    phase: activity.phase,
    // The guard redacts and cuts it.
    activity: plainJson({ reason: verdict.reason, evidence: verdict.evidence, seen: activity }),
  };
}

function onRecord(level: Level): 'FLAG' | 'HALT' | 'KILL' {
  return level === 'SAFE' ? 'FLAG' : level;
}

function newIncident(): string {
  return randomBytes(16).toString('hex');
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
