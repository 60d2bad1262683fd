/** The Store on SQLite. Start reading at `openStore`. */
import { resolve } from 'node:path';
import { AnchorPublisher, type AnchorResult } from '../anchor/publisher.ts';
import { listingOf } from '../approval/listing.ts';
import { approvalRow, askFacts } from '../approval/row.ts';
import type { Background } from '../background.ts';
import type { BudgetQuery, BudgetUse } from '../budget/use.ts';
import type { EntryRef } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { grantRow } from '../grant/row.ts';
import { type BatchOutcome, type BatchWriter, DEADLINE_MS, GroupCommit } from '../group-commit.ts';
import type { Halt } from '../halt/book.ts';
import { Mirror } from '../jsonl/mirror.ts';
import { mirrorFiles } from '../jsonl/mirror-file.ts';
import { newId } from '../ledger/body.ts';
import type { Opening, RecoveryBody } from '../ledger/entry.ts';
import type { PinBook, PinState } from '../pin/book.ts';
import type { ToolCount } from '../policy/call-counts.ts';
import type { SessionFacts } from '../policy/policy.ts';
import type { Checkpoint, Store } from '../store.ts';
import type { ApprovalCounts, ApprovalFilter, ApprovalRow, CallRow, GrantRow } from '../store-rows.ts';
import type { Committed, Unit } from '../store-units.ts';
import { ALL_SESSIONS, seemsHalted } from '../transaction/halts.ts';
import type { ApprovalRecord, GrantRecord } from '../transaction/tx.ts';
import { newestAnswer } from './approval-view.ts';
import { ApprovalWaiters } from './approval-waiters.ts';
import { ChosenWriter } from './chosen-writer.ts';
import { IntervalSigning } from './interval-signing.ts';
import { KnownHeads } from './known-heads.ts';
import { HEARTBEAT_MS } from './leases.ts';
import { checkOptions, logSigner, type SqliteStoreOptions, writerChoice } from './options.ts';
import { type LedgerView, newestHead } from './view.ts';

const MAX_GRANTS_LISTED = 10_000;
/** Grants looked at for one call; the rest expires later. */
const MAX_GRANTS_TRIED = 256;

/**
 * Opens or creates a ledger and checks that it is durable, unbroken, signed by our key and not older than last seen.
 *
 * @throws {CountersignError} `LEDGER_*`, `KEY_MISMATCH`, `OPTIONS_INVALID`
 */
export function openStore(options: SqliteStoreOptions): SqliteStore {
  checkOptions(options);
  return new SqliteStore(options);
}

function warn(error: Error): void {
  process.emitWarning(error.message, 'CountersignWarning');
}

export class SqliteStore implements Store, BatchWriter {
  readonly writer: string = newId();
  readonly files: readonly string[];
  private readonly ledger: ChosenWriter;
  private readonly queue: GroupCommit;
  private readonly mirror: Mirror | undefined;
  private readonly waiters: ApprovalWaiters;
  private heartbeat: NodeJS.Timeout | undefined;
  private closed = false;
  private readonly background: readonly Background[];
  private anchors: AnchorPublisher | undefined;
  private isClosing = false;

  constructor(options: SqliteStoreOptions) {
    const { origin, clock = { nowMs: Date.now }, create = true } = options;
    const path = resolve(options.path);
    const own = [path, `${path}-wal`, `${path}-shm`, `${path}-journal`, ...(options.files ?? []).map((file) => resolve(file))];
    const mirror = options.mirror === undefined ? [] : mirrorFiles(resolve(options.mirror.path));
    if (mirror.some((file) => own.includes(file)))
      throw new CountersignError('OPTIONS_INVALID', 'mirror: it must be a file of its own, neither the ledger nor the key');
    this.files = [...own, ...mirror];
    const { stateDirectory } = options;
    const signer = logSigner(options.signer);
    const choice = writerChoice(options);
    const heads = new KnownHeads(path, stateDirectory);
    const deadlineMs = options.queue?.deadlineMs ?? DEADLINE_MS;
    this.ledger = new ChosenWriter({
      path,
      origin,
      signer,
      clock,
      writer: this.writer,
      client: options.client,
      create,
      heads,
      choice,
      stateDirectory,
      deadlineMs,
    });
    this.waiters = this.startWaiters(path, options.onError ?? warn);
    this.queue = new GroupCommit(this, options.queue);
    const record = (body: RecoveryBody): Promise<Committed> => this.queue.commit({ kind: 'record', body });
    this.mirror = options.mirror && new Mirror(options.mirror, { ledger: path, record });
    this.background = this.startBackground(options);
    this.heartbeat = setInterval(() => this.beat(), HEARTBEAT_MS);
    this.heartbeat.unref();
  }

