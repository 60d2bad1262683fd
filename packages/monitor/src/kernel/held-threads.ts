/** Which threads wait for the answer of a person, as the main thread knows it: for a freezer, to which they look as if they ran. */
import type { Told } from './supervisor-protocol.ts';

export class HeldThreads {
  /** By the number of the call that is held. */
  readonly #held = new Map<number, { readonly thread: number; readonly start: number }>();
  readonly #byThread = new Map<number, number>();

  add(told: readonly Told[]): void {
    for (const { held, thread, observation } of told) {
      const start = observation.actor?.start;
      if (held === undefined || thread === undefined || start === undefined) continue;
      // It waits in one call at a time: whoever waited under this number was ended.
      this.#held.delete(this.#byThread.get(thread) ?? held);
      this.#byThread.set(thread, held);
      this.#held.set(held, { thread, start });
    }
  }

  /** It was answered. */
  delete(held: number): void {
    const waiting = this.#held.get(held);
    if (waiting === undefined) return;
    this.#held.delete(held);
    this.#byThread.delete(waiting.thread);
  }

  /** @param start - of the thread's process: a number may be another's by now */
  has(thread: number, start: number): boolean {
    const held = this.#byThread.get(thread);
    return held !== undefined && this.#held.get(held)?.start === start;
  }
}
