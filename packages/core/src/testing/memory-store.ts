/** The Store in memory: for tests and benches only. It keeps nothing, so a guard on it keeps no promise about records. */
import { randomBytes } from 'node:crypto';
import { countsOf, listingOf, pageOf } from '../approval/listing.ts';
import { approvalRow, askFacts } from '../approval/row.ts';
import { type BudgetQuery, type BudgetUse, countsFrom, type KeyUse } from '../budget/use.ts';
import type { EntryRef } from '../call.ts';
import { applyUnit } from '../commit.ts';
import { CountersignError } from '../errors.ts';
import type { GrantPlaces } from '../grant/history.ts';
import { grantRow } from '../grant/row.ts';
import type { Halt } from '../halt/book.ts';
import type { Clock } from '../interfaces.ts';
import { newId, parseEntry } from '../ledger/body.ts';
import { formatCheckpoint } from '../ledger/checkpoint.ts';
import type { Entry, Opening } from '../ledger/entry.ts';
import { hmacUnder } from '../ledger/hmac.ts';
import { CompactRange, leafHash } from '../ledger/merkle.ts';
import type { PinState } from '../pin/book.ts';
import type { ToolCount } from '../policy/call-counts.ts';
import type { SessionFacts } from '../policy/policy.ts';
import type { Checkpoint, Store } from '../store.ts';
import type { ApprovalCounts, ApprovalFilter, ApprovalRow, CallRow, GrantRow } from '../store-rows.ts';
import type { Committed, Unit } from '../store-units.ts';
import { ALL_SESSIONS, seemsHalted } from '../transaction/halts.ts';
import type { ApprovalRecord, GrantRecord } from '../transaction/tx.ts';
import { MemoryRows } from './memory-rows.ts';

export interface MemoryStore extends Store {
  /** Everything appended so far, parsed. */
  entries(): readonly Entry[];
  openings(): ReadonlyMap<number, Opening>;
  /** From now on every commit throws this, until called with undefined. */
  failWith(error: Error | undefined): void;
}

export function memoryStore(options: { readonly clock?: Clock; readonly origin?: string } = {}): MemoryStore {
  return new Memory(options.clock ?? { nowMs: Date.now }, options.origin ?? 'memory.test/log');
}

class Memory implements MemoryStore {
  readonly writer: string = newId();
  readonly files: readonly string[] = [];
  private readonly clock: Clock;
  private readonly origin: string;
  readonly mac: (text: string) => string = hmacUnder(randomBytes(32));
  private readonly rows: MemoryRows;
  private readonly waiters = new Map<string, Set<() => void>>();
  private failure: Error | undefined;
  private closed = false;

  constructor(clock: Clock, origin: string) {
    this.clock = clock;
    this.origin = origin;
    this.rows = new MemoryRows(this.writer);
  }

  async commit(unit: Unit): Promise<Committed> {
    if (this.closed) throw new CountersignError('LEDGER_CLOSED', 'the store was closed');
    if (this.failure !== undefined) throw this.failure;
    this.rows.atMs = this.nowMs();
    const committed = applyUnit(unit, this.rows);
    if (committed.kind === 'answered') this.wake(committed.approval.id);
    if (unit.kind === 'lapse') this.wake(unit.approval);
    return committed;
  }

  entries(): readonly Entry[] {
    return this.rows.texts.map(parseEntry);
  }

  openings(): ReadonlyMap<number, Opening> {
    return this.rows.openings;
  }

  failWith(error: Error | undefined): void {
    this.failure = error;
  }

  async session(id: string): Promise<SessionFacts> {
    const row = this.rows.session(id);
    const halted = seemsHalted([row, this.rows.session(ALL_SESSIONS)].filter((each) => each !== undefined));
    return row === undefined ? { id, labels: [], halted, startedAtMs: this.nowMs(), version: 0 } : { ...row, halted };
  }

  async sessionCalls(session: string): Promise<readonly ToolCount[]> {
    return this.rows.sessionCalls(session);
  }

  async callByKey(key: string): Promise<CallRow | undefined> {
    return this.rows.callByKey(key);
  }

  async callById(id: string): Promise<CallRow | undefined> {
    return this.rows.callById(id);
  }

  async inCustody(name: string): Promise<CallRow | undefined> {
    return this.rows.inCustody(name);
  }

  async askedCall(match: string): Promise<CallRow | undefined> {
    return this.rows.askedCall(match);
  }

  async entry(ref: EntryRef): Promise<string | undefined> {
    return this.rows.text(ref);
  }

  async stoodUnsigned(): Promise<boolean> {
    return this.rows.stoodUnsigned();
  }