  commit(unit: Unit, options?: { readonly lazy?: boolean }): Promise<Committed> {
    if (this.isClosing) return Promise.reject(new CountersignError('LEDGER_CLOSED', 'the ledger was closed: open the store again'));
    // Refusals are still recorded; nothing is allowed.
    const objection = unit.kind === 'decide' && unit.body.effect === 'allow' ? this.objection() : undefined;
    return objection === undefined ? this.queue.commit(unit, options) : Promise.reject(objection);
  }

  /** Implements BatchWriter. */
  commitBatch(units: readonly Unit[]): BatchOutcome | Promise<BatchOutcome> {
    const outcome = this.ledger.commitBatch(units);
    return outcome instanceof Promise ? outcome.then((answer) => this.wakeAfter(units, answer)) : this.wakeAfter(units, outcome);
  }

  /** Implements BatchWriter. */
  recover(): void | Promise<void> {
    return this.ledger.recover(() => this.mirror?.release());
  }

  async session(id: string): Promise<SessionFacts> {
    // A hint, as all rows are: the transaction asks the entries.
    const rows = await this.read((open) => open.rows.sessions(id, ALL_SESSIONS));
    const [row, halted] = [rows.find((each) => each.id === id), seemsHalted(rows)];
    if (row === undefined) return { id, labels: [], halted, startedAtMs: this.nowMs(), version: 0 };
    return { id: row.id, labels: row.labels, halted, startedAtMs: row.startedAtMs, version: row.version };
  }

  async sessionCalls(session: string): Promise<readonly ToolCount[]> {
    // In one snapshot, as `counted` below.
    return this.read((open) =>
      open.database.transaction(() => {
        newestHead(open);
        return open.rows.sessionCalls(session);
      })(),
    );
  }

  async callByKey(key: string): Promise<CallRow | undefined> {
    return this.read(({ rows }) => rows.callByKey(key));
  }

  async callById(id: string): Promise<CallRow | undefined> {
    return this.read(({ rows }) => rows.callById(id));
  }

  async inCustody(name: string): Promise<CallRow | undefined> {
    return this.read(({ rows }) => rows.inCustody(name));
  }

  async askedCall(match: string): Promise<CallRow | undefined> {
    return this.read(({ rows }) => rows.askedCall(match));
  }

  async entry(ref: EntryRef): Promise<string | undefined> {
    return this.read((open) => {
      newestHead(open);
      return open.log.proven(ref);
    });
  }

  async stoodUnsigned(ref: EntryRef): Promise<boolean> {
    // In one snapshot, as `counted`.
    return this.read((open) =>
      open.database.transaction(() => {
        newestHead(open);
        return open.rows.stoodUnsigned(ref, open.log.unmarkedTail());
      })(),
    );
  }

  async approval(id: string): Promise<ApprovalRow | undefined> {
    return this.read(({ rows }) => {
      const row = rows.approval(id);
      if (row === undefined) return undefined;
      newestHead(this.open);
      return { ...this.approvalRow(row), ...askFacts(row.ask, rows) };
    });
  }

  async opening(of: number): Promise<Opening | undefined> {
    return this.read(({ rows }) => rows.opening(of));
  }

  async approvals(filter?: ApprovalFilter): Promise<readonly ApprovalRow[]> {
    const listing = listingOf(filter);
    return this.read(({ rows }) => rows.approvals(listing, this.nowMs()).map((row) => this.approvalRow(row)));
  }

