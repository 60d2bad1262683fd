/**
 * The writer on a thread of its own, as the thread that started it sees it.
 *
 * INVARIANT: a batch is answered only by the thread that committed it. A thread that dies, fails, or is silent past its
 * deadline is given up for good: whoever waited is refused, what may be durable all the same is doubtful, and no other
 * thread is started before the old one has ended, so that there is one writing connection at any time.
 */
import type { Worker } from 'node:worker_threads';
import { CountersignError } from '../errors.ts';
import { type BatchOutcome, type BatchResult, type BatchWriter, writeFailed } from '../group-commit.ts';
import type { Clock } from '../interfaces.ts';
import type { Unit } from '../store-units.ts';
import { startThread } from '../thread.ts';
import type { Head } from './open-ledger.ts';
import { type Reply, type Request, receiveError, receiveResult, type ThreadData } from './thread-protocol.ts';
import { doubtfulCalls } from './writer.ts';

export interface ThreadWriterOptions {
  readonly thread: ThreadData;
  readonly clock: Clock;
  /** How long a batch may take, milliseconds. */
  readonly deadlineMs: number;
  /** Store time of the newest entry, after each commit. */
  readonly committed: (atMs: number) => void;
}

/** Loading the code, opening and checking the ledger, waiting for its lock meanwhile. */
const OPEN_MS = 15_000;
/** How long a thread that was given up may take to end before the next try. */
const END_MS = 1000;

export class ThreadWriter implements Pick<BatchWriter, 'commitBatch'> {
  private readonly options: ThreadWriterOptions;
  private thread: WriterThread;
  private opened: Promise<unknown> | undefined;
  private head: Head | undefined;
  private doubtful: readonly string[] = [];

  /** Starts the thread; nothing is opened yet. */
  constructor(options: ThreadWriterOptions) {
    this.options = options;
    this.thread = new WriterThread(options.thread);
  }

  /** Resolves when the thread can open the ledger without delay. Rejects when it cannot be started. */
  get loaded(): Promise<void> {
    return this.thread.loaded;
  }

  /** Takes the ledger over from a connection that was closed just now, at this head. */
  takeOver(head: Head): void {
    this.head = head;
    this.opened = this.open(head);
    // Whoever commits next is told.
    this.opened.catch(() => {});
  }

  /** Implements BatchWriter. */
  async commitBatch(units: readonly Unit[]): Promise<BatchOutcome> {
    await this.opened;
    try {
      return await this.send(units);
    } catch (error) {
      if (!isUncloneable(error)) throw error;
    }
    // Nothing was sent. One caller's bad unit must not fail the others.
    const rejections = new Map(units.flatMap((unit) => uncloneable(unit)));
    const good = units.filter((unit) => !rejections.has(unit));
    const outcome = good.length === 0 ? [] : await this.send(good);
    if (outcome === 'busy') return units.map((unit): BatchResult => rejections.get(unit) ?? { kind: 'busy' });
    const results = new Map(good.map((unit, i) => [unit, outcome[i] as BatchResult]));
    return units.map((unit) => rejections.get(unit) ?? (results.get(unit) as BatchResult));
  }

  /**
   * Another thread, once the old one has ended, with every check of a first open.
   *
   * @param released - told between the two.
   */
  async recover(released: () => void): Promise<void> {
    if (this.head === undefined) throw new CountersignError('LEDGER_CLOSED', 'the writer thread has no ledger yet');
    if (!(await this.thread.end(END_MS))) {
      throw new CountersignError('LEDGER_WRITE_FAILED', 'the old writer thread has not ended yet: calls are refused until it has');
    }
    released();
    this.thread = new WriterThread(this.options.thread);
    this.opened = this.open(this.head);
    await this.opened;
  }

  /** @throws what ended the thread, or why it was given up; it may not have ended yet. */
  check(): void {
    this.thread.check();
  }

  get isLost(): boolean {
    return this.thread.isLost;
  }

  async close(): Promise<void> {
    try {
      if (this.opened !== undefined) {
        await this.opened;
        await this.thread.ask({ kind: 'close' }, OPEN_MS);
      }
    } catch {
      // Broken already: its callers were told, recovery finds what it left.
    }
    await this.thread.end(END_MS);
  }

