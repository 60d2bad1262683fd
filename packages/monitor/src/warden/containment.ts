/**
 * What follows a HALT or KILL: the tree is stopped before anything else is done, then it is put on record, evidence is taken, people
 * are asked. It goes on only when somebody entitled said so and all that is known of it is durable. One incident at a time:
 * what is found while the tree is held belongs to the incident that holds it.
 */
import { randomBytes } from 'node:crypto';
import type { Activity } from '../activity.ts';
import type { FreezeResult, KillResult } from '../contain/freezer.ts';
import { isDiskFull, notRecorded } from '../evidence/unwritable.ts';
import type { CoverageLevel, Judged } from '../sensor.ts';
import type { TreeProcess } from '../tree/process-tree.ts';
import type { Verdict } from '../verdict.ts';
import { Case } from './case.ts';
import { CaseRecord, type CaseRecordDeps, type Followed } from './case-record.ts';
import { culprits } from './culprits.ts';
import type { HaltWords } from './halt-words.ts';
import { modeFor } from './operator-halts.ts';
import type { HaltAnswer, Incident, IncidentStep, WardenOptions } from './ports.ts';

/** How often something that survived is killed again. */
export const MAX_KILLS = 5;
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 30_000;

export type EndedBy = 'verdict' | 'operator' | 'timeout' | 'signal';

type Deps = Pick<WardenOptions, 'mode' | 'freezer' | 'questions' | 'onHaltTimeout' | 'heldAtEnd'> &
  CaseRecordDeps & {
    /** What is watched now. */
    readonly level: () => CoverageLevel | 'none';
    /** A person let go on what an incident stopped. */
    readonly onResumed: (verdicts: readonly Verdict[], unknown: readonly string[]) => void;
    /** A person let a call happen that waited: before it does. */
    readonly onLetHappen: (activity: Activity, verdict: Verdict) => void;
    /** A person said no to a call that waited: before it fails. */
    readonly onDenied: (activity: Activity, verdict: Verdict) => void;
  };