  async approvalCounts(filter?: ApprovalFilter): Promise<ApprovalCounts> {
    const listing = listingOf(filter);
    return this.read(({ rows }) => rows.approvalCounts(listing, this.nowMs()));
  }

  async grant(id: string): Promise<GrantRow | undefined> {
    return this.read((open) => {
      const row = open.rows.grant(id);
      return row === undefined ? undefined : this.counted(open, [row])[0];
    });
  }

  async grants(): Promise<readonly GrantRow[]> {
    return this.read((open) => this.counted(open, open.rows.grants(MAX_GRANTS_LISTED)));
  }

  async openGrants(): Promise<readonly GrantRow[]> {
    return this.read((open) => {
      const rows = open.rows.openGrants(this.nowMs(), MAX_GRANTS_TRIED);
      // Nearly always there is none, and nothing more to be read.
      if (rows.length > 0) newestHead(open);
      return rows.flatMap((row) => this.grantRow(row, false) ?? []);
    });
  }

  async pin(server: string | undefined, name: string): Promise<PinState | undefined> {
    return this.read((open) => this.book(open).one(server, name));
  }

  async pins(): Promise<{ readonly tools: readonly PinState[]; readonly newest: EntryRef | undefined }> {
    return this.read((open) => {
      const book = this.book(open);
      return { tools: [...book.all()], newest: book.newest };
    });
  }

  async halts(): Promise<readonly Halt[]> {
    // In one snapshot, as `counted`.
    return this.read((open) =>
      open.database.transaction(() => {
        newestHead(open);
        return open.rows.halts().all();
      })(),
    );
  }

  approvalSettled(id: string, signal: AbortSignal): Promise<void> {
    return this.waiters.settled(id, signal);
  }

  async budgetUse(query: BudgetQuery): Promise<BudgetUse> {
    return this.read((open) => {
      // Another writer may have seen a later time than this one: windows end where it saw them end.
      newestHead(open);
      return open.rows.budgetUse(query, this.nowMs());
    });
  }

  mac(text: string): string {
    return this.open.mac(text);
  }

  nowMs(): number {
    return this.open.log.nowMs();
  }

  async head(): Promise<Checkpoint> {
    return this.read(newestHead);
  }

  async close(): Promise<void> {
    if (this.background.length > 0) await this.finishBackground();
    await this.mirror?.settle();
    await this.queue.close();
    // Before the connection that writes: the last one to be closed must be able to tidy up.
    await this.mirror?.close();
    this.closed = true;
    this.waiters.close();
    clearInterval(this.heartbeat);
    this.heartbeat = undefined;
    await this.ledger.close();
  }

  private get open(): LedgerView {
    return this.ledger.view;
  }

  /** What cannot be read cannot be decided on: callers refuse. A broken connection is brought back here too. */
  private read<T>(action: (open: LedgerView) => T): T | Promise<T> {
    if (this.closed) throw new CountersignError('LEDGER_CLOSED', 'the ledger was closed: open the store again');
    const reviving = this.queue.revive();
    return reviving === undefined ? this.readNow(action) : reviving.then(() => this.readNow(action));
  }

  private readNow<T>(action: (open: LedgerView) => T): T {
    try {
      return action(this.open);
    } catch (cause) {
      if (CountersignError.is(cause)) throw cause;
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new CountersignError('LEDGER_WRITE_FAILED', `the ledger could not be read (${detail}): calls are refused until it can`, {
        cause,
      });
    }
  }

  private approvalRow(row: ApprovalRecord): ApprovalRow {
    const answered = newestAnswer(row);
    const { rows } = this.open;
    const openings = { ask: rows.opening(row.ask.of), answer: answered === undefined ? undefined : rows.opening(answered.of) };
    return approvalRow(row, openings, this.nowMs());
  }

  /** In one snapshot: entries that another process adds meanwhile would look as if they were not the tree's. */
  private counted(open: LedgerView, rows: readonly GrantRecord[]): readonly GrantRow[] {
    return open.database.transaction(() => {
      newestHead(open);
      return rows.flatMap((row) => this.grantRow(row, true) ?? []);
    })();
  }

