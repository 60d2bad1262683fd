/** Processes that were looked at and do not belong: their pids need no second look, but for a few each time, as pids are used again. */
import type { ProcessId } from '../activity.ts';

/** How many are looked at again in each scan. */
export const RECHECKED_STRANGERS = 32;

export class Strangers {
  readonly #starts = new Map<number, number>();
  #round: IterableIterator<number> | undefined;

  has(pid: number): boolean {
    return this.#starts.has(pid);
  }

  startOf(pid: number): number | undefined {
    return this.#starts.get(pid);
  }

  add({ pid, start }: ProcessId): void {
    this.#starts.set(pid, start);
  }

  delete(pid: number): void {
    this.#starts.delete(pid);
  }

  clear(): void {
    this.#starts.clear();
  }

  keepOnly(listed: ReadonlySet<number>): void {
    for (const pid of this.#starts.keys()) if (!listed.has(pid)) this.#starts.delete(pid);
  }

  /** The next few, round and round. */
  *next(count: number): Generator<number, void> {
    for (let given = 0; given < Math.min(count, this.#starts.size); given++) {
      let step = this.#round?.next();
      if (step === undefined || step.done === true) {
        this.#round = this.#starts.keys();
        step = this.#round.next();
      }
      if (step.done === true) return;
      yield step.value;
    }
  }
}
