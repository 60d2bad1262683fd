/**
 * Sending to one receiver, as often as it takes and no longer than it is of use.
 *
 * Bounded on every side: so many messages wait or are on their way, so many requests are open at once, each takes so long,
 * a message is tried so often and never after its deadline. Waits between tries grow, with chance in them, so that those who
 * failed together do not come back together.
 */
import { Unusable } from '../http/post.ts';
import type { Timing } from './timing.ts';

/** What became of one try. `why` is ours alone: no secret, nothing of the receiver's words. */
export type Tried<T> =
  | { readonly kind: 'done'; readonly value: T }
  /** Worth another try; `afterMs`: not before that, says the receiver. */
  | { readonly kind: 'again'; readonly why: string; readonly afterMs?: number }
  | { readonly kind: 'never'; readonly why: string };

export type Delivered<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly why: string }
  /** Nobody needs it any more. `wasTried`: it may have arrived all the same. */
  | { readonly kind: 'withdrawn'; readonly wasTried: boolean };

export interface OutboxLimits {
  /** Tries for each message. */
  readonly tries: number;
  /** Milliseconds for one try. */
  readonly timeoutMs: number;
  readonly timing: Timing;
}

export const MAX_OPEN_REQUESTS = 8;
export const MAX_MESSAGES = 1000;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 60_000;
/** What is on its way when its program ends gets this long. */
const CLOSE_GRACE_MS = 3000;

export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #work = new Set<Promise<void>>();
  readonly #queue = new Set<() => void>();
  readonly #closed = new AbortController();
  #messages = 0;
  #open = 0;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  /**
   * Tries until it is done, useless, hopeless or late. Never rejects.
   *
   * @param attempt - one try; whatever it throws counts as worth another one.
   */
  async send<T>(
    attempt: (signal: AbortSignal) => Promise<Tried<T>>,
    until: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<Delivered<T>> {
    if (this.#messages >= MAX_MESSAGES) return { kind: 'failed', why: `has ${MAX_MESSAGES} messages waiting: this one was not taken` };
    const signal = until.signal === undefined ? this.#closed.signal : AbortSignal.any([until.signal, this.#closed.signal]);
    this.#messages++;
    try {
      return await this.track(this.#trySeveral(attempt, until.deadlineMs, signal));
    } finally {
      this.#messages--;
    }
  }

  /** Work that sends, or is going to: `close` waits for it too. */
  track<T>(work: Promise<T>): Promise<T> {
    const ended = settled(work);
    this.#work.add(ended);
    void this.#drop(ended);
    return work;
  }

  /** Gives what is on its way, and what follows from it, a moment; then gives it up. */
  async close(): Promise<void> {
    const late = new AbortController();
    const all = this.#untilIdle().then(() => late.abort());
    await Promise.race([all, this.#limits.timing.pause(CLOSE_GRACE_MS, late.signal)]);
    this.#closed.abort();
  }

  async #drop(ended: Promise<void>): Promise<void> {
    await ended;
    this.#work.delete(ended);
  }

  async #untilIdle(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  async #trySeveral<T>(
    attempt: (signal: AbortSignal) => Promise<Tried<T>>,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<Delivered<T>> {
    const { tries, timing } = this.#limits;
    for (let tried = 0; ; ) {
      if (!(await this.#turn(signal))) return { kind: 'withdrawn', wasTried: tried > 0 };
      const result = await this.#tryOnce(attempt, signal).finally(() => this.#next());
      tried++;
      if (result.kind === 'done') return result;
      if (signal.aborted) return { kind: 'withdrawn', wasTried: true };
      if (result.kind === 'never') return { kind: 'failed', why: result.why };
      if (tried >= tries) return { kind: 'failed', why: `${result.why}; given up after ${tries} ${tries === 1 ? 'try' : 'tries'}` };
      const waitMs = Math.max(waitAfter(tried, timing.random()), result.afterMs ?? 0);
      if (timing.nowMs() + waitMs >= deadlineMs) return { kind: 'failed', why: `${result.why}; no time is left for another try` };
      await timing.pause(waitMs, signal);
    }
  }

  async #tryOnce<T>(attempt: (signal: AbortSignal) => Promise<Tried<T>>, signal: AbortSignal): Promise<Tried<T>> {
    const { timeoutMs } = this.#limits;
    const stop = new AbortController();
    const late = AbortSignal.timeout(timeoutMs);
    try {
      return await attempt(AbortSignal.any([signal, late, stop.signal]));
    } catch (error) {
      if (late.aborted) return { kind: 'again', why: `did not answer within ${timeoutMs} ms` };
      return { kind: 'again', why: error instanceof Unusable ? error.message : 'could not be asked: unexpected error' };
    } finally {
      // Also drops the connection of an answer that was not read to its end.
      stop.abort();
    }
  }

  /** Waits for a place. False when the message was withdrawn meanwhile. */
  #turn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.#open < MAX_OPEN_REQUESTS) {
      this.#open++;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#queue.delete(go);
        resolve(false);
      };
      const go = (): void => {
        this.#queue.delete(go);
        signal.removeEventListener('abort', leave);
        this.#open++;
        resolve(true);
      };
      this.#queue.add(go);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #next(): void {
    this.#open--;
    for (const go of this.#queue) return go();
  }
}

/** Whoever asked for the work hears how it ended. */
async function settled(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch {
    // Told to its caller.
  }
}

/** Twice as long each time, and between half and all of that. */
function waitAfter(tried: number, chance: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** (tried - 1), MAX_WAIT_MS) * (0.5 + chance / 2);
}

/** Milliseconds that `retry-after` asks for: seconds, or a date. Undefined when it says nothing usable. */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const text = headers.get('retry-after')?.trim() ?? '';
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000;
  const date = /^[A-Za-z]{3}, [0-9]{2} [A-Za-z]{3} [0-9]{4} [0-9:]{8} GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