  /** In one snapshot, as `counted`. */
  private book(open: LedgerView): PinBook {
    return open.database.transaction(() => {
      newestHead(open);
      return open.rows.pins();
    })();
  }

  private grantRow(row: GrantRecord, isCounted: boolean): GrantRow | undefined {
    const { rows } = this.open;
    const history = isCounted ? { history: rows.grantHistory.bind(rows) } : {};
    return grantRow(row, { entry: (ref) => rows.lasting(ref), opening: (of) => rows.opening(of), ...history }, this.nowMs());
  }

  private wakeAfter(units: readonly Unit[], outcome: BatchOutcome): BatchOutcome {
    if (outcome === 'busy') return outcome;
    for (const result of outcome) if (result.kind === 'answered') this.waiters.wake(result.approval.id);
    for (const unit of units) if (unit.kind === 'lapse') this.waiters.wake(unit.approval);
    this.mirror?.follow();
    try {
      for (const each of this.background) each.committed();
    } catch {
      // The batch is durable whatever cannot be looked up after it: the next commit tells again.
    }
    return outcome;
  }

  private objection(): CountersignError | undefined {
    for (const each of this.background) {
      const objection = each.objection();
      if (objection !== undefined) return objection;
    }
    return undefined;
  }

  /** Copies the newest checkpoint to every anchor now. Empty without anchors, or entries. */
  async publishAnchors(): Promise<readonly AnchorResult[]> {
    return (await this.anchors?.publish()) ?? [];
  }

  private startWaiters(path: string, onError: (error: Error) => void): ApprovalWaiters {
    return new ApprovalWaiters(
      {
        isPending: (id) => this.open.rows.approval(id)?.state === 'pending',
        settledAmong: (ids) => this.open.rows.settledAmong(ids),
        answeredSince: (from) => this.open.rows.answeredSince(from),
        size: () => this.open.rows.entryCount(),
        version: () => ({ connection: this.open, version: this.open.rows.dataVersion() }),
      },
      { file: `${path}-wal`, onError },
    );
  }

  private startBackground(options: SqliteStoreOptions): readonly Background[] {
    const anchors = this.startAnchors(options);
    this.anchors = anchors;
    return [...this.startSigning(options), ...(anchors === undefined ? [] : [anchors])];
  }

  private startAnchors({ anchors }: SqliteStoreOptions): AnchorPublisher | undefined {
    if (anchors === undefined || anchors.anchors.length === 0) return undefined;
    const publisher = new AnchorPublisher(anchors, {
      head: () => this.open.log.publishable(),
      keep: (note) => this.keep(note, 'anchor'),
      size: () => this.open.log.storedSize,
      consistencyProof: async (from, to) =>
        this.read((open) => {
          // Where a thread writes, this connection has not taken in the newest entries yet.
          newestHead(open);
          return open.log.consistencyProof(from, to);
        }),
    });
    publisher.committed();
    return publisher;
  }

  private startSigning({ signer }: SqliteStoreOptions): readonly Background[] {
    if (signer === 'none' || !('remote' in signer)) return [];
    const unsignedHead = (): Checkpoint | undefined => this.open.log.unsignedHead();
    const signing = new IntervalSigning(signer, { unsignedHead, keep: (note) => this.keep(note, 'signed') });
    signing.committed();
    return [signing];
  }

  private async keep(note: string, reason: 'signed' | 'anchor'): Promise<boolean> {
    const committed = await this.queue.commit({ kind: 'keep', note, reason });
    return committed.kind === 'kept' && committed.isKept;
  }

  /** Writes what is queued, so that the last signature covers it. A ledger that cannot be written is closed all the same. */
  private async finishBackground(): Promise<void> {
    this.isClosing = true;
    await this.keep('', 'signed').catch(() => undefined);
    for (const each of this.background) await each.close();
  }

  private beat(): void {
    try {
      this.ledger.beat();
    } catch (cause) {
      // At once, not with the next call: who waits for an approval would read where nobody answers any more, and no other store of this
      // process could open the ledger again.
      this.queue.fault(cause);
    }
  }
}
