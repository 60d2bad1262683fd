/** The main thread's side of the supervisor: starts it, hands on what it tells, and gives it the answers of people. */
import type { Worker } from 'node:worker_threads';
import { CountersignError } from '@countersign/core';
import { errorName, native, nativeMissing } from '../native/native.ts';
import { startThread } from '../thread.ts';
import { HeldThreads } from './held-threads.ts';
import { unpacked } from './packed.ts';
import {
  CALLER,
  CALLS,
  CONTROL_WORDS,
  type FromSupervisor,
  GATE,
  SEEN,
  type SupervisorStart,
  type Told,
  type ToSupervisor,
} from './supervisor-protocol.ts';

export type SupervisorOptions = Omit<SupervisorStart, 'wake' | 'control'> & {
  /** Absent: one is started now. */
  readonly prepared?: PreparedThread;
  /** `lost`, `counted`: safe ones of which nothing more is told; see `FromSupervisor`. */
  readonly onTold: (told: readonly Told[], lost: number, counted: number) => void;
  /** It answers no more: every trapped call of the tree fails from now on. Once; not after `stop`. */
  readonly onEnd: (error: Error) => void;
  /** The call of this thread keeps it waiting, and all others of the tree with it. Once for each call. */
  readonly onStall?: (thread: number) => void;
};

const STOP_MS = 2_000;
/** A file system that answers no sooner is told of. */
export const STALLED_MS = 5_000;
const LOOK_MS = 500;

/** A thread that will supervise. It takes as long to load as the agent to start: both at the same time. */
export class PreparedThread {
  readonly worker: Worker = startThread(import.meta.url, './supervisor-thread');
  #isThere = true;

  constructor() {
    this.worker.unref();
    // Whoever begins is told.
    this.worker.on('error', () => {});
    this.worker.once('exit', () => {
      this.#isThere = false;
    });
  }

  get isThere(): boolean {
    return this.#isThere;
  }

  /** It is not needed after all. */
  discard(): void {
    this.worker.postMessage({ kind: 'stop' } satisfies ToSupervisor);
  }
}

/** @throws {CountersignError} `MONITOR_UNAVAILABLE` */
export async function supervise(options: SupervisorOptions): Promise<Supervisor> {
  const calls = native()?.kernel;
  if (calls === undefined) throw unavailable(nativeMissing() ?? 'koffi is missing');
  const wake = calls.eventfd();
  if (wake < 0) calls.close(options.listener);
  if (wake < 0) throw unavailable(`no eventfd could be made (${errorName(wake)})`);
  const supervisor = new Supervisor(options, wake);
  await supervisor.ready;
  return supervisor;
}