  async approval(id: string): Promise<ApprovalRow | undefined> {
    const row = this.rows.approval(id);
    return row === undefined ? undefined : { ...this.approvalRow(row), ...askFacts(row.ask, this.rows) };
  }

  async opening(of: number): Promise<Opening | undefined> {
    return this.rows.opening(of);
  }

  async approvals(filter?: ApprovalFilter): Promise<readonly ApprovalRow[]> {
    const page = pageOf([...this.rows.approvalRows.values()], listingOf(filter), this.nowMs());
    return page.map((row) => this.approvalRow(row));
  }

  async approvalCounts(filter?: ApprovalFilter): Promise<ApprovalCounts> {
    return countsOf([...this.rows.approvalRows.values()], listingOf(filter), this.nowMs());
  }

  async grant(id: string): Promise<GrantRow | undefined> {
    const row = this.rows.grant(id);
    return row === undefined ? undefined : this.grantRow(row);
  }

  async grants(): Promise<readonly GrantRow[]> {
    return [...this.rows.grants.values()].toReversed().flatMap((row) => this.grantRow(row) ?? []);
  }

  async openGrants(): Promise<readonly GrantRow[]> {
    const open = (await this.grants()).filter((row) => row.state === 'open');
    return open.toSorted((a, b) => a.expiresAtMs - b.expiresAtMs);
  }

  async pin(server: string | undefined, name: string): Promise<PinState | undefined> {
    return this.rows.pins().one(server, name);
  }

  async pins(): Promise<{ readonly tools: readonly PinState[]; readonly newest: EntryRef | undefined }> {
    const book = this.rows.pins();
    return { tools: [...book.all()], newest: book.newest };
  }

  async halts(): Promise<readonly Halt[]> {
    return this.rows.halts().all();
  }

  approvalSettled(id: string, signal: AbortSignal): Promise<void> {
    return new Promise((done) => {
      const finish = (): void => {
        signal.removeEventListener('abort', finish);
        const set = this.waiters.get(id);
        set?.delete(check);
        if (set?.size === 0) this.waiters.delete(id);
        done();
      };
      const check = (): void => {
        if (this.rows.approval(id)?.state !== 'pending') finish();
      };
      signal.addEventListener('abort', finish);
      this.waiters.set(id, (this.waiters.get(id) ?? new Set()).add(check));
      if (signal.aborted) finish();
      else check();
    });
  }

  async budgetUse({ budget, windowMs, key: only, limit }: BudgetQuery): Promise<BudgetUse> {
    const since = countsFrom(this.nowMs(), windowMs);
    const keys: KeyUse[] = [];
    for (const [name, charges] of this.rows.charges) {
      const [id, key] = JSON.parse(name) as [string, string];
      if (id !== budget || (only !== undefined && key !== only)) continue;
      const counted = charges.filter(({ at }) => at >= since);
      const used = counted.reduce((sum, { cost }) => sum + cost, 0);
      const amounts = Map.groupBy(counted, ({ at }) => at);
      const oldest = [...amounts].map(([at, each]) => ({ at, amount: each.reduce((sum, { cost }) => sum + cost, 0) }));
      const first = oldest.filter(({ amount }) => amount > 0).toSorted((a, b) => a.at - b.at)[0];
      const frees = windowMs === undefined || first === undefined ? {} : { frees: { atMs: first.at + windowMs, amount: first.amount } };
      if (used !== 0) keys.push({ key, used, ...frees });
    }
    const fullest = keys.toSorted((a, b) => b.used - a.used || (a.key < b.key ? -1 : 1));
    return { keys: fullest.slice(0, limit), count: keys.length };
  }

  nowMs(): number {
    return Math.max(this.rows.atMs, this.clock.nowMs());
  }

  async head(): Promise<Checkpoint> {
    const range = new CompactRange();
    for (const text of this.rows.texts) range.push(leafHash(text));
    const checkpoint = { origin: this.origin, size: range.size, root: range.root() };
    return { ...checkpoint, note: formatCheckpoint(checkpoint) };
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private approvalRow(row: ApprovalRecord): ApprovalRow {
    const answered = row.answers.at(-1);
    const { openings } = this.rows;
    return approvalRow(row, { ask: openings.get(row.ask.of), answer: answered && openings.get(answered.of) }, this.nowMs());
  }

  private grantRow(row: GrantRecord): GrantRow | undefined {
    const { rows } = this;
    const parts = {
      entry: (ref: EntryRef) => rows.entry(ref),
      opening: (of: number) => rows.openings.get(of),
      history: (places: GrantPlaces) => rows.grantHistory(places),
    };
    return grantRow(row, parts, this.nowMs());
  }

  private wake(id: string): void {
    for (const check of this.waiters.get(id) ?? []) check();
  }
}
