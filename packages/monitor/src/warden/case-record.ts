/**
 * What is kept and told of an incident while it is dealt with: its steps, on record and in its folder; evidence; alerts; and the session of
 * its call, which is halted with it.
 */
import type { VerdictRecord } from '@countersign/core';
import type { Activity } from '../activity.ts';
import { type Case, MAX_STEPS } from './case.ts';
import type { HaltWords } from './halt-words.ts';
import type { HaltAnswer, IncidentStep, WardenEvent, WardenOptions } from './ports.ts';
import type { Recorder } from './recorder.ts';

/** Taking evidence may not keep a tree from being ended. */
export const MAX_CAPTURE_MS = 3_000;

export type CaseRecordDeps = Pick<WardenOptions, 'tree' | 'ledger' | 'incidents' | 'alerts' | 'quarantine'> & {
  readonly recorder: Recorder;
  readonly clock: NonNullable<WardenOptions['clock']>;
  readonly pause: NonNullable<WardenOptions['pause']>;
  readonly emit: (event: WardenEvent) => void;
  readonly recent: () => readonly Activity[];
};

/** Whose answer is followed. */
export type Followed = Extract<HaltAnswer, { readonly by: string }>;

export class CaseRecord {
  readonly #deps: CaseRecordDeps;

  constructor(deps: CaseRecordDeps) {
    this.#deps = deps;
  }

  step(current: Case, step: Omit<IncidentStep, 'at'>): void {
    const made = { at: this.#deps.clock.nowMs(), ...step };
    if (current.steps.length < MAX_STEPS) current.steps.push(made);
    this.#deps.emit({ kind: 'contained', at: made.at, incident: current.incident, step: made });
  }

  /** Puts steps on record that are not. @param signal - gives it up; without one it is tried for a while only. */
  async recordSteps(current: Case, signal: AbortSignal | undefined, answer?: HaltAnswer): Promise<void> {
    const { recorder } = this.#deps;
    while (current.recorded < current.steps.length) {
      const step = current.steps[current.recorded++];
      if (step === undefined) break;
      const isAnswer = ['resumed', 'overridden', 'denied', 'killed'].includes(step.event);
      const record = recorder.stepOf(current.incident, step, current.ref, isAnswer ? answer : undefined);
      if (signal === undefined) await recorder.inTime(record);
      else await recorder.surely(record, signal);
    }
  }

  verdictOf({ incident, level }: Case): VerdictRecord {
    return this.#deps.recorder.verdictOf(incident.activity, incident.verdict, level, incident.id);
  }

  /** Once. Processes are stopped, or about to be ended: neither waits for a disk that hangs. */
  capture(current: Case): Promise<void> {
    const { incidents, recent, pause } = this.#deps;
    current.captured ??= (async () => {
      const taken = new AbortController();
      try {
        const opened = incidents.open(current.incident, this.#deps.tree.members(), recent());
        // Told below while it is waited for. One that fails later than that was told of as late.
        opened.catch(() => undefined);
        const isLate = await Promise.race([opened.then(() => false), pause(MAX_CAPTURE_MS, taken.signal).then(() => true)]);
        if (isLate) this.trouble('evidence', new Error(`evidence was not taken within ${MAX_CAPTURE_MS} ms`));
      } catch (error) {
        this.trouble('evidence', error);
      } finally {
        taken.abort();
      }
    })();
    return current.captured;
  }

  alert(current: Case, question?: HaltWords): void {
    const { alerts } = this.#deps;
    void this.update(current);
    if (alerts === undefined) return;
    alerts.alert(current.incident, [...current.steps], question).catch((error: unknown) => this.trouble('alert', error));
  }

  async update(current: Case): Promise<void> {
    try {
      await this.#deps.incidents.update(current.incident, [...current.steps]);
    } catch (error) {
      this.trouble('incident', error);
    }
  }

  async haltSession(current: Case): Promise<void> {
    const { call } = current.incident.activity.attribution;
    if (call === undefined || current.halted !== undefined) return;
    try {
      const session = await this.#deps.ledger.sessionOf(call);
      if (session === undefined) return;
      await this.#deps.ledger.halt(session, 'MONITOR_HALTED', { incident: current.incident.id });
      current.halted = session;
    } catch (error) {
      this.trouble('halting the session of the call', error);
    }
  }

  async resumeSession(current: Case, { approval }: Pick<Followed, 'approval'>): Promise<void> {
    const { halted, incident } = current;
    if (halted === undefined) return;
    try {
      // What another halted it for is theirs to answer.
      const stands = (await this.#deps.ledger.halts()).find(({ session }) => session === halted);
      if (stands !== undefined && stands.incident !== incident.id) return;
      await this.#deps.ledger.resume(halted, approval);
    } catch (error) {
      // Its calls stay refused, which an operator can see and end; the processes may go on.
      this.trouble('resuming the session of the call', error);
    }
  }

  async quarantine(current: Case): Promise<void> {
    try {
      const rollback = await this.#deps.quarantine?.take(current.incident);
      if (rollback === undefined || rollback.quarantined + rollback.left === 0) return;
      this.step(current, { event: 'quarantined', count: rollback.quarantined, duration_ms: rollback.duration_ms, rollback });
      await this.recordSteps(current, undefined);
    } catch (error) {
      this.trouble('quarantine', error);
    }
  }

  trouble(during: string, error: unknown): void {
    this.#deps.emit({ kind: 'trouble', at: this.#deps.clock.nowMs(), during, error });
  }
}
