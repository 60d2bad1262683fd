/** When a server that ended is started again: later each time, and from some time on only when somebody needs it. */

const FIRST_DELAY_MS = 500;
export const MAX_DELAY_MS = 60_000;
/** Failures in a row after which it is not started by itself any more. */
export const OPEN_AFTER = 6;
/** A server that ran this long starts from the beginning. */
const HEALTHY_MS = 60_000;

export class Backoff {
  readonly #now: () => number;
  #failures = 0;
  #startedAtMs = 0;
  #notBeforeMs = 0;

  /** @param now - milliseconds that never go back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get failures(): number {
    return this.#failures;
  }

  /** True when it is only started when needed. */
  get isOpen(): boolean {
    return this.#failures >= OPEN_AFTER;
  }

  /** How long until it may be started. */
  get waitMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#now());
  }

  started(): void {
    this.#startedAtMs = this.#now();
  }

  /** It ended, or did not come up. */
  failed(): void {
    const now = this.#now();
    if (now - this.#startedAtMs >= HEALTHY_MS) this.#failures = 0;
    this.#notBeforeMs = now + Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures += 1;
  }
}