export class Supervisor {
  readonly ready: Promise<void>;
  readonly #options: SupervisorOptions;
  readonly #wake: number;
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT));
  readonly #thread: Worker;
  readonly #ended: Promise<void>;
  readonly #held = new HeldThreads();
  /** Their calls may go on, and do when the gate opens. */
  readonly #letGo = new Set<number>();
  readonly #asked = new Map<number, (isShut: boolean) => void>();
  /** Threads whose opens wait for somebody else, as of the last word on the gate: while that is shut they stay so. */
  #waiting: ReadonlySet<number> = new Set();
  #gateMessages = 0;
  /** What we were told of that was judged by the thread. */
  #stops = 0;
  #isStopping = false;

  constructor(options: SupervisorOptions, wake: number) {
    this.#options = options;
    this.#wake = wake;
    const { onTold, onEnd, onStall, prepared, ...start } = options;
    this.#thread = (prepared?.isThere === true ? prepared : new PreparedThread()).worker;
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#ended = ended.promise;
    let failure: string | undefined;
    let isReady = false;
    this.#thread.on('message', (message: FromSupervisor) => {
      if (message.kind === 'ready') {
        isReady = true;
        ready.resolve();
      }
      if (message.kind === 'told') {
        const told = unpacked(message.told);
        this.#held.add(told);
        for (const { judged } of told) if (judged !== undefined) this.#stops++;
        try {
          onTold(told, message.lost, message.counted);
        } finally {
          Atomics.add(this.#control, SEEN, told.length);
        }
      }
      if (message.kind === 'gate') {
        this.#waiting = new Set(message.waiting);
        this.#gateSeen(message.nth, true);
      }
      if (message.kind === 'failed') failure ??= message.reason;
      if (message.kind === 'over') this.#isStopping = this.#isOver = true;
    });
    this.#thread.on('error', (error: Error) => {
      failure ??= error.message;
    });
    this.#thread.on('exit', () => {
      const error = unavailable(failure ?? 'its thread ended');
      // Nobody answers any more: what waits, and what comes, fails at once instead of waiting for ever.
      this.#isClosed = true;
      clearInterval(this.#looking);
      native()?.close(options.listener);
      native()?.close(wake);
      for (const nth of [...this.#asked.keys()]) this.#gateSeen(nth, this.#isOver);
      ready.reject(error);
      ended.resolve();
      // What never began is told by `ready` alone.
      if (isReady && !this.#isStopping) onEnd(error);
    });
    if (onStall !== undefined) this.#watchStalls(onStall);
    this.#thread.postMessage({ kind: 'begin', start: { ...start, wake, control: this.#control.buffer } } satisfies ToSupervisor);
  }

  /** Nothing is done about it: the thread is in the kernel, and comes back when that does. */
  #watchStalls(onStall: (thread: number) => void): void {
    let [calls, since] = [0, performance.now()];
    let isTold = false;
    this.#looking = setInterval(() => {
      const [caller, now] = [Atomics.load(this.#control, CALLER), Atomics.load(this.#control, CALLS)];
      if (caller === 0 || now !== calls) {
        [calls, since] = [now, performance.now()];
        isTold = false;
      } else if (!isTold && performance.now() - since >= STALLED_MS) {
        isTold = true;
        onStall(caller);
      }
    }, LOOK_MS).unref();
  }

  /** Somebody answers, or nobody is left who could ask. */
  get isTended(): boolean {
    return !this.#isClosed || this.#isOver;
  }

  /**
   * No trapped call is answered from now on, whatever it is: it waits until the gate opens, or until whoever made it is ended.
   *
   * @returns once that is so for certain. False: nobody answers any more, and every trapped call fails.
   */
  shutGate(): Promise<boolean> {
    Atomics.store(this.#control, GATE, 1);
    const seen = Promise.withResolvers<boolean>();
    if (this.#isClosed) seen.resolve(this.#isOver);
    else {
      this.#asked.set(++this.#gateMessages, seen.resolve);
      this.#say({ kind: 'gate', nth: this.#gateMessages, stops: this.#stops });
    }
    return seen.promise;
  }

  /** What waits is judged and answered, and what a person let go on meanwhile goes on. */
  openGate(): void {
    Atomics.store(this.#control, GATE, 0);
    for (const held of this.#letGo) this.#held.delete(held);
    this.#letGo.clear();
    this.#say({ kind: 'gate', nth: ++this.#gateMessages, stops: this.#stops });
  }

  /**
   * This thread waits for the answer of a person, or, as long as the gate is shut, for an open that takes as long as somebody else likes.
   *
   * @param start - of its process
   */
  holds(thread: number, start: number): boolean {
    return this.#held.has(thread, start) || (Atomics.load(this.#control, GATE) !== 0 && this.#waiting.has(thread));
  }

  /** While the gate is shut, what may continue waits all the same: nothing goes on in a frozen tree. */
  answer(held: number, answer: 'continue' | 'refuse'): void {
    if (answer === 'continue' && Atomics.load(this.#control, GATE) !== 0) this.#letGo.add(held);
    else this.#held.delete(held);
    this.#say({ kind: 'answer', held, with: answer });
  }

  /** Every trapped call of the tree fails from then on, also where the thread hangs: ending it by force would end us, where it is in a call of ours. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#say({ kind: 'stop' });
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STOP_MS);
    await Promise.race([this.#ended, late]);
    clearTimeout(timer);
    this.#hangUp();
  }

  #gateSeen(nth: number, isShut: boolean): void {
    this.#asked.get(nth)?.(isShut);
    this.#asked.delete(nth);
  }

  #say(message: ToSupervisor): void {
    if (this.#isClosed) return;
    this.#thread.postMessage(message);
    native()?.kernel.write(this.#wake, ONE);
  }

  #looking: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isOver = false;
  /**
   * Without waiting for the thread. Its numbers stay taken until it has ended: it would read from, and answer to, whatever else this
   * process opened under them.
   */
  #hangUp(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#looking);
    native()?.kernel.replace(this.#options.listener, this.#wake);
  }
}

/** What an eventfd takes: a number to add, 8 bytes. */
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

function unavailable(reason: string): CountersignError {
  return new CountersignError('MONITOR_UNAVAILABLE', `kernel control does not work: ${reason}`);
}
