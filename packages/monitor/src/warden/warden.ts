/**
 * One watched session: what sensors see is put in order, judged on the spot, and acted on. Judging is synchronous, so that a HALT
 * waits for nothing that came before it; recording is queued behind it.
 */
import type { Activity, Observation } from '../activity.ts';
import { notLogged, notRecorded } from '../evidence/unwritable.ts';
import type { CoverageLevel, Judged, Sensor } from '../sensor.ts';
import { enforced, type Level, type Verdict, worse } from '../verdict.ts';
import { attribute } from './attribute.ts';
import { Containment } from './containment.ts';
import { GivenAnswers } from './given-answers.ts';
import { judgedBy, ownVerdict } from './judging.ts';
import { LogWriter } from './log-writer.ts';
import { ObservedIncidents } from './observed-incidents.ts';
import { modeFor, OPERATOR, OPERATOR_HALT_RULE, OperatorHalts, reasonOf } from './operator-halts.ts';
import type { Incident, Warden, WardenEvent, WardenOptions, WardenSummary } from './ports.ts';
import { Recorder } from './recorder.ts';
import { RunningSensors } from './running-sensors.ts';
import { SecondOpinion } from './second-opinion.ts';
import { Tally } from './tally.ts';

/** What an intent check, a judge and an incident get to see of what came before. */
export const MAX_RECENT = 100;
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
  readonly #sensors: RunningSensors;
  readonly #judge: SecondOpinion;
  readonly #answers = new GivenAnswers();
  readonly #halts: OperatorHalts;
  /** In audit mode, which ends nothing. */
  readonly #observed: ObservedIncidents;
  readonly #recent: Activity[] = [];
  readonly #tally = new Tally();
  readonly #log: LogWriter;
  #seq = 0;
  #startedAtMs = 0;
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
      level: () => this.#sensors.levelNow(),
      onResumed: (verdicts, unknown) => {
        this.#answers.letGoOn(unknown);
        for (const verdict of verdicts) options.rules.accept?.(verdict);
      },
      onLetHappen: (activity, verdict) => this.#answers.letHappen(activity, verdict, this.#clock.monotonicMs()),
      onDenied: (activity, verdict) => this.#answers.deny(activity, verdict, this.#clock.monotonicMs()),
    });
    this.#log = new LogWriter(options.log, (error) => this.#trouble('activity log', notLogged(error)));
    this.#sensors = new RunningSensors({
      ...options,
      emit: (observation, judged) => this.#observe(observation, judged),
      onDied: (sensor, error, was) => this.#died(sensor, error, was),
      onTrouble: (during, error) => this.#trouble(during, error),
    });
    this.#judge = new SecondOpinion({
      judge: options.judge,
      onRaised: (activity, verdict) => this.#raise(activity, verdict),
      onFailing: (error) => this.#trouble('judge', error),
    });
    this.#halts = new OperatorHalts({
      session: options.ledger.session,
      halts: () => options.ledger.halts(),
      pause: this.#pause,
      onHalt: (halt) => {
        // What is being let go on was answered for before it.
        if (this.#containment.isLettingGo) return false;
        this.#ofOwn(OPERATOR, OPERATOR_HALT_RULE, reasonOf(halt));
        return true;
      },
      onFailing: (error) => this.#trouble('looking for halts', error),
    });
    this.#observed = new ObservedIncidents({
      ...options,
      nowMs: () => this.#clock.nowMs(),
      onTrouble: (error) => this.#trouble('incident', error),
    });
  }

  get level(): CoverageLevel | 'none' {
    return this.#sensors.level;
  }

  get isHolding(): boolean {
    return this.#containment.isHolding;
  }

  get ended(): Warden['ended'] {
    return this.#containment.ended;
  }

  async start(): Promise<void> {
    const { ledger, mode, freezer } = this.#options;
    this.#startedAtMs = this.#clock.monotonicMs();
    await this.#sensors.start();
    try {
      await ledger.mark('start', { coverage: this.level });
    } catch (error) {
      await this.#sensors.stop();
      throw error;
    }
    const sensors = this.#sensors.alive.map(({ name, level, gives }) => ({ name, level, gives }));
    this.#emit({ kind: 'started', at: this.#clock.nowMs(), level: this.level, mode, grade: freezer.grade, sensors });
    // Before the agent runs: what an operator stopped does not start anew.
    await this.#halts.start();
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
    const wasDenied = this.#answers.wasDenied(observation, asSeen, detectedAtMs);
    if (wasDenied && judged?.isHeld === true) return this.#refuseAgain(activity, asSeen, detectedAtMs, judged);
    const verdict = this.#answers.applied(observation, asSeen, {
      isHeld: judged?.isHeld,
      parent: this.#parentOf(observation),
      nowMs: this.#clock.monotonicMs(),
    });
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
    this.#judge.consider(activity, verdict, this.#recent);
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
      return judgedBy(this.#options, activity, this.#recent);
    } catch (error) {
      this.#trouble('rules', error);
      return ownVerdict('rules-failed', 'the rules could not judge this', activity.seq);
    }
  }

  #parentOf({ actor }: Observation): Activity['actor'] {
    return actor?.parent === undefined ? undefined : this.#options.tree.get(actor.parent);
  }

  /** Acts first; everything else comes after. */
  #take(activity: Activity, verdict: Verdict, detectedAtMs: number, judged?: Judged): void {
    this.#tally.verdict(verdict.level);
    if (verdict.level === 'SAFE') {
      this.#emit({ kind: 'judged', at: activity.at, activity, verdict, enforced: 'SAFE' });
      return;
    }
    const level = enforced(verdict.level, modeFor(activity, this.#options.mode));
    let incident: Incident | undefined;
    if (level === 'HALT' || level === 'KILL') incident = this.#containment.act(activity, verdict, level, detectedAtMs, judged);
    else if (verdict.level !== 'FLAG') incident = this.#observed.of(activity, verdict, this.#recent);
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

  /** After the fact: a judge found it worse. */
  #raise(activity: Activity, verdict: Verdict): void {
    try {
      this.#take(activity, verdict, this.#clock.monotonicMs());
    } catch (error) {
      this.#trouble('acting on a verdict', error);
    }
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

  #died(sensor: Sensor, error: Error, was: CoverageLevel | 'none'): void {
    const at = this.#clock.nowMs();
    this.#emit({ kind: 'coverage', at, level: this.level, sensor: sensor.name, why: error.message });
    this.#options.ledger
      .mark('coverage', { coverage: this.level })
      .catch((failure: unknown) => this.#trouble('recording the coverage', failure));
    if (this.level === 'none' && was !== 'none') this.#ofOwn(sensor.name, 'unwatched', 'the last sensor died: nothing is seen any more');
  }

  /** About the tree as a whole, whatever it does. */
  #ofOwn(sensor: string, rule: string, reason: string): void {
    const activity: Activity = {
      at: this.#clock.nowMs(),
      seq: ++this.#seq,
      sensor,
      phase: 'after',
      action: { kind: 'resource', processes: this.#options.tree.members().length },
      attribution: { method: 'none' },
    };
    this.#take(activity, ownVerdict(rule, reason, activity.seq), this.#clock.monotonicMs());
  }

  async #close(): Promise<WardenSummary> {
    this.#halts.stop();
    this.#judge.stop();
    // What was done before its end is told while they stop, and belongs to the session.
    await this.#sensors.stop();
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
      level: this.#sensors.lowest,
      durationMs: this.#clock.monotonicMs() - this.#startedAtMs,
      activities: this.#seq,
      ...this.#tally.facts(),
      lost: { log: this.#log.lost, judge: this.#judge.lost, ledger: this.#recorder.lost },
      sensors: this.#sensors.facts(),
    };
  }

  async #finish(): Promise<void> {
    await this.#containment.close();
    this.#judge.close();
    await this.#recorder.close();
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

function callOf(judged: Judged | undefined, level: Level): { readonly call?: 'held' | 'refused' } {
  if (judged === undefined || judged.wentOn === true) return {};
  if (!judged.isHeld) return { call: 'refused' };
  return level === 'HALT' || level === 'KILL' ? { call: 'held' } : {};
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
