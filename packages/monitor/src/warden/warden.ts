/**
 * One watched session: what sensors see is put in order, judged on the spot, and acted on. Judging is synchronous, so that a HALT
 * waits for nothing that came before it; recording is queued behind it.
 */
import type { Activity, Observation } from '../activity.ts';
import { notLogged, notRecorded } from '../evidence/unwritable.ts';
import type { CoverageLevel, Judged, Sensor } from '../sensor.ts';
import { COVERAGE_LEVELS } from '../sensor.ts';
import { enforced, LEVELS, type Level, type Verdict, worse } from '../verdict.ts';
import { attribute } from './attribute.ts';
import { deedOf } from './case.ts';
import { Containment, newIncidentId } from './containment.ts';
import { DeniedExecs } from './denied-execs.ts';
import { LogWriter } from './log-writer.ts';
import type { Incident, Warden, WardenEvent, WardenOptions, WardenSummary } from './ports.ts';
import { Recorder } from './recorder.ts';
import { MAX_SUMMARY, Tally } from './tally.ts';
import { WorkQueue } from './work-queue.ts';
import { WrappedExecs } from './wrapped-exec.ts';

/** What an intent check, a judge and an incident get to see of what came before. */
export const MAX_RECENT = 100;
/** Ambiguous flags that may wait for the judge. */
export const MAX_UNJUDGED = 32;
/** Writing out what waits may not keep a session from ending. */
export const MAX_CLOSE_MS = 10_000;

/**
 * Starts the sensors and watches until it is closed.
 *
 * @throws {CountersignError} `MONITOR_UNAVAILABLE` when no sensor could be started, `LEDGER_*` when the start of the session could not be
 *   recorded: nothing is watched without a record, and nothing is launched unwatched.
 */
export async function runWarden(options: WardenOptions): Promise<Warden> {
  const session = new Session(options);
  await session.start();
  return session;
}

class Session implements Warden {
  readonly #options: WardenOptions;
  readonly #clock: NonNullable<WardenOptions['clock']>;
  readonly #pause: NonNullable<WardenOptions['pause']>;
  readonly #recorder: Recorder;
  readonly #containment: Containment;
  readonly #toJudge: WorkQueue<{ readonly activity: Activity; readonly verdict: Verdict; readonly recent: readonly Activity[] }>;
  readonly #alive = new Set<Sensor>();
  readonly #recent: Activity[] = [];
  readonly #tally = new Tally();
  readonly #log: LogWriter;
  /** Flags that it did not look at. */
  #lostByJudge = 0;
  /** What a person let go on although nobody knew who did it: the sensor that knows may tell of it later. */
  readonly #letGoOn = new Set<string>();
  /** Shells that a person let run, and what they are to become. */
  readonly #wrapped = new WrappedExecs();
  /** Programs that a person said no to, and that may be looked for in the next folder. */
  readonly #denied = new DeniedExecs();
  /** In audit mode: one for each rule, since nothing ends them. */
  readonly #observed = new Map<string, Incident>();
  #seq = 0;
  #startedAtMs = 0;
  #lowest: CoverageLevel | 'none' = 'none';
  #level: CoverageLevel | 'none' = 'none';
  #closed: Promise<WardenSummary> | undefined;
  /** The sensors have stopped, or were given up. */
  #isOver = false;

