/**
 * Hands records to the sinks of a guard, after the ledger has them and before a permit exists.
 *
 * Best effort: a sink that fails costs its line and nothing else; how many is counted, told to `onError` once per streak
 * and, when the sink works again, to the sink itself. A sink that is `required` is another matter: `after` says whether
 * all of those took the record, and without that no permit is given.
 */
import type { AuditSink } from '../interfaces.ts';
import { outsideCalls } from '../scope.ts';
import type { Committed, Unit } from '../store-units.ts';
import { type AuditRecord, auditRecords, droppedRecord } from './record.ts';

/** A required sink that has not answered by then has failed: a call may be refused, never hang. */
export const AUDIT_DEADLINE_MS = 5000;
/** Records a slow sink may have in hand; further ones are dropped. */
export const MAX_AUDIT_PENDING = 1000;

export interface TrailDeps {
  readonly nowMs: () => number;
  readonly report: (error: unknown, context: { readonly callId?: string; readonly during: string }) => void;
}

interface SinkState {
  readonly sink: AuditSink;
  /** Lines lost since the last one it took. */
  dropped: number;
  pending: number;
  isFailing: boolean;
}

export class AuditTrail {
  /** Lines that some sink did not take. */
  lost = 0;
  private readonly sinks: readonly SinkState[];
  private readonly deps: TrailDeps;

  constructor(sinks: readonly AuditSink[], deps: TrailDeps) {
    this.sinks = sinks.map((sink) => ({ sink, dropped: 0, pending: 0, isFailing: false }));
    this.deps = deps;
  }

  get isUsed(): boolean {
    return this.sinks.length > 0;
  }

  /** @returns true when every required sink has the records. Never throws, never takes longer than the deadline. */
  async after(unit: Unit, committed: Committed): Promise<boolean> {
    if (this.sinks.length === 0) return true;
    const taken = this.sinks.map((state) => this.write(state, unit, committed));
    const required = taken.filter((_, index) => this.sinks[index]?.sink.required === true);
    return (await Promise.all(required)).every((isTaken) => isTaken);
  }

  async close(): Promise<void> {
    const closing = this.sinks.map(async ({ sink }) => sink.close());
    for (const closed of await Promise.allSettled(closing)) if (closed.status === 'rejected') this.report(closed.reason);
  }

  private async write(state: SinkState, unit: Unit, committed: Committed): Promise<boolean> {
    let records: readonly AuditRecord[] = [];
    try {
      records = auditRecords(unit, committed, this.deps.nowMs(), state.sink.include ?? []);
      if (records.length === 0) return true;
      if (state.pending >= MAX_AUDIT_PENDING) throw new Error(`more than ${MAX_AUDIT_PENDING} records wait for this sink`);
      await this.handOver(state, records);
      state.isFailing = false;
      return true;
    } catch (error) {
      state.dropped += records.length;
      this.lost += records.length;
      if (!state.isFailing) this.report(error, 'call' in unit && 'body' in unit ? unit.body.call : undefined);
      state.isFailing = true;
      return false;
    }
  }

  /** A sink that writes at once is done when this returns: its lines keep the order of the commits. */
  private async handOver(state: SinkState, records: readonly AuditRecord[]): Promise<void> {
    const told = state.dropped === 0 ? [] : [droppedRecord(state.dropped, this.deps.nowMs())];
    // Taken away now: a record that comes while a slow sink is told must not tell it again.
    let untold = state.dropped;
    state.dropped = 0;
    try {
      for (const record of [...told, ...records]) {
        const written = outsideCalls(() => state.sink.write(record));
        if (written !== undefined) await this.inTime(state, written);
        if (record.event === 'dropped') untold = 0;
      }
    } finally {
      state.dropped += untold;
    }
  }

  private async inTime(state: SinkState, written: Promise<void>): Promise<void> {
    state.pending++;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the sink did not answer within ${AUDIT_DEADLINE_MS} ms`)), AUDIT_DEADLINE_MS);
      // A call waits for this one; nobody waits for the others.
      if (state.sink.required !== true) timer.unref();
    });
    const settled = Promise.resolve(written).finally(() => {
      state.pending--;
    });
    // Looked at through the race; when that is lost nobody else will.
    settled.catch(() => {});
    try {
      await Promise.race([settled, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private report(error: unknown, callId?: string): void {
    this.deps.report(error, { ...(callId !== undefined && { callId }), during: 'audit log' });
  }
}
