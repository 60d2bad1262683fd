/**
 * Group commit: callers queue, one transaction serves all, each proceeds only after it is durable.
 *
 * A caller alone is served at once; under load a batch is whatever queued while the last one was being written.
 * One batch is written at a time. A failed batch fails every caller in it and closes the writer; it reopens with back-off,
 * after a full recovery check.
 */
import { CountersignError } from './errors.ts';
import { pauseForLock } from './pause.ts';
import type { Committed, Unit } from './store-units.ts';

/** `rejected`: that unit alone cannot be written. `busy`: that unit was to be written alone, and the lock was taken. */
export type BatchResult = Committed | { readonly kind: 'rejected'; readonly error: unknown } | { readonly kind: 'busy' };

/** One result per unit, or `busy`: another process holds the lock and nothing was done. */
export type BatchOutcome = readonly BatchResult[] | 'busy';

/** The part of a store that owns the connection. On a thread of its own it answers with promises. */
export interface BatchWriter {
  /**
   * Applies the units in one transaction and makes it durable before answering. Called again only after it answered.
   * @throws anything: no unit of this batch may be relied upon.
   */
  commitBatch(units: readonly Unit[]): BatchOutcome | Promise<BatchOutcome>;
  /** Closes what is broken and opens anew with all checks of a first open. Throws when it cannot. */
  recover(): void | Promise<void>;
}

export interface GroupCommitOptions {
  readonly maxQueue?: number;
  /** How long a caller may wait for the lock, milliseconds; an outcome waits six times as long. */
  readonly deadlineMs?: number;
}

