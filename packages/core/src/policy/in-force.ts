/**
 * The policy in force, and changing it while calls are decided.
 *
 * A change waits for the commits that are under way, is recorded, and then takes effect; commits that come meanwhile wait
 * for it. So in the ledger everything this guard decided under the old policy stands before the note of the change, and
 * everything under the new one after it. What was decided under the old one and not committed yet is decided again.
 *
 *     decide ──▶ commit(epoch) ──same epoch──▶ the store
 *        ▲            └──another one: `stale`──┐
 *        └─────────────────────────────────────┘
 */
import type { Committed } from '../store-units.ts';
import type { Policy } from './policy.ts';

export class PolicyInForce {
  #policy: Policy;
  #epoch = 0;
  /** Commits under way. */
  #running = 0;
  #wakeChange: (() => void) | undefined;
  /** Pending while a change is made. */
  #change: Promise<void> | undefined;
  /** Changes are made one after the other, in the order they were asked for. */
  #changes: Promise<unknown> = Promise.resolve();

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** Rises with every change. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Commits what was decided in `epoch`; `stale`, and nothing written, when the policy is another one by now. */
  async commit(epoch: number, write: () => Promise<Committed>): Promise<Committed> {
    while (this.#change !== undefined) await this.#change;
    if (epoch !== this.#epoch) return { kind: 'stale' };
    this.#running++;
    try {
      return await write();
    } finally {
      this.#ran();
    }
  }

  /** Writes what stands under any policy; the one in force stays so until it is written. Never within another write. */
  async during<T>(write: () => Promise<T>): Promise<T> {
    while (this.#change !== undefined) await this.#change;
    this.#running++;
    try {
      return await write();
    } finally {
      this.#ran();
    }
  }

  /**
   * Puts another policy in force.
   *
   * @param record - makes it durable that this happens. When it fails the old policy stays, and the error is thrown.
   * @returns what `record` gave.
   */
  replace<T>(wanted: Policy, record: (from: Policy) => Promise<T>): Promise<T> {
    const made = this.#changes.then(() => this.#replace(wanted, record));
    this.#changes = made.then(
      () => undefined,
      () => undefined,
    );
    return made;
  }

  async #replace<T>(wanted: Policy, record: (from: Policy) => Promise<T>): Promise<T> {
    let done = (): void => {};
    this.#change = new Promise((resolve) => {
      done = resolve;
    });
    try {
      if (this.#running > 0) {
        await new Promise<void>((resolve) => {
          this.#wakeChange = resolve;
        });
      }
      const recorded = await record(this.#policy);
      this.#policy = wanted;
      this.#epoch++;
      return recorded;
    } finally {
      this.#change = undefined;
      done();
    }
  }

  #ran(): void {
    this.#running--;
    if (this.#running > 0) return;
    this.#wakeChange?.();
    this.#wakeChange = undefined;
  }
}
