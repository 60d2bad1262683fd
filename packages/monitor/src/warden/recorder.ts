/** Puts verdicts and what followed from them into the ledger. What waits is bounded; what does not fit is never dropped in silence. */
import type { ContainmentRecord, EntryRef, VerdictRecord } from '@countersign/core';
import type { Activity } from '../activity.ts';
import { plainJson } from '../plain-json.ts';
import { rollbackDetails } from '../quarantine/record.ts';
import { type Level, MAX_EVIDENCE, type MonitorMode, type Verdict } from '../verdict.ts';
import { modeFor } from './operator-halts.ts';
import type { HaltAnswer, Incident, IncidentStep, WardenLedger } from './ports.ts';
import { WorkQueue } from './work-queue.ts';

/** Verdicts that may wait for the ledger. */
export const MAX_UNRECORDED = 4_096;
/** At once: the ledger commits them together. */
const WIDTH = 64;
/** How often something is tried that nothing waits for, or that the end of a tree waits for. */
export const MAX_TRIES = 5;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

export interface RecorderOptions {
  readonly ledger: Pick<WardenLedger, 'session' | 'record' | 'sessionOf'>;
  readonly mode: MonitorMode;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A verdict is not on record, or not yet: nothing that is watched may go on until it is. */
  readonly onFailing: (activity: Activity) => void;
  /** The ledger takes nothing: told once, and again when it failed anew after it had taken something. */
  readonly onStuck: (error: unknown) => void;
}

interface Waiting {
  readonly activity: Activity;
  readonly record: VerdictRecord;
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #queue: WorkQueue<Waiting>;
  readonly #closing = new AbortController();
  #lost = 0;
  #isStuck = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ limit: MAX_UNRECORDED, width: WIDTH }, (waiting) => this.#write(waiting));
  }

  /** Verdicts and steps that the ledger did not take. */
  get lost(): number {
    return this.#lost;
  }

  /** Returns at once. */
  verdict(activity: Activity, verdict: Verdict, enforced: Level, incident: string | undefined): void {
    if (this.#queue.push({ activity, record: this.verdictOf(activity, verdict, enforced, incident) })) return;
    this.#lost++;
    this.#stuck(new Error(`${MAX_UNRECORDED} verdicts wait for the ledger`));
    this.#options.onFailing(activity);
  }

  /** Tries until it is durable. @returns undefined when it was given up. */
  async surely(record: VerdictRecord | ContainmentRecord, signal: AbortSignal): Promise<EntryRef | undefined> {
    for (let tries = 0; ; tries++) {
      const ref = await this.#try(record);
      if (ref !== undefined) return ref;
      if (signal.aborted || this.#closing.signal.aborted) return this.#giveUp();
      await this.#options.pause(pauseMs(tries), AbortSignal.any([signal, this.#closing.signal]));
    }
  }

  /** Tries for a while. */
  async inTime(record: VerdictRecord | ContainmentRecord): Promise<EntryRef | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (tries > 0) await this.#options.pause(pauseMs(tries), this.#closing.signal);
      const ref = await this.#try(record);
      if (ref !== undefined) return ref;
    }
    return this.#giveUp();
  }

  /** Resolves when every verdict is durable, or lost. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /** Tries what waits a last time. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#queue.idle();
  }

  verdictOf(activity: Activity, verdict: Verdict, enforced: Level, incident: string | undefined): VerdictRecord {
    const { call, candidates } = activity.attribution;
    const { level, rule, reason, evaluator, confidence, evidence } = verdict;
    return {
      kind: 'verdict',
      session: this.#options.ledger.session,
      ...(call !== undefined && { call }),
      ...(call === undefined && candidates !== undefined && { candidates }),
      level: onRecord(level),
      enforced: onRecord(enforced),
      mode: modeFor(activity, this.#options.mode),
      rule,
      evaluator,
      confidence,
      ...(incident !== undefined && { incident }),
      phase: activity.phase,
      activity: plainJson({ reason, evidence: evidence.slice(-MAX_EVIDENCE), seen: activity }),
    };
  }

  stepOf(incident: Incident, step: IncidentStep, verdict: EntryRef | undefined, answer: HaltAnswer | undefined): ContainmentRecord {
    const { event, grade, count, refused, left, duration_ms, by, rollback } = step;
    const leftCount = rollback?.left ?? left?.length;
    const approval = answer !== undefined && 'approval' in answer ? answer.approval : undefined;
    return {
      kind: 'containment',
      session: incident.session,
      incident: incident.id,
      event,
      ...(verdict !== undefined && { verdict }),
      ...(grade !== undefined && { grade }),
      ...(count !== undefined && { count }),
      ...(refused !== undefined && { refused }),
      ...(leftCount !== undefined && { left: leftCount }),
      ...(duration_ms !== undefined && { duration_ms: Math.max(0, Math.round(duration_ms)) }),
      ...(approval !== undefined && { approval }),
      ...((by !== undefined || left !== undefined || rollback !== undefined) && {
        details: plainJson({
          by,
          left: left?.slice(0, MAX_EVIDENCE),
          ...(rollback !== undefined && { rollback: rollbackDetails(rollback) }),
        }),
      }),
    };
  }

  async #write({ activity, record }: Waiting): Promise<void> {
    const withSession = await this.#inItsSession(record);
    for (let tries = 0; ; tries++) {
      let failure: unknown;
      try {
        await this.#options.ledger.record(withSession);
        this.#isStuck = false;
        return;
      } catch (error) {
        failure = error;
      }
      this.#stuck(failure);
      // Nothing is stopped in audit mode, so nothing waits either: it is told, and counted.
      const isLast = this.#closing.signal.aborted || (this.#options.mode === 'audit_only' && tries + 1 >= MAX_TRIES);
      if (tries === 0 || isLast) this.#options.onFailing(activity);
      if (isLast) {
        this.#lost++;
        return;
      }
      await this.#options.pause(pauseMs(tries), this.#closing.signal);
    }
  }

  /** A verdict on what a call did stands in the session of the call. */
  async #inItsSession(record: VerdictRecord): Promise<VerdictRecord> {
    if (record.call === undefined) return record;
    try {
      const session = await this.#options.ledger.sessionOf(record.call);
      if (session !== undefined) return { ...record, session };
      // Nobody made such a call: what the environment of a process says is not evidence.
      const { call: _unknown, ...rest } = record;
      return rest;
    } catch {
      return record;
    }
  }

  async #try(record: VerdictRecord | ContainmentRecord): Promise<EntryRef | undefined> {
    try {
      const ref = await this.#options.ledger.record(record.kind === 'verdict' ? await this.#inItsSession(record) : record);
      this.#isStuck = false;
      return ref;
    } catch (error) {
      this.#stuck(error);
      return undefined;
    }
  }

  #stuck(error: unknown): void {
    if (this.#isStuck) return;
    this.#isStuck = true;
    this.#options.onStuck(error);
  }

  #giveUp(): undefined {
    this.#lost++;
    return undefined;
  }
}

function pauseMs(tries: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 10), MAX_PAUSE_MS);
}

function onRecord(level: Level): VerdictRecord['level'] {
  if (level === 'SAFE') throw new TypeError('what is safe is not recorded in the ledger');
  return level;
}
