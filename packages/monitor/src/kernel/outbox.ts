/**
 * What the main thread is to be told. Safe ones may be lost when it does not keep up, and are counted; what is not safe never is: when
 * there is no room even for that, the call it belongs to has to be refused.
 */
import type { FromSupervisor, Told } from './supervisor-protocol.ts';

/** Told together; at most so many, and no later than this. */
export const MAX_BATCH = 256;
export const FLUSH_MS = 20;

export class Outbox {
  readonly #say: (message: FromSupervisor) => void;
  #told: Told[] = [];
  #since = 0;
  #lost = 0;

  constructor(say: (message: FromSupervisor) => void) {
    this.#say = say;
  }

  get isEmpty(): boolean {
    return this.#told.length === 0 && this.#lost === 0;
  }

  isDue(now: number): boolean {
    return !this.isEmpty && (this.#told.length >= MAX_BATCH || now - this.#since >= FLUSH_MS);
  }

  tell(told: Told, now: number): void {
    if (this.isEmpty) this.#since = now;
    this.#told.push(told);
  }

  flush(): void {
    if (this.isEmpty) return;
    this.#say({ kind: 'told', told: this.#told, lost: this.#lost });
    this.#told = [];
    this.#lost = 0;
  }
}
