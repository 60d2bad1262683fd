/**
 * Group commit: callers queue, one transaction serves all, each proceeds only after it is durable.
 *
 * A caller alone is served at once; under load a batch is whatever queued while the last one was being written.
 * A failed batch fails every caller in it and closes the writer; it reopens with back-off, after a full recovery check.
 */
import { CountersignError } from './errors.ts';
import type { Committed, Unit } from './store.ts';

/** The part of a store that owns the connection. */
export type BatchResult = Committed | { readonly kind: 'rejected'; readonly error: unknown };

export interface BatchWriter {
  /**
   * Applies the units in one transaction and makes it durable before returning. `busy`: another process holds the lock
   * and nothing was done. `rejected`: that unit alone cannot be written.
   * @throws anything: no unit of this batch may be relied upon.
   */
  commitBatch(units: readonly Unit[]): readonly BatchResult[] | 'busy';
  /** Closes what is broken and opens anew with all checks of a first open. Throws when it cannot. */
  recover(): void;
}

export interface GroupCommitOptions {
  readonly maxQueue?: number;
  /** How long a caller may wait for the lock, milliseconds. */
  readonly deadlineMs?: number;
}

const MAX_BATCH = 256;
const MAX_QUEUE = 4096;
const DEADLINE_MS = 5000;
/** How long a unit that is in no hurry waits for company. */
const LAZY_MS = 20;
const BACK_OFF_FIRST_MS = 100;
const BACK_OFF_MAX_MS = 5000;
/** Waits below a timer's resolution are spun on setImmediate this often, then timers take over. */
const SPINS_BEFORE_TIMER = 64;

interface Item {
  readonly unit: Unit;
  readonly lazy: boolean;
  readonly deadline: number;
  readonly resolve: (committed: Committed) => void;
  readonly reject: (error: unknown) => void;
}

interface Broken {
  readonly cause: unknown;
  retryAt: number;
  backOffMs: number;
}

export class GroupCommit {
  private readonly writer: BatchWriter;
  private readonly maxQueue: number;
  private readonly deadlineMs: number;
  private queue: Item[] = [];
  private scheduled = false;
  private lazyTimer: NodeJS.Timeout | undefined;
  /** Units of the last batch that somebody waited for. */
  private lastBatch = 1;
  private busyTries = 0;
  private closed = false;
  private broken: Broken | undefined;

  constructor(writer: BatchWriter, options: GroupCommitOptions = {}) {
    this.writer = writer;
    this.maxQueue = options.maxQueue ?? MAX_QUEUE;
    this.deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  }

  commit(unit: Unit, options: { readonly lazy?: boolean } = {}): Promise<Committed> {
    if (this.closed) return Promise.reject(new CountersignError('LEDGER_CLOSED', 'the ledger was closed: open the store again'));
    if (this.queue.length >= this.maxQueue) {
      return Promise.reject(
        new CountersignError('LEDGER_QUEUE_FULL', `${this.queue.length} units already wait for the ledger: slow down and retry`),
      );
    }
    return new Promise((resolve, reject) => {
      const lazy = options.lazy === true;
      this.queue.push({ unit, lazy, deadline: performance.now() + this.deadlineMs, resolve, reject });
      if (lazy) this.lazyTimer ??= setTimeout(() => this.flush(), LAZY_MS);
      else this.schedule();
    });
  }

  /** Writes everything queued and refuses whatever comes after. */
  async close(): Promise<void> {
    while (this.queue.length > 0) {
      const last = this.queue.at(-1) as Item;
      this.schedule();
      await new Promise<void>((done) => {
        const { resolve, reject } = last;
        Object.assign(last, {
          resolve: (committed: Committed) => (resolve(committed), done()),
          reject: (error: unknown) => (reject(error), done()),
        });
      });
    }
    this.closed = true;
    clearTimeout(this.lazyTimer);
  }

  /**
   * For readers of a writer that may be broken: brings it back if it is time to.
   * @throws {CountersignError} `LEDGER_*` while it is broken.
   */
  revive(): void {
    if (this.broken !== undefined) this.tryToReopen(this.broken);
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    // A caller alone gains nothing by waiting for the next turn of the loop; callers in a crowd gain company.
    if (this.lastBatch <= 1) queueMicrotask(() => this.flush());
    else setImmediate(() => this.flush());
  }

  private flush(): void {
    this.scheduled = false;
    clearTimeout(this.lazyTimer);
    this.lazyTimer = undefined;
    if (this.queue.length === 0) return;
    if (this.broken !== undefined && !this.reopened(this.broken)) return;

    const batch = this.queue.splice(0, MAX_BATCH);
    let results: readonly BatchResult[] | 'busy';
    try {
      results = this.writer.commitBatch(batch.map((item) => item.unit));
    } catch (cause) {
      this.broken = { cause, retryAt: performance.now() + BACK_OFF_FIRST_MS, backOffMs: BACK_OFF_FIRST_MS };
      const error = writeFailed(cause);
      for (const item of batch) item.reject(error);
      if (this.queue.length > 0) this.schedule();
      return;
    }
    if (results === 'busy') return this.retryLater(batch);

    this.busyTries = 0;
    // Outcomes that ride along are no crowd: whoever calls alone would wait a turn of the loop for nothing.
    this.lastBatch = batch.reduce((count, item) => (item.lazy ? count : count + 1), 0);
    for (const [i, item] of batch.entries()) {
      const result = results[i] as BatchResult;
      if (result.kind === 'rejected') item.reject(result.error);
      else item.resolve(result);
    }
    if (this.queue.length > 0) this.schedule();
  }

  /** SQLite's own busy handler starves waiters; short random waits do not. Expired callers leave the queue. */
  private retryLater(batch: readonly Item[]): void {
    const now = performance.now();
    const expired = batch.filter((item) => item.deadline <= now);
    this.queue.unshift(...batch.filter((item) => item.deadline > now));
    for (const item of expired) {
      item.reject(new CountersignError('LEDGER_BUSY', `the ledger stayed locked for ${this.deadlineMs} ms by another process`));
    }
    if (this.queue.length === 0) return;
    this.scheduled = true;
    this.busyTries++;
    if (this.busyTries > SPINS_BEFORE_TIMER) {
      setTimeout(() => this.flush(), 1);
      return;
    }
    const wakeAt = now + 0.1 + Math.random() * 0.5;
    const wait = (): void => {
      if (performance.now() >= wakeAt) this.flush();
      else setImmediate(wait);
    };
    setImmediate(wait);
  }

  /** Refuses everybody queued while the writer cannot be brought back. */
  private reopened(broken: Broken): boolean {
    try {
      this.tryToReopen(broken);
      return true;
    } catch (error) {
      for (const item of this.queue.splice(0)) item.reject(error);
      return false;
    }
  }

  private tryToReopen(broken: Broken): void {
    if (performance.now() < broken.retryAt) throw writeFailed(broken.cause);
    try {
      this.writer.recover();
    } catch (cause) {
      broken.backOffMs = Math.min(broken.backOffMs * 2, BACK_OFF_MAX_MS);
      broken.retryAt = performance.now() + broken.backOffMs;
      throw writeFailed(cause);
    }
    this.broken = undefined;
  }
}

/** An error that tells callers to refuse. */
export function writeFailed(cause: unknown): CountersignError {
  if (CountersignError.is(cause)) return cause;
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new CountersignError('LEDGER_WRITE_FAILED', `the ledger could not be written (${detail}): calls are refused until it can`, {
    cause,
  });
}