  constructor(options: WardenOptions) {
    this.#options = options;
    this.#clock = options.clock ?? { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
    this.#pause = options.pause ?? pause;
    this.#recorder = new Recorder({
      ledger: options.ledger,
      mode: options.mode,
      pause: this.#pause,
      onFailing: (activity) => this.#unrecorded(activity),
      onStuck: (error) => this.#trouble('the record', notRecorded(error, options.mode)),
    });
    this.#containment = new Containment({
      ...options,
      recorder: this.#recorder,
      clock: this.#clock,
      pause: this.#pause,
      emit: (event) => this.#emit(event),
      recent: () => [...this.#recent],
      level: () => this.#levelNow(),
      onResumed: (verdicts, unknown) => {
        for (const deed of unknown) if (this.#letGoOn.size < MAX_SUMMARY) this.#letGoOn.add(deed);
        for (const verdict of verdicts) options.rules.accept?.(verdict);
      },
      onLetHappen: (activity, verdict) => this.#wrapped.letGoOn(activity, verdict, this.#clock.monotonicMs()),
      onDenied: (activity, verdict) => this.#denied.deny(activity, verdict, this.#clock.monotonicMs()),
    });
    this.#log = new LogWriter(options.log, (error) => this.#trouble('activity log', notLogged(error)));
    this.#toJudge = new WorkQueue({ limit: MAX_UNJUDGED, width: 1 }, (input) => this.#askJudge(input));
  }

  get level(): CoverageLevel | 'none' {
    return this.#level;
  }

  get isHolding(): boolean {
    return this.#containment.isHolding;
  }

  get ended(): Warden['ended'] {
    return this.#containment.ended;
  }

  async start(): Promise<void> {
    const { sensors, needs, ledger, mode, freezer } = this.#options;
    this.#startedAtMs = this.#clock.monotonicMs();
    const failures: unknown[] = [];
    for (const sensor of sensors) {
      // Before it starts: it may see something, or die, at once.
      this.#alive.add(sensor);
      try {
        await sensor.start({
          tree: this.#options.tree,
          emit: (observation, judged) => this.#observe(observation, judged),
          died: (error) => this.#died(sensor, error),
        });
      } catch (error) {
        this.#alive.delete(sensor);
        failures.push(error);
        if (sensor === needs) {
          await this.#stopSensors();
          throw error;
        }
        this.#trouble(`sensor ${sensor.name}`, error);
      }
    }
    this.#level = this.#lowest = this.#levelNow();
    try {
      if (this.#level === 'none') throw failures[0] ?? new Error('no sensor was given');
      await ledger.mark('start', { coverage: this.#level });
    } catch (error) {
      await this.#stopSensors();
      throw error;
    }
    const seeing = [...this.#alive].map(({ name, level, gives }) => ({ name, level, gives }));
    this.#emit({ kind: 'started', at: this.#clock.nowMs(), level: this.#level, mode, grade: freezer.grade, sensors: seeing });
  }

  #levelNow(): CoverageLevel | 'none' {
    const { floor = 'none' } = this.#options;
    const level = levelOf(this.#alive);
    return level === 'none' || rank(level) > rank(floor) ? level : floor;
  }

  kill(): Promise<void> {
    return this.#containment.kill('signal', 'ended by a signal to the warden');
  }

  suspend(): Promise<void> {
    return this.#containment.suspend();
  }

  proceed(): Promise<void> {
    return this.#containment.proceed();
  }

  settled(): Promise<void> {
    return this.#containment.settled();
  }

  close(): Promise<WardenSummary> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #observe(observation: Observation, judged?: Judged): void {
    // Nobody is left to answer: it may not.
    if (this.#isOver) return judged?.answer('refuse');
    try {
      this.#judgeAndAct(observation, judged);
    } catch (error) {
      judged?.answer('refuse');
      this.#trouble('acting on a verdict', error);
    }
  }

  #judgeAndAct(observation: Observation, told: Judged | undefined): void {
    const detectedAtMs = this.#clock.monotonicMs();
    const judged = told?.wentOn === true ? undefined : told;
    const activity: Activity = {
      ...observation,
      seq: ++this.#seq,
      // What was seen before it happened and let go on at once has happened by now.
      phase: judged === undefined ? 'after' : observation.phase,
      attribution: this.#attribution(observation),
    };
    const own = this.#judged(activity);
    const asSeen = told === undefined ? own : worse(own, { ...told.verdict, evidence: [activity.seq] });
    const isDenied = observation.phase === 'before' && this.#denied.covers(observation, asSeen, detectedAtMs);
    if (isDenied && judged?.isHeld === true) return this.#refuseAgain(activity, asSeen, detectedAtMs, judged);
    const answered = this.#unlessAnsweredFor(observation, asSeen, judged?.isHeld === true);
    const verdict = judged?.isHeld === false ? answered : this.#unlessLetGoOn(activity, answered);
    const level = enforced(verdict.level, this.#options.mode);
    // What was asked to wait and need not: as the person said who let it go on, or because nothing is enforced.
    if (level === 'SAFE' || level === 'FLAG') judged?.answer('continue');
    this.#act(activity, verdict, detectedAtMs, judged);
  }

  /** The same command once more, from the next folder of `PATH`. */
  #refuseAgain(activity: Activity, seen: Verdict, detectedAtMs: number, judged: Judged): void {
    judged.answer('refuse');
    const verdict: Verdict = { ...seen, level: 'FLAG', reason: `${seen.reason}; a person said no to this very command a moment ago` };
    this.#act(activity, verdict, detectedAtMs, { ...judged, isHeld: false });
  }

  #act(activity: Activity, verdict: Verdict, detectedAtMs: number, judged: Judged | undefined): void {
    this.#take(activity, verdict, detectedAtMs, judged);
    this.#remember(activity);
    this.#log.write(activity, verdict);
    if (verdict.ambiguous === true && verdict.level === 'FLAG' && this.#options.judge !== undefined) this.#queueForJudge(activity, verdict);
  }

  #attribution(observation: Observation): Activity['attribution'] {
    try {
      return attribute(observation, this.#options.tree, this.#options.ledger.inFlight());
    } catch (error) {
      this.#trouble('attribution', error);
      return { method: 'none' };
    }
  }

  /** Rules that throw let nothing through. */
  #judged(activity: Activity): Verdict {
    try {
      const { rules, intent } = this.#options;
      const byRules = byWhomever(rules.judge(activity), activity);
      const byIntent = intent?.(activity, this.#recent);
      if (byIntent === undefined) return byRules;
      const counted = byRules.level === 'SAFE' && byIntent.level === 'FLAG' ? rules.flagged?.(activity, byIntent.rule) : undefined;
      return worse(worse(byRules, byIntent), counted ?? byRules);
    } catch (error) {
      this.#trouble('rules', error);
      return ownVerdict('rules-failed', 'the rules could not judge this', activity.seq);
    }
  }

  /** What a shell becomes, or starts, that a person let run is that person's word too, once, and where it is exactly what the line said. */
  #unlessAnsweredFor(seen: Observation, verdict: Verdict, isHeld: boolean): Verdict {
    const { actor, phase } = seen;
    const parent = actor?.parent === undefined ? undefined : this.#options.tree.get(actor.parent);
    if (phase !== 'before' || !this.#wrapped.covers(seen, verdict, { isHeld, parent, nowMs: this.#clock.monotonicMs() })) return verdict;
    return { ...verdict, level: 'FLAG', reason: `${verdict.reason}; a person let the shell run that this is the line of` };
  }

  /** One deed, seen by two sensors, is asked about once. Done again it is told again by the sensor that names nobody. */
  #unlessLetGoOn({ actor, action }: Activity, verdict: Verdict): Verdict {
    if (actor === undefined || (verdict.level !== 'HALT' && verdict.level !== 'KILL')) return verdict;
    if (!this.#letGoOn.delete(deedOf(action, verdict.rule))) return verdict;
    return { ...verdict, level: 'FLAG', reason: `${verdict.reason}; a person let this go on` };
  }

  /** Acts first; everything else comes after. */
  #take(activity: Activity, verdict: Verdict, detectedAtMs: number, judged?: Judged): void {
    this.#tally.verdict(verdict.level);
    if (verdict.level === 'SAFE') {
      this.#emit({ kind: 'judged', at: activity.at, activity, verdict, enforced: 'SAFE' });
      return;
    }
    const level = enforced(verdict.level, this.#options.mode);
    let incident: Incident | undefined;
    if (level === 'HALT' || level === 'KILL') incident = this.#containment.act(activity, verdict, level, detectedAtMs, judged);
    else if (verdict.level !== 'FLAG') incident = this.#observedIncident(activity, verdict);
    if (level === 'FLAG') this.#recorder.verdict(activity, verdict, level, incident?.id);
    this.#tally.rule(verdict.rule, incident);
    this.#emit({
      kind: 'judged',
      at: activity.at,
      activity,
      verdict,
      enforced: level,
      ...(incident !== undefined && { incident: incident.id }),
      ...callOf(judged, level),
    });
  }

  /** What would have been stopped has a story too. Others of the same rule join it: nothing stops a flood here. */
  #observedIncident(activity: Activity, verdict: Verdict): Incident {
    const { ledger, mode, incidents, tree } = this.#options;
    const known = this.#observed.get(verdict.rule);
    if (known !== undefined) return known;
    const incident: Incident = { id: newIncidentId(), at: this.#clock.nowMs(), session: ledger.session, mode, activity, verdict };
    if (this.#observed.size >= MAX_SUMMARY) return incident;
    this.#observed.set(verdict.rule, incident);
    incidents
      .open(incident, tree.members(), [...this.#recent, activity])
      .then(() => incidents.update(incident, []))
      .catch((error: unknown) => this.#trouble('incident', error));
    return incident;
  }

  #remember(activity: Activity): void {
    this.#recent.push(activity);
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
  }

  /** A verdict that is not on record: nothing that is watched goes on. In audit mode, which stops nothing, it is told and counted. */
  #unrecorded(activity: Activity): void {
    if (this.#options.mode === 'audit_only' || this.#containment.isHolding || this.#closed !== undefined) return;
    const verdict = ownVerdict('not-recorded', 'a verdict could not be put on record: nothing goes on until it is', activity.seq);
    this.#take(activity, verdict, this.#clock.monotonicMs());
  }

  #queueForJudge(activity: Activity, verdict: Verdict): void {
    // It stays a FLAG: no judge that is slow or gone makes it less.
    if (!this.#toJudge.push({ activity, verdict, recent: [...this.#recent] })) this.#lostByJudge++;
  }

  async #askJudge(input: { readonly activity: Activity; readonly verdict: Verdict; readonly recent: readonly Activity[] }): Promise<void> {
    const { judge } = this.#options;
    if (judge === undefined || this.#closed !== undefined) return;
    try {
      const verdict = await judge.judge(input);
      const isHigher = LEVELS.indexOf(verdict.level) > LEVELS.indexOf(input.verdict.level);
      if (isHigher && this.#closed === undefined) this.#take(input.activity, verdict, this.#clock.monotonicMs());
    } catch (error) {
      this.#lostByJudge++;
      this.#trouble('judge', error);
    }
  }

  #died(sensor: Sensor, error: Error): void {
    if (!this.#alive.delete(sensor) || this.#closed !== undefined) return;
    const was = this.#level;
    this.#level = this.#levelNow();
    if (rank(this.#level) < rank(this.#lowest)) this.#lowest = this.#level;
    const at = this.#clock.nowMs();
    this.#emit({ kind: 'coverage', at, level: this.#level, sensor: sensor.name, why: error.message });
    this.#options.ledger
      .mark('coverage', { coverage: this.#level })
      .catch((failure: unknown) => this.#trouble('recording the coverage', failure));
    if (this.#level !== 'none' || was === 'none') return;
    // Nobody watches any more.
    const activity: Activity = {
      at,
      seq: ++this.#seq,
      sensor: sensor.name,
      phase: 'after',
      action: { kind: 'resource', processes: this.#options.tree.members().length },
      attribution: { method: 'none' },
    };
    this.#take(
      activity,
      ownVerdict('unwatched', 'the last sensor died: nothing is seen any more', activity.seq),
      this.#clock.monotonicMs(),
    );
  }

  async #close(): Promise<WardenSummary> {
    // What was done before its end is told while they stop, and belongs to the session.
    await this.#stopSensors();
    this.#isOver = true;
    const { log, ledger, freezer } = this.#options;
    const late = new AbortController();
    await Promise.race([this.#finish(), this.#pause(MAX_CLOSE_MS, late.signal)]);
    late.abort();
    await attempt(
      () => log.close(this.#summary()),
      (error) => this.#trouble('activity log', error),
    );
    await attempt(
      () => freezer.close(),
      (error) => this.#trouble('giving up the freezer', error),
    );
    await attempt(
      () => ledger.mark('end'),
      (error) => this.#trouble('recording the end of the session', error),
    );
    return this.#summary();
  }

  #summary(): WardenSummary {
    const { ledger, mode } = this.#options;
    return {
      session: ledger.session,
      mode,
      level: this.#lowest,
      durationMs: this.#clock.monotonicMs() - this.#startedAtMs,
      activities: this.#seq,
      ...this.#tally.facts(),
      lost: { log: this.#log.lost, judge: this.#lostByJudge, ledger: this.#recorder.lost },
      sensors: this.#options.sensors.map((sensor) => ({
        name: sensor.name,
        level: sensor.level,
        gives: sensor.gives,
        isAlive: this.#alive.has(sensor),
        ...sensor.stats(),
      })),
    };
  }

  async #finish(): Promise<void> {
    await this.#containment.close();
    this.#lostByJudge += this.#toJudge.clear();
    await this.#recorder.close();
  }

  async #stopSensors(): Promise<void> {
    await Promise.all(
      this.#options.sensors.map((sensor) =>
        attempt(
          () => sensor.stop(),
          (error) => this.#trouble(`sensor ${sensor.name}`, error),
        ),
      ),
    );
  }

  #emit(event: WardenEvent): void {
    if (event.kind === 'contained') this.#tally.step(event.incident, event.step);
    try {
      this.#options.onEvent?.(event);
    } catch {
      // Whoever listens must not keep the tree from being stopped.
    }
  }

  #trouble(during: string, error: unknown): void {
    this.#emit({ kind: 'trouble', at: this.#clock.nowMs(), during, error });
  }
}

function ownVerdict(rule: string, reason: string, seq: number): Verdict {
  return { level: 'HALT', rule, reason, evaluator: 'rules', confidence: 1, evidence: [seq] };
}

function callOf(judged: Judged | undefined, level: Level): { readonly call?: 'held' | 'refused' } {
  if (judged === undefined || judged.wentOn === true) return {};
  if (!judged.isHeld) return { call: 'refused' };
  return level === 'HALT' || level === 'KILL' ? { call: 'held' } : {};
}

/** What nobody is known to have done may be an editor's or a backup's: it freezes, so that a person looks, and ends nothing. */
export function byWhomever(verdict: Verdict, { actor }: Activity): Verdict {
  return actor !== undefined || verdict.level !== 'KILL'
    ? verdict
    : { ...verdict, level: 'HALT', reason: `${verdict.reason}; not known by whom` };
}

/** What the best of them sees; nothing, where none of them sees what runs: figures, or a few files, are no watch. */
function levelOf(sensors: ReadonlySet<Sensor>): CoverageLevel | 'none' {
  let best: CoverageLevel | 'none' = 'none';
  if (![...sensors].some(({ gives }) => gives.includes('exec'))) return best;
  for (const { level } of sensors) if (rank(level) > rank(best)) best = level;
  return best;
}

function rank(level: CoverageLevel | 'none'): number {
  return level === 'none' ? -1 : COVERAGE_LEVELS.indexOf(level);
}

async function attempt(run: () => Promise<void>, failed: (error: unknown) => void): Promise<void> {
  try {
    await run();
  } catch (error) {
    failed(error);
  }
}

/** Resolves early when it is given up. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
