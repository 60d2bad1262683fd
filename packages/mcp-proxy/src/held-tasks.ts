/**
 * Calls that run as tasks, where a rule on results may act on what they bring: the call is answered with a task at once, and its
 * result comes later (see `task-answers.ts`). The permit waits for that.
 */
import type { Permit } from '@countersign/core';

/** Tasks whose result has not come. */
export const MAX_HELD_TASKS = 1024;
/** Tasks whose result was given; it is released once. */
const MAX_GIVEN_TASKS = 4096;

export class HeldTasks {
  readonly #held = new Map<string, { readonly permit: Permit; readonly owner: string }>();
  readonly #given = new Set<string>();

  /**
   * @param owner - whose task it is: `InterposerOptions.owner`.
   * @returns false when too many wait, or the server uses the name of another task.
   */
  hold(taskId: string, permit: Permit, owner = ''): boolean {
    if (this.#held.size >= MAX_HELD_TASKS || this.#held.has(taskId)) return false;
    this.#given.delete(taskId);
    this.#held.set(taskId, { permit, owner });
    return true;
  }

  /** The permit, for its one use. */
  take(taskId: string): Permit | undefined {
    const held = this.#held.get(taskId);
    if (held === undefined) return undefined;
    this.#held.delete(taskId);
    const [oldest] = this.#given;
    if (this.#given.size >= MAX_GIVEN_TASKS && oldest !== undefined) this.#given.delete(oldest);
    this.#given.add(taskId);
    return held.permit;
  }

  isHeld(taskId: string): boolean {
    return this.#held.has(taskId);
  }

  /** Whether it waits for its result, and that is for another client. */
  isOfAnother(taskId: string, owner: string): boolean {
    const held = this.#held.get(taskId);
    return held !== undefined && held.owner !== owner;
  }

  wasGiven(taskId: string): boolean {
    return this.#given.has(taskId);
  }

  takeAll(): readonly Permit[] {
    return [...this.#held.keys()].flatMap((taskId) => this.take(taskId) ?? []);
  }
}
