/**
 * The one connection of a store that writes: transactions, what a failed one leaves behind, and opening anew.
 *
 * Whatever changes the ledger is done here. It runs on the thread that owns the connection, so what comes in and goes out
 * is plain data; reading for the rest of the process is the store's (`store.ts`).
 */
import { applyUnit } from '../commit.ts';
import { CountersignError } from '../errors.ts';
import { type BatchOutcome, type BatchResult, type BatchWriter, writeFailed } from '../group-commit.ts';
import type { Clock, Signer } from '../interfaces.ts';
import type { Checkpoint } from '../store.ts';
import type { Committed, Unit } from '../store-units.ts';
import { isBusy, isContentFault, type OpenedFile, retryBusy } from './database.ts';
import type { KnownHeads } from './known-heads.ts';
import { type Head, markUnsignedTail, type OpenLedger, openLedger } from './open-ledger.ts';

/** The last known head is written at most this often. */
const REMEMBER_MS = 1000;

export interface WriterOptions {
  readonly path: string;
  readonly origin: string;
  /** Absent = the ledger is unsigned. */
  readonly signer: Signer | undefined;
  readonly clock: Clock;
  /** Name of this open of the store. */
  readonly writer: string;
  /** Pid of a client that counts as a guard too. */
  readonly client?: number | undefined;
  /** Create the ledger when it is missing. */
  readonly create: boolean;
  readonly heads: KnownHeads;
  /** A head this ledger must still hold, beside the one that `heads` tells of. */
  readonly known?: Head;
  /** Calls that were refused because their commit failed, though it may be durable. */
  readonly doubtful?: readonly string[];
}

export class LedgerWriter implements BatchWriter {
  private readonly options: WriterOptions;
  private current: OpenLedger;
  private rememberedAt = 0;
  /** Calls that were refused because their commit failed, though it may be durable. */
  private doubtful: readonly string[] = [];

  /** @throws {CountersignError} `LEDGER_*`, `KEY_MISMATCH` */
  constructor(options: WriterOptions) {
    this.options = options;
    const { known, doubtful = [] } = options;
    this.current = openLedger({ ...options, known, doubtful });
  }

  /** The connection and what belongs to it. Another one after `recover`. */
  get open(): OpenLedger {
    return this.current;
  }

  /**
   * Implements BatchWriter: one transaction for the whole batch, durable and still in the right file when it returns. A
   * unit that cannot be written costs the others nothing but a transaction of their own.
   */
  commitBatch(units: readonly Unit[]): BatchOutcome {
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

  /** Implements BatchWriter: the same ledger again, with every check of a first open. */
  recover(): void {
    const known = this.head();
    this.remember(true);
    this.current.file.close();
    this.current = openLedger({ ...this.options, create: false, known, doubtful: this.doubtful });
    this.doubtful = [];
  }

  /** What this writer knows to be durable. */
  head(): Head {
    const { size, root } = this.current.log.head();
    return { ledger: this.current.ledger, size, root };
  }

  /**
   * Hands the log over to another key: announced in an entry under this one, and the checkpoint of that commit signed by
   * both. Nothing more can be written through this writer.
   *
   * @throws {CountersignError} `LEDGER_*`, `KEY_MISMATCH`
   */
  rotate(next: Signer): Checkpoint {
    const { database, log, rows, file } = this.current;
    retryBusy(() => database.exec('BEGIN IMMEDIATE'));
    try {
      file.checkIdentity();
      if (log.catchUp()) rows.fallBehind();
      rows.begin();
      markUnsignedTail(log, rows);
      // Last in its commit: whoever reads the newest entry of the doubly signed head sees that the key changed.
      rows.append({ kind: 'key', event: 'rotated', vkey: next.vkey, from: log.size });
      const head = log.sealRotation(next);
      database.exec('COMMIT');
      file.checkIdentity();
      log.confirm();
      this.remember(true);
      return head;
    } catch (error) {
      if (database.inTransaction) rollBack(file);
      throw error;
    }
  }

  /**
   * Renews the lease.
   * @throws {CountersignError} `LEDGER_REPLACED`
   */
  beat(): void {
    this.current.file.checkIdentity();
    try {
      this.current.leases.take();
    } catch {
      // Locked or broken: the next beat or commit will tell.
    }
  }

  /** Closes the connection for another one in this process that goes on under the same name: the lease stays. */
  handOver(): void {
    this.remember(true);
    this.current.file.close();
  }

  /** Closes a connection that failed: its locks are free, what it left is for recovery. */
  abandon(): void {
    this.remember(true);
    this.current.file.close();
  }

  close(): void {
    this.remember(true);
    try {
      this.current.file.checkIdentity();
      retryBusy(() => this.current.leases.release());
    } catch {
      // The row of a closed writer is only noise: its process will be gone, and recovery knows that.
    }
    this.current.file.close();
  }

  private doubt(units: readonly Unit[], error: unknown): unknown {
    // Now, as this process may not live until it opens the ledger again: whoever does must find what was told to be durable.
    this.remember(true);
    this.doubtful = doubtfulCalls(units);
    return error;
  }

  private transactAlone(unit: Unit): BatchResult {
    try {
      const results = this.transact([unit]);
      return results === 'busy' ? { kind: 'busy' } : (results[0] as Committed);
    } catch (error) {
      if (!isContentFault(error)) throw error;
      return { kind: 'rejected', error };
    }
  }

  private transact(units: readonly Unit[]): readonly Committed[] | 'busy' {
    const { database, log, rows, file, transaction } = this.current;
    try {
      transaction.begin.run();
    } catch (error) {
      if (isBusy(error)) return 'busy';
      throw error;
    }
    let results: readonly Committed[];
    let isCommitting = false;
    try {
      // Before anything is written too: in a WAL that another writer no longer shares with us we would write over its entries.
      file.checkIdentity();
      if (log.catchUp()) rows.fallBehind();
      rows.begin();
      markUnsignedTail(log, rows);
      results = units.map((unit) => applyUnit(unit, rows));
      log.seal();
      isCommitting = true;
      transaction.commit.run();
      // What is not at its path any more was told to nobody: it is not what the ledger must still hold when it is opened again.
      file.checkIdentity();
      log.confirm();
    } catch (error) {
      // Give the lock back at once: other processes may be able to write where this one could not.
      if (database.inTransaction) rollBack(file);
      rows.forgetSums();
      rows.forgetHistories();
      // From here on it may be durable: nothing is written a second time, whatever went wrong.
      if (isCommitting) throw CountersignError.is(error) ? error : writeFailed(error);
      // The tree in memory has leaves that were rolled back; a broken connection is opened anew instead.
      if (isContentFault(error)) database.transaction(() => log.load())();
      throw error;
    }
    this.remember();
    return results;
  }

  private remember(now = false): void {
    const at = performance.now();
    if (!now && at - this.rememberedAt < REMEMBER_MS) return;
    this.rememberedAt = at;
    this.options.heads.write(this.head());
  }
}

/** What a failed batch allowed may be durable all the same. It was refused and never runs: recovery says so. */
export function doubtfulCalls(units: readonly Unit[]): readonly string[] {
  return units.flatMap((unit) => (unit.kind === 'decide' && unit.body.effect === 'allow' ? [unit.body.call] : []));
}

function rollBack(file: OpenedFile): void {
  try {
    file.database.exec('ROLLBACK');
  } catch {
    file.close();
  }
}