export class Containment {
  readonly #deps: Deps;
  readonly #record: CaseRecord;
  #state: 'running' | 'held' | 'ending' | 'ended' = 'running';
  #case: Case | undefined;
  #answering = new AbortController();
  #work: Promise<void> = Promise.resolve();
  #isAsking = false;
  #isLettingGo = false;
  #isSuspended = false;
  #ended: { readonly by: EndedBy; readonly left: number } | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#record = new CaseRecord(deps);
  }

  get isHolding(): boolean {
    return this.#state === 'held';
  }

  /** An answer is followed: what comes up now is no part of what it is about. */
  get isLettingGo(): boolean {
    return this.#isLettingGo;
  }

  get ended(): { readonly by: EndedBy; readonly left: number } | undefined {
    return this.#ended;
  }

  /**
   * Stops or ends the tree, at once. Returns before that is done.
   *
   * @param detectedAtMs - on the clock that only goes forward: when the activity came in.
   * @param judged - it waits for what becomes of the incident, or was refused. Absent: it has happened.
   */
  act(activity: Activity, verdict: Verdict, level: 'HALT' | 'KILL', detectedAtMs: number, judged?: Judged): Incident {
    const current = this.#case ?? this.#open(activity, verdict, level, detectedAtMs);
    const isFirst = current.incident.activity === activity && (this.#state === 'running' || this.#state === 'held');
    current.join(activity, verdict, judged);
    if (level === 'KILL' && (this.#state === 'running' || this.#state === 'held')) this.#startEnding(current, 'verdict', verdict.rule);
    else if (this.#state === 'running') {
      this.#state = 'held';
      this.#freeze(current);
      this.#work = this.#hold(current);
    }
    // The first one goes on record once the tree is stopped.
    if (!isFirst) this.#deps.recorder.verdict(activity, verdict, level, current.incident.id);
    // What outlived its end does no more of it.
    if (this.#state === 'ended') current.answer('refuse');
    return current.incident;
  }

  /** The operator's own word, or the end of an agent that does not end. */
  async kill(by: EndedBy, why: string): Promise<void> {
    if (this.#state === 'running' || this.#state === 'held') this.#startEnding(this.#case, by, why);
    await this.#work;
  }

  async suspend(): Promise<void> {
    if (this.#state !== 'running') return;
    this.#isSuspended = true;
    await this.#deps.freezer.freeze();
  }

  /** What is held is stopped once more: whatever let us go on may have woken it too. */
  async proceed(): Promise<void> {
    const wasSuspended = this.#isSuspended;
    this.#isSuspended = false;
    try {
      if (this.#state === 'held') await this.#deps.freezer.freeze();
      else if (this.#state === 'running' && wasSuspended) await this.#deps.freezer.resume();
    } catch (error) {
      // A signal that anybody can send leads here: it must not end the warden.
      this.#record.trouble('going on', error);
    }
  }

  async settled(): Promise<void> {
    while (!this.#isAsking) {
      const work = this.#work;
      await Promise.race([work, this.#asking()]);
      if (work === this.#work) return;
    }
  }

  /** The question is taken back. */
  async close(): Promise<void> {
    const isEnded = this.#deps.heldAtEnd === 'kill' && this.#members().length > 0;
    if (this.#state === 'held' && isEnded) await this.kill('signal', 'the warden ended before anybody answered');
    if (this.#state === 'held') this.#state = 'ended';
    this.#case?.answer('refuse');
    this.#answering.abort();
    await this.#work;
  }

  readonly #askingWaiters: (() => void)[] = [];
  #asking(): Promise<void> {
    return new Promise((resolve) => this.#askingWaiters.push(resolve));
  }

  #open(activity: Activity, verdict: Verdict, level: 'HALT' | 'KILL', detectedAtMs: number): Case {
    const { ledger, clock } = this.#deps;
    const mode = modeFor(activity, this.#deps.mode);
    const incident: Incident = { id: newIncidentId(), at: clock.nowMs(), session: ledger.session, mode, activity, verdict };
    this.#answering = new AbortController();
    this.#case = new Case(incident, level, detectedAtMs);
    return this.#case;
  }

  /** Nothing is awaited before the freezer is called. */
  #freeze(current: Case): void {
    const { freezer, clock } = this.#deps;
    let under: Promise<FreezeResult>;
    try {
      under = freezer.freeze();
    } catch (error) {
      under = Promise.reject(error);
    }
    // A second try that fails says nothing new, and must not end us.
    under.catch(() => undefined);
    current.freezing ??= under.then(
      ({ grade, processes, running }) => {
        const took = { grade, count: processes, duration_ms: clock.monotonicMs() - current.detectedAtMs };
        this.#record.step(current, {
          event: running.length === 0 ? 'frozen' : 'failed',
          ...took,
          ...(running.length > 0 && { left: running }),
        });
      },
      (error: unknown) => {
        this.#record.trouble('freezing', error);
        this.#record.step(current, { event: 'failed', grade: freezer.grade, left: this.#members(), by: 'the tree could not be stopped' });
      },
    );
  }

  async #hold(current: Case): Promise<void> {
    await current.freezing;
    const { signal } = this.#answering;
    if (this.#isOver(current)) return;
    current.ref = await this.#deps.recorder.surely(this.#record.verdictOf(current), signal);
    await this.#record.recordSteps(current, signal);
    await this.#record.haltSession(current);
    await this.#record.capture(current);
    if (this.#isOver(current)) return;
    this.#record.alert(current, this.#words(current));
    for (let round = 0; ; round++) {
      const answer = await this.#ask(current, round, signal);
      if (this.#isOver(current)) return;
      // Something was said since that it is no answer to.
      if (current.isOutdated && (answer.do === 'resume' || answer.do === 'deny')) continue;
      this.#isLettingGo = answer.do === 'resume' || answer.do === 'deny';
      const isFollowed = await this.#follow(current, answer, round).finally(() => {
        this.#isLettingGo = false;
      });
      if (isFollowed) return;
    }
  }

  #ask(current: Case, round: number, signal: AbortSignal): Promise<HaltAnswer> {
    current.isAsked = true;
    current.isOutdated = false;
    const { incident, held, hasHappened } = current;
    const words = this.#words(current);
    const opened = (): void => this.#deps.emit({ kind: 'asked', at: this.#deps.clock.nowMs(), incident, held, hasHappened, words });
    this.#isAsking = true;
    for (const resolve of this.#askingWaiters.splice(0)) resolve();
    return this.#deps.questions.ask(incident, words, round, signal, opened).finally(() => {
      this.#isAsking = false;
    });
  }

  #words({ incident, waiting, held, hasHappened, saysRefused, isOperators }: Case): HaltWords {
    const { questions, clock, onHaltTimeout, level } = this.#deps;
    const { activity, at: sinceMs } = incident;
    const told = waiting.map((each) => each.activity);
    const times = { sinceMs, nowMs: clock.nowMs(), onTimeout: onHaltTimeout };
    return questions.words({ activity, waiting: told, held, hasHappened, saysRefused, isOperators, level: level(), ...times });
  }

  /** @returns false when it has to be asked about again. */
  async #follow(current: Case, answer: HaltAnswer, round: number): Promise<boolean> {
    switch (answer.do) {
      case 'resume':
        return this.#resume(current, answer);
      case 'deny':
        return this.#deny(current, answer);
      case 'kill':
        this.#startEnding(current, 'operator', answer.by, answer);
        return true;
      case 'timeout':
        if (this.#deps.onHaltTimeout === 'stay') return false;
        this.#startEnding(current, 'timeout', 'nobody answered in time');
        return true;
      case 'failed':
        this.#record.trouble('asking about a halt', isDiskFull(answer.error) ? notRecorded(answer.error, this.#deps.mode) : answer.error);
        await this.#deps.pause(Math.min(FIRST_PAUSE_MS * 2 ** Math.min(round, 10), MAX_PAUSE_MS), this.#answering.signal);
        return false;
    }
  }

  async #resume(current: Case, answer: Followed): Promise<boolean> {
    if (!(await this.#allRecorded(current))) return true;
    this.#record.step(current, {
      event: answer.isOverride === true ? 'overridden' : 'resumed',
      count: this.#members().length,
      by: answer.by,
    });
    await this.#record.recordSteps(current, this.#answering.signal, answer);
    if (this.#isOver(current)) return true;
    await this.#letGo(current, answer, 'continue');
    return true;
  }

  /** What waits is refused, and who did what was done already is ended; the rest goes on. */
  async #deny(current: Case, answer: Followed): Promise<boolean> {
    const ended = current.hasHappened ? await this.#endThoseOf(current, answer) : {};
    if (ended === undefined) return true;
    const refused = current.refused + current.held;
    this.#record.step(current, { event: 'denied', ...ended, ...(refused > 0 && { refused }), by: answer.by });
    if (!(await this.#allRecorded(current))) return true;
    await this.#record.recordSteps(current, this.#answering.signal, answer);
    if (this.#isOver(current)) return true;
    await this.#letGo(current, answer, 'refuse');
    return true;
  }

  /** Where it is not known who did it, nobody may go on. @returns undefined when all of it is ended instead */
  async #endThoseOf(current: Case, answer: Followed): Promise<Pick<IncidentStep, 'grade' | 'count' | 'duration_ms'> | undefined> {
    const members = this.#members();
    const { actors } = current;
    // One that ended may have left others behind that do its work: nothing says who they are.
    const areThere = actors.every(({ pid, start }) => members.some((each) => each.pid === pid && each.start === start));
    const those = current.unknown.size > 0 || !areThere ? [] : culprits(members, actors);
    if (those.length === 0) {
      this.#startEnding(current, 'operator', `${answer.by}: it is not known which process did it`, answer);
      return undefined;
    }
    let result: KillResult | undefined;
    try {
      result = await this.#deps.freezer.killOnly(those);
    } catch (error) {
      this.#record.trouble('ending the processes that did it', error);
    }
    if (this.#isOver(current)) return undefined;
    if (result === undefined || result.left.length > 0) {
      this.#startEnding(current, 'operator', `${answer.by}: the processes that did it could not be ended alone`, answer);
      return undefined;
    }
    const { grade, killed, duration_ms } = result;
    return { grade, count: killed, duration_ms };
  }

  async #letGo(current: Case, answer: Followed, held: 'continue' | 'refuse'): Promise<void> {
    await this.#record.resumeSession(current, answer);
    if (this.#isOver(current)) return;
    this.#state = 'running';
    this.#case = undefined;
    this.#deps.onResumed(held === 'continue' ? current.verdicts : current.done, [...current.unknown]);
    const onAnswer = held === 'refuse' ? this.#deps.onDenied : this.#deps.onLetHappen;
    for (const { activity, verdict } of current.waiting) onAnswer(activity, verdict);
    if (held === 'refuse') current.answer('refuse');
    let failure: unknown;
    try {
      // A call that a stop signal interrupts is made again, and would be asked about again: so the signals go first.
      await this.#deps.freezer.resume();
    } catch (error) {
      failure = error;
    }
    current.answer(held);
    if (failure !== undefined) {
      this.#record.trouble('letting the tree go on', failure);
      this.#record.step(current, { event: 'failed', by: 'it could not be let go on' });
      await this.#record.recordSteps(current, new AbortController().signal);
    }
    await this.#record.update(current);
  }

  #startEnding(open: Case | undefined, by: EndedBy, why: string, answer?: HaltAnswer): void {
    this.#state = 'ending';
    this.#answering.abort();
    if (open !== undefined) this.#freeze(open);
    // What holds it returns by itself: it sees that this is over.
    this.#work = this.#end(open, by, why, answer);
  }

  async #end(open: Case | undefined, by: EndedBy, why: string, answer?: HaltAnswer): Promise<void> {
    const { freezer, quarantine, recorder } = this.#deps;
    await open?.freezing;
    // What could not be stopped is not given the time.
    const isStopped = open?.steps.some(({ event }) => event === 'frozen') === true;
    if (open !== undefined && isStopped) await this.#record.capture(open);
    let result: KillResult | undefined;
    let killed = 0;
    for (let round = 0; round < MAX_KILLS; round++) {
      try {
        result = await freezer.kill();
        killed += result.killed;
      } catch (error) {
        this.#record.trouble('ending the tree', error);
      }
      if (result?.left.length === 0) break;
      await this.#deps.pause(FIRST_PAUSE_MS, new AbortController().signal);
    }
    // Not before: what waits runs nothing meanwhile.
    open?.answer('refuse');
    const left = result?.left ?? this.#members();
    this.#ended = { by, left: left.length };
    this.#state = 'ended';
    if (open === undefined) return;
    this.#record.step(open, {
      event: left.length === 0 ? 'killed' : 'failed',
      grade: freezer.grade,
      count: killed,
      ...(left.length > 0 && { left }),
      ...(result !== undefined && { duration_ms: result.duration_ms }),
      by: why,
    });
    await this.#record.capture(open);
    open.ref ??= await recorder.inTime(this.#record.verdictOf(open));
    await this.#record.recordSteps(open, undefined, answer);
    await this.#record.haltSession(open);
    if (quarantine !== undefined) await this.#record.quarantine(open);
    this.#record.alert(open);
    await this.#record.update(open);
  }

  /** @returns false when it is over meanwhile. */
  async #allRecorded(current: Case): Promise<boolean> {
    await Promise.race([this.#deps.recorder.idle(), aborted(this.#answering.signal)]);
    return !this.#isOver(current);
  }

  /** It was decided otherwise meanwhile. */
  #isOver(current: Case): boolean {
    return this.#state !== 'held' || this.#case !== current;
  }

  #members(): readonly TreeProcess[] {
    return this.#deps.tree.members();
  }
}

export function newIncidentId(): string {
  return randomBytes(16).toString('hex');
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