const MAX_BATCH = 256;
const MAX_QUEUE = 4096;
/** How long a caller may wait for the lock, unless the options say otherwise. */
export const DEADLINE_MS = 5000;
/** An outcome waits so many times longer: a call that is refused may come again, an outcome that is lost never does. */
const OUTCOME_PATIENCE = 6;
/** How long a unit that is in no hurry waits for company. */
const LAZY_MS = 20;
const BACK_OFF_FIRST_MS = 100;
const BACK_OFF_MAX_MS = 5000;
/** So often a batch waits below a timer's resolution, about a third of a second in all; then whoever holds the lock is slow. */
const SHORT_TRIES = 1000;

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
  /** A batch or a reopening that a writer on its own thread has not answered yet. Never rejects. */
  private flight: Promise<void> | undefined;
  private reopening: Promise<void> | undefined;

  constructor(writer: BatchWriter, options: GroupCommitOptions = {}) {
    this.writer = writer;
    this.maxQueue = options.maxQueue ?? MAX_QUEUE;
    this.deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  }

  commit(unit: Unit, options: { readonly lazy?: boolean } = {}): Promise<Committed> {
    if (this.closed) return Promise.reject(closedError());
    if (this.queue.length >= this.maxQueue) {
      return Promise.reject(
        new CountersignError('LEDGER_QUEUE_FULL', `${this.queue.length} units already wait for the ledger: slow down and retry`),
      );
    }
    return new Promise((resolve, reject) => {
      const lazy = options.lazy === true;
      this.queue.push({ unit, lazy, deadline: performance.now() + this.patienceMs(unit), resolve, reject });
      if (lazy) this.armLazyTimer();
      else this.schedule();
    });
  }

  private patienceMs(unit: Unit): number {
    return unit.kind === 'outcome' ? this.deadlineMs * OUTCOME_PATIENCE : this.deadlineMs;
  }

  /** Writes everything queued and refuses whatever comes after. */
  async close(): Promise<void> {
    for (;;) {
      if (this.flight !== undefined) {
        await this.flight;
        continue;
      }
      const last = this.queue.at(-1);
      if (last === undefined) break;
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
    // A writer that a reader is bringing back is closed once it is there: nobody else would.
    await this.reopening?.catch(() => undefined);
  }

  /**
   * For readers of a writer that may be broken: brings it back if it is time to.
   * @throws {CountersignError} `LEDGER_*` while it is broken.
   */
  revive(): Promise<void> | undefined {
    if (this.broken === undefined) return undefined;
    if (this.closed) throw closedError();
    return this.tryToReopen(this.broken);
  }

  /** The writer is broken, though nobody asked for anything: it is brought back now, or when it is next asked. */
  fault(cause: unknown): void {
    this.broken ??= { cause, retryAt: performance.now(), backOffMs: BACK_OFF_FIRST_MS };
    // Nobody waits here. Where that fails it stays broken, and whoever asks next is refused and told why.
    try {
      this.revive()?.catch(() => undefined);
    } catch {
      // As above: thrown where the writer is of this thread.
    }
  }

  private armLazyTimer(): void {
    this.lazyTimer ??= setTimeout(() => this.flush(), LAZY_MS);
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
    // Whoever queues while a batch is being written goes with the next one.
    if (this.queue.length === 0 || this.flight !== undefined) return;
    if (this.broken !== undefined) {
      const reopened = this.reopened(this.broken);
      if (reopened === false) return;
      if (reopened !== true) return this.await(reopened);
    }

    const batch = this.queue.splice(0, MAX_BATCH);
    let outcome: BatchOutcome | Promise<BatchOutcome>;
    try {
      outcome = this.writer.commitBatch(batch.map((item) => item.unit));
    } catch (cause) {
      this.fail(batch, cause);
      return;
    }
    if (!(outcome instanceof Promise)) return this.settle(batch, outcome);
    this.await(
      outcome.then(
        (answer) => () => this.settle(batch, answer),
        (cause: unknown) => () => this.fail(batch, cause),
      ),
    );
  }

  /** Holds the queue back until a promise that does not reject is there, then does what it says and goes on. */
  private await(answer: Promise<() => void>): void {
    this.flight = answer.then((proceed) => {
      this.flight = undefined;
      proceed();
    });
  }

  private fail(batch: readonly Item[], cause: unknown): void {
    this.broken = { cause, retryAt: performance.now() + BACK_OFF_FIRST_MS, backOffMs: BACK_OFF_FIRST_MS };
    const error = writeFailed(cause);
    for (const item of batch) item.reject(error);
    this.proceed();
  }

  private settle(batch: readonly Item[], outcome: BatchOutcome): void {
    if (outcome === 'busy') return this.retryLater(batch);
    this.busyTries = 0;
    // Outcomes that ride along are no crowd: whoever calls alone would wait a turn of the loop for nothing.
    this.lastBatch = batch.reduce((count, item) => (item.lazy ? count : count + 1), 0);
    const locked: Item[] = [];
    for (const [i, item] of batch.entries()) {
      const result = outcome[i] as BatchResult;
      if (result.kind === 'rejected') item.reject(result.error);
      else if (result.kind === 'busy') locked.push(item);
      else item.resolve(result);
    }
    if (locked.length > 0) this.retryLater(locked);
    else this.proceed();
  }

  /** Units that are in no hurry go on waiting for company. */
  private proceed(): void {
    if (this.queue.some((item) => !item.lazy)) this.schedule();
    else if (this.queue.length > 0) this.armLazyTimer();
  }

  /** Between two short waits the event loop runs. Expired callers leave the queue. */
  private retryLater(batch: readonly Item[]): void {
    const now = performance.now();
    const expired = batch.filter((item) => item.deadline <= now);
    this.queue.unshift(...batch.filter((item) => item.deadline > now));
    for (const item of expired) {
      item.reject(new CountersignError('LEDGER_BUSY', `the ledger stayed locked for ${this.patienceMs(item.unit)} ms by another process`));
    }
    if (this.queue.length === 0) return;
    this.scheduled = true;
    this.busyTries++;
    if (this.busyTries > SHORT_TRIES) setTimeout(() => this.flush(), 1);
    else setImmediate(() => (pauseForLock(), this.flush()));
  }

  /** Refuses everybody queued while the writer cannot be brought back. */
  private reopened(broken: Broken): boolean | Promise<() => void> {
    const refuse = (error: unknown): void => {
      for (const item of this.queue.splice(0)) item.reject(error);
    };
    try {
      const reopening = this.tryToReopen(broken);
      if (reopening === undefined) return true;
      return reopening.then(
        () => () => this.proceed(),
        (error: unknown) => () => refuse(error),
      );
    } catch (error) {
      refuse(error);
      return false;
    }
  }

  private tryToReopen(broken: Broken): undefined | Promise<void> {
    if (this.reopening !== undefined) return this.reopening;
    if (performance.now() < broken.retryAt) throw writeFailed(broken.cause);
    let recovering: void | Promise<void>;
    try {
      recovering = this.writer.recover();
    } catch (cause) {
      throw stillBroken(broken, cause);
    }
    if (recovering === undefined) {
      this.broken = undefined;
      return undefined;
    }
    this.reopening = recovering
      .then(
        () => {
          this.broken = undefined;
        },
        (cause: unknown) => {
          throw stillBroken(broken, cause);
        },
      )
      .finally(() => {
        this.reopening = undefined;
      });
    return this.reopening;
  }
}

function closedError(): CountersignError {
  return new CountersignError('LEDGER_CLOSED', 'the ledger was closed: open the store again');
}

/** Doubles the time until the next try. */
function stillBroken(broken: Broken, cause: unknown): CountersignError {
  broken.backOffMs = Math.min(broken.backOffMs * 2, BACK_OFF_MAX_MS);
  broken.retryAt = performance.now() + broken.backOffMs;
  return writeFailed(cause);
}

/** An error that tells callers to refuse. */
export function writeFailed(cause: unknown): CountersignError {
  if (CountersignError.is(cause)) return cause;
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new CountersignError('LEDGER_WRITE_FAILED', `the ledger could not be written (${detail}): calls are refused until it can`, {
    cause,
  });
}
