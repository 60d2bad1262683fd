/**
 * What the main thread is to be told. Safe ones are lost, and counted, when it does not keep up; what is not safe never is: when even
 * that would be too much no further call is received, and whoever makes one waits.
 */
import type { Told } from './supervisor-protocol.ts';

/** Told together; at most so many, and no later than this. */
export const MAX_BATCH = 256;
export const FLUSH_MS = 20;
/** Told, and not looked at yet by the main thread: with more, safe ones are lost. */
export const MAX_UNSEEN = 4_096;
/** With more, nothing is received. */
export const MAX_UNSEEN_GRAVE = 32_768;

/** What is told together. */
export interface Batch {
  readonly told: readonly Told[];
  /** Since the last one: see `FromSupervisor`. */
  readonly lost: number;
  readonly counted: number;
}

export class Outbox {
  readonly #say: (batch: Batch) => void;
  readonly #seen: () => number;
  readonly #now: () => number;
  #told: Told[] = [];
  #since = 0;
  #lost = 0;
  #counted = 0;
  #all = 0;

  /** @param seen - how many the main thread has looked at, as a number of 32 bits that goes round */
  constructor(say: (batch: Batch) => void, seen: () => number, now: () => number = Date.now) {
    this.#say = say;
    this.#seen = seen;
    this.#now = now;
  }

  get isEmpty(): boolean {
    return this.#told.length === 0 && this.#lost === 0 && this.#counted === 0;
  }

  get isFull(): boolean {
    return this.#unseen >= MAX_UNSEEN_GRAVE;
  }

  get isDue(): boolean {
    return !this.isEmpty && (this.#told.length >= MAX_BATCH || this.#now() - this.#since >= FLUSH_MS);
  }

  tell(told: Told, isSafe: boolean): void {
    this.#begin();
    if (isSafe && this.#unseen >= MAX_UNSEEN) {
      this.#lost++;
      return;
    }
    this.#told.push(told);
    this.#all = (this.#all + 1) | 0;
  }

  /** One that is safe, and of which nobody wants to know more. */
  count(): void {
    this.#begin();
    this.#counted++;
  }

  flush(): void {
    if (this.isEmpty) return;
    this.#say({ told: this.#told, lost: this.#lost, counted: this.#counted });
    this.#told = [];
    this.#lost = 0;
    this.#counted = 0;
  }

  #begin(): void {
    if (this.isEmpty) this.#since = this.#now();
  }

  get #unseen(): number {
    return (this.#all - this.#seen()) | 0;
  }
}