  private async open(known: Head): Promise<void> {
    const { doubtful, thread } = this;
    const reply = await thread.ask({ kind: 'open', nowMs: this.options.clock.nowMs(), known, doubtful }, OPEN_MS);
    if (reply.kind !== 'opened') throw thread.giveUp(new Error(`the writer thread answered open with ${reply.kind}`));
    this.head = reply.head;
    this.doubtful = [];
  }

  private async send(units: readonly Unit[]): Promise<BatchOutcome> {
    const { clock, deadlineMs, committed } = this.options;
    let reply: Reply;
    try {
      reply = await this.thread.ask({ kind: 'commit', nowMs: clock.nowMs(), units }, deadlineMs);
      if (reply.kind !== 'busy' && reply.kind !== 'committed')
        throw this.thread.giveUp(new Error(`the writer thread answered a batch with ${reply.kind}`));
    } catch (error) {
      if (!isUncloneable(error)) this.doubtful = doubtfulCalls(units);
      throw error;
    }
    if (reply.kind === 'busy') return 'busy';
    this.head = reply.head;
    committed(reply.atMs);
    return reply.results.map((result, i) => receiveResult(result, units[i]));
  }
}

interface Asked {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

/** One started thread. It holds the process open only while it is asked something. */
class WriterThread {
  readonly loaded: Promise<void>;
  private readonly worker: Worker;
  private readonly exited: Promise<true>;
  private asked: Asked | undefined;
  /** Why nothing more is expected of it. */
  private lost: unknown;

  constructor(data: ThreadData) {
    const worker = startThread(import.meta.url, './writer-thread', { workerData: data, name: 'countersign-writer' });
    this.worker = worker;
    worker.unref();
    this.exited = new Promise((resolve) => worker.once('exit', () => resolve(true)));
    this.loaded = new Promise((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('exit', (code) => reject(this.lost ?? new Error(`the writer thread ended with code ${code}`)));
    });
    // Only who waits for it is told.
    this.loaded.catch(() => {});
    worker.on('message', (reply: Reply) => this.receive(reply));
    worker.on('messageerror', (cause) => this.giveUp(cause));
    worker.on('error', (cause) => this.giveUp(cause));
    worker.once('exit', (code) => this.giveUp(new Error(`the writer thread ended with code ${code}`)));
  }

  /**
   * @throws {CountersignError} `LEDGER_WRITE_FAILED` when the thread fails, dies, or is silent for `deadlineMs`.
   * @throws {DOMException} `DataCloneError` before anything was sent.
   */
  ask(request: Request, deadlineMs: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.check();
      this.worker.postMessage(request);
      this.worker.ref();
      const timer = setTimeout(() => this.late(deadlineMs), deadlineMs);
      this.asked = { resolve, reject, timer };
    });
  }

  get isLost(): boolean {
    return this.lost !== undefined;
  }

  check(): void {
    if (this.lost !== undefined) throw this.lost;
  }

  /** Nothing more is expected: it may hang, die or go on for a while, and whatever it says is not heard. */
  giveUp(cause: unknown): unknown {
    this.lost ??= writeFailed(cause);
    void this.worker.terminate();
    this.take()?.reject(this.lost);
    return this.lost;
  }

  /** Ends it. @returns whether it has ended within `ms`. */
  async end(ms: number): Promise<boolean> {
    this.giveUp(new CountersignError('LEDGER_CLOSED', 'the writer thread was ended'));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    const ended = await Promise.race([this.exited, late]);
    clearTimeout(timer);
    return ended;
  }

  private receive(reply: Reply): void {
    if (reply.kind === 'loaded') return;
    if (reply.kind === 'failed') this.giveUp(receiveError(reply.error));
    else this.take()?.resolve(reply);
  }

  private take(): Asked | undefined {
    const { asked } = this;
    if (asked === undefined) return undefined;
    this.asked = undefined;
    clearTimeout(asked.timer);
    this.worker.unref();
    return asked;
  }

  /** When this thread itself was busy for long, the answer is there and only not read yet. */
  private late(deadlineMs: number): void {
    const { asked } = this;
    setImmediate(() => {
      if (this.asked !== asked) return;
      this.giveUp(new CountersignError('LEDGER_WRITE_FAILED', `the writer thread did not answer for ${deadlineMs} ms: calls are refused`));
    });
  }
}

function isUncloneable(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'DataCloneError';
}

function uncloneable(unit: Unit): readonly (readonly [Unit, BatchResult])[] {
  try {
    structuredClone(unit);
    return [];
  } catch (error) {
    return [[unit, { kind: 'rejected', error }]];
  }
}
