/** The Store on SQLite. Start reading at `openStore`. */
import { createHmac } from 'node:crypto';
import { resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { approvalRow } from '../approval/row.ts';
import type { EntryRef } from '../call.ts';
import { applyUnit } from '../commit.ts';
import { CountersignError } from '../errors.ts';
import { type BatchResult, type BatchWriter, GroupCommit, type GroupCommitOptions, writeFailed } from '../group-commit.ts';
import type { Clock, Signer } from '../interfaces.ts';
import { newId } from '../ledger/body.ts';
import type { SessionFacts } from '../policy/policy.ts';
import type { ApprovalRow, ApprovalState, CallRow, Checkpoint, Committed, Store, Unit } from '../store.ts';
import type { ApprovalRecord } from '../transaction/tx.ts';
import { isBusy, isContentFault, retryBusy } from './database.ts';
import { KnownHeads } from './known-heads.ts';
import { HEARTBEAT_MS } from './leases.ts';
import { closeQuietly, type OpenLedger, openLedger } from './open-ledger.ts';

export interface SqliteStoreOptions {
  /** The ledger file. */
  readonly path: string;
  /** Names the log in checkpoints, like `example.com/billing`. */
  readonly origin: string;
  /** The signing key, or the word `none`: an unsigned ledger proves integrity, never authorship. */
  readonly signer: Signer | 'none';
  /** Default true: create the ledger when it is missing. */
  readonly create?: boolean;
  /** More files that tool arguments may not name, such as the key file. */
  readonly files?: readonly string[];
  /** Where last known heads are kept; see `KnownHeads`. */
  readonly stateDirectory?: string;
  readonly clock?: Clock;
  readonly queue?: GroupCommitOptions;
}

const MAX_APPROVALS_LISTED = 10_000;
const POLL_MS = 100;
/** The last known head is written at most this often. */
const REMEMBER_MS = 1000;

/**
 * Opens or creates a ledger and checks that it is durable, unbroken, signed by our key and not older than last seen.
 *
 * @throws {CountersignError} `LEDGER_*`, `KEY_MISMATCH`, `OPTIONS_INVALID`
 */
export function openStore(options: SqliteStoreOptions): SqliteStore {
  if (options.origin === '' || /[\s+]/u.test(options.origin)) {
    throw new CountersignError('OPTIONS_INVALID', 'origin must be a name without spaces or `+`, like `example.com/billing`');
  }
  return new SqliteStore(options);
}

export class SqliteStore implements Store, BatchWriter {
  readonly writer: string = newId();
  readonly files: readonly string[];
  private readonly options: SqliteStoreOptions;
  private readonly signer: Signer | undefined;
  private readonly known: KnownHeads;
  private readonly queue: GroupCommit;
  private readonly waiters = new Map<string, Set<() => void>>();
  private open: OpenLedger;
  private poll: NodeJS.Timeout | undefined;
  private heartbeat: NodeJS.Timeout | undefined;
  private rememberedAt = 0;
  /** Calls that were refused because their commit failed, though it may be durable. */
  private doubtful: readonly string[] = [];
  private closed = false;
  private dataVersion = 0;

  constructor(options: SqliteStoreOptions) {
    const path = resolve(options.path);
    this.options = options;
    this.signer = options.signer === 'none' ? undefined : options.signer;
    this.files = [path, `${path}-wal`, `${path}-shm`, `${path}-journal`, ...(options.files ?? []).map((file) => resolve(file))];
    this.known = new KnownHeads(path, options.stateDirectory);
    this.queue = new GroupCommit(this, options.queue);
    this.open = this.openLedger(options.create ?? true, this.known.read());
    this.heartbeat = setInterval(() => this.beat(), HEARTBEAT_MS);
    this.heartbeat.unref();
  }

  commit(unit: Unit, options?: { readonly lazy?: boolean }): Promise<Committed> {
    return this.queue.commit(unit, options);
  }

  /**
   * Implements BatchWriter: one transaction for the whole batch, durable and still in the right file when it returns. A
   * unit that cannot be written costs the others nothing but a transaction of their own.
   */
  commitBatch(units: readonly Unit[]): readonly BatchResult[] | 'busy' {
    try {
      return this.transact(units);
    } catch (error) {
      if (!isContentFault(error)) throw this.doubt(units, error);
    }
    try {
      return units.map((unit) => this.transactAlone(unit));
    } catch (error) {
      throw this.doubt(units, error);
    }
  }

  /** What a failed batch allowed may be durable all the same. It was refused and never runs: recovery says so. */
  private doubt(units: readonly Unit[], error: unknown): unknown {
    this.doubtful = units.flatMap((unit) => (unit.kind === 'decide' && unit.body.effect === 'allow' ? [unit.body.call] : []));
    return error;
  }

  private transactAlone(unit: Unit): BatchResult {
    try {
      const results = this.transact([unit]);
      if (results !== 'busy') return results[0] as Committed;
      return { kind: 'rejected', error: new CountersignError('LEDGER_BUSY', 'the ledger is locked by another process: try again') };
    } catch (error) {
      if (!isContentFault(error)) throw error;
      return { kind: 'rejected', error };
    }
  }

  private transact(units: readonly Unit[]): readonly Committed[] | 'busy' {
    const { database, log, rows, file, transaction } = this.open;
    try {
      transaction.begin.run();
    } catch (error) {
      if (isBusy(error)) return 'busy';
      throw error;
    }
    let results: readonly Committed[];
    let isCommitting = false;
    try {
      if (log.catchUp()) rows.forgetSums();
      rows.begin();
      results = units.map((unit) => applyUnit(unit, rows));
      log.seal();
      isCommitting = true;
      transaction.commit.run();
      log.confirm();
      file.checkIdentity();
    } catch (error) {
      // Give the lock back at once: other processes may be able to write where this one could not.
      if (database.inTransaction) rollBack(database);
      rows.forgetSums();
      // From here on it may be durable: nothing is written a second time, whatever went wrong.
      if (isCommitting) throw CountersignError.is(error) ? error : writeFailed(error);
      // The tree in memory has leaves that were rolled back; a broken connection is opened anew instead.
      if (isContentFault(error)) database.transaction(() => log.load())();
      throw error;
    }
    this.remember();
    for (const result of results) if (result.kind === 'answered') this.wake(result.approval.id);
    for (const unit of units) if (unit.kind === 'lapse') this.wake(unit.approval);
    return results;
  }

  /** Implements BatchWriter: the same ledger again, with every check of a first open. */
  recover(): void {
    const { size, root } = this.open.log.head();
    const { ledger } = this.open;
    closeQuietly(this.open.database);
    this.open = this.openLedger(false, { ledger, size, root });
    this.doubtful = [];
  }

  async session(id: string): Promise<SessionFacts> {
    const row = this.read(({ rows }) => rows.session(id));
    if (row === undefined) return { id, labels: [], halted: false, startedAtMs: this.nowMs(), version: 0 };
    return { id: row.id, labels: row.labels, halted: row.halted, startedAtMs: row.startedAtMs, version: row.version };
  }

  async callByKey(key: string): Promise<CallRow | undefined> {
    return this.read(({ rows }) => rows.callByKey(key));
  }

  async callById(id: string): Promise<CallRow | undefined> {
    return this.read(({ rows }) => rows.callById(id));
  }

  async askedCall(match: string): Promise<CallRow | undefined> {
    return this.read(({ rows }) => rows.askedCall(match));
  }

  async entry(ref: EntryRef): Promise<string | undefined> {
    return this.read(({ database, log, rows }) => {
      if (database.transaction(() => log.catchUp())()) rows.forgetSums();
      return log.proven(ref);
    });
  }

  async approval(id: string): Promise<ApprovalRow | undefined> {
    return this.read(({ rows }) => {
      const row = rows.approval(id);
      return row === undefined ? undefined : this.approvalRow(row);
    });
  }

  async approvals(filter: { readonly state?: ApprovalState; readonly limit?: number } = {}): Promise<readonly ApprovalRow[]> {
    // A row past its expiry still says `pending` until somebody comes back for it.
    const stored = filter.state === 'expired' ? 'pending' : filter.state;
    const rows = this.read((open) => open.rows.approvals(stored, filter.limit ?? MAX_APPROVALS_LISTED).map((row) => this.approvalRow(row)));
    return filter.state === undefined ? rows : rows.filter((row) => row.state === filter.state);
  }

  approvalSettled(id: string, signal: AbortSignal): Promise<void> {
    return new Promise((done) => {
      const finish = (): void => {
        signal.removeEventListener('abort', finish);
        const set = this.waiters.get(id);
        set?.delete(check);
        if (set?.size === 0) this.waiters.delete(id);
        if (this.waiters.size === 0) this.stopPolling();
        done();
      };
      const check = (): void => {
        try {
          if (this.closed || this.open.rows.approval(id)?.state !== 'pending') finish();
        } catch {
          // Broken: whoever waits finds out when it reads the approval.
          finish();
        }
      };
      signal.addEventListener('abort', finish);
      const set = this.waiters.get(id) ?? new Set();
      this.waiters.set(id, set.add(check));
      // Answers given by other processes show as a change of the file's data version: one read for all waiters.
      this.poll ??= setInterval(() => this.pollOthers(), POLL_MS);
      if (signal.aborted) finish();
      else check();
    });
  }

  mac(text: string): string {
    return createHmac('sha256', this.open.secret).update(text).digest('hex');
  }

  nowMs(): number {
    return this.open.log.nowMs();
  }

  async head(): Promise<Checkpoint> {
    return this.read(({ database, log, rows }) => {
      if (database.transaction(() => log.catchUp())()) rows.forgetSums();
      return log.head();
    });
  }

  async close(): Promise<void> {
    await this.queue.close();
    this.closed = true;
    // Who still waits for an answer finds the store closed, and is refused.
    for (const id of [...this.waiters.keys()]) this.wake(id);
    this.stopPolling();
    clearInterval(this.heartbeat);
    this.heartbeat = undefined;
    this.remember(true);
    try {
      retryBusy(() => this.open.leases.release());
    } catch {
      // The row of a closed writer is only noise: its process will be gone, and recovery knows that.
    }
    closeQuietly(this.open.database);
  }

  /** What cannot be read cannot be decided on: callers refuse. A broken connection is brought back here too. */
  private read<T>(action: (open: OpenLedger) => T): T {
    if (this.closed) throw new CountersignError('LEDGER_CLOSED', 'the ledger was closed: open the store again');
    this.queue.revive();
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

  private openLedger(
    create: boolean,
    known: { readonly ledger: string; readonly size: number; readonly root: string } | undefined,
  ): OpenLedger {
    const { path, origin, clock = { nowMs: Date.now } } = this.options;
    const { signer, writer, doubtful } = this;
    return openLedger({ path, origin, signer, clock, writer, create, heads: this.known, known, doubtful });
  }

  private approvalRow(row: ApprovalRecord): ApprovalRow {
    const answered = row.answers.at(-1);
    const { rows } = this.open;
    const openings = { ask: rows.opening(row.ask.of), answer: answered === undefined ? undefined : rows.opening(answered.of) };
    return approvalRow(row, openings, this.nowMs());
  }

  private wake(id: string): void {
    for (const check of this.waiters.get(id) ?? []) check();
  }

  private pollOthers(): void {
    try {
      const version = Number(this.open.database.pragma('data_version', { simple: true }));
      if (version === this.dataVersion) return;
      this.dataVersion = version;
    } catch {
      // A broken connection: let the waiters look for themselves.
    }
    for (const id of this.waiters.keys()) this.wake(id);
  }

  private stopPolling(): void {
    clearInterval(this.poll);
    this.poll = undefined;
  }

  private beat(): void {
    try {
      this.open.leases.take();
    } catch {
      // Locked or broken: the next beat or commit will tell.
    }
  }

  private remember(now = false): void {
    const at = performance.now();
    if (!now && at - this.rememberedAt < REMEMBER_MS) return;
    this.rememberedAt = at;
    const { size, root } = this.open.log.head();
    this.known.write({ ledger: this.open.ledger, size, root });
  }
}

function rollBack(database: Database): void {
  try {
    database.exec('ROLLBACK');
  } catch {
    closeQuietly(database);
  }
}
