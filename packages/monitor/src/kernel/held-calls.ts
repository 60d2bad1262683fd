/** Calls that wait for the answer of a person. */
import type { Verdict } from '../verdict.ts';
import type { Opened } from './decoded.ts';
import type { Target } from './targets.ts';

export interface HeldCall {
  /** As the kernel numbers it. */
  readonly id: bigint;
  readonly verdict: Verdict;
  readonly opened?: Opened;
  /** It runs another program once it goes on. */
  readonly executes?: Target;
}

/** More than wait in any tree that is stopped: each of them is a thread that does nothing else. */
export const MAX_HELD = 10_000;

export class HeldCalls {
  readonly #calls = new Map<number, HeldCall>();
  #last = 0;

  get size(): number {
    return this.#calls.size;
  }

  /** @returns its number, from 1; undefined when there is no room: it is to be refused */
  add(call: HeldCall): number | undefined {
    if (this.#calls.size >= MAX_HELD) return undefined;
    this.#calls.set(++this.#last, call);
    return this.#last;
  }

  /** Once: what was taken is not there any more. */
  take(held: number): HeldCall | undefined {
    const call = this.#calls.get(held);
    this.#calls.delete(held);
    return call;
  }

  /**
   * Takes out what nobody waits for any more: its process was ended. Those that were looked at longest ago come first.
   *
   * @param goesOn - asked before each: with thousands of them the kernel takes long to say of one whether it waits
   * @returns how many were taken out
   */
  sweep(isWaiting: (id: bigint) => boolean, goesOn: () => boolean): number {
    let gone = 0;
    for (const [held, call] of [...this.#calls]) {
      if (!goesOn()) break;
      this.#calls.delete(held);
      if (isWaiting(call.id)) this.#calls.set(held, call);
      else {
        call.opened?.drop();
        gone++;
      }
    }
    return gone;
  }

  /** All of them, as when the supervisor stops. */
  clear(): readonly HeldCall[] {
    const all = [...this.#calls.values()];
    this.#calls.clear();
    return all;
  }
}
