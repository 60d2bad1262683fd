/**
 * Calls that run as tasks, where a rule on results may act on what they bring: the call is answered with a task at once, and its
 * result comes later (see `task-answers.ts`). The permit waits for that, but not for ever: a client may never ask.
 */
import { createHash } from 'node:crypto';
import type { Outcome, Permit } from '@countersign/core';

/** Tasks whose result has not come. */
export const MAX_HELD_TASKS = 1024;
/** How long a result may be fetched: as long as the server keeps it, if it says so, within these two. */
export const MIN_HELD_TASK_MS = 60_000;
export const MAX_HELD_TASK_MS: number = 24 * 3_600_000;
/** Tasks whose result was given, or not fetched in time; it is released once. */
export const MAX_GIVEN_TASKS = 65_536;
/** The server chooses the name. */
export const MAX_TASK_ID_CHARS = 1_024;

/** Nobody knows how it ended, so nothing it was charged is given back: who fetches no result would pay for no call. */
export function notFetched(): Outcome {
  const error = new ResultNotFetched('the result of its task was not fetched: how it ended is unknown');
  return { status: 'error', error, refund: false };
}

/** Its name stands in the outcome. */
class ResultNotFetched extends Error {
  override readonly name = 'ResultNotFetched';
}

interface Held {
  readonly permit: Permit;
  readonly owner: string;
  readonly timer: NodeJS.Timeout;
}

export class HeldTasks {
  readonly #held = new Map<string, Held>();
  /** By digest: names are the server's, and may be long. */
  readonly #given = new Set<string>();
  /** Some that were given are remembered no more: then a name that is not held may be of one of them. */
  #hasForgotten = false;
  readonly #expired: (permit: Permit) => void;

  /** @param expired - told of a call whose result nobody fetched. Must not throw. */
  constructor(expired: (permit: Permit) => void) {
    this.#expired = expired;
  }

  /**
   * @param owner - whose task it is: `InterposerOptions.owner`.
   * @param ttlMs - how long the server keeps the result, if it says so.
   * @returns false when too many wait, the name is too long, or the server uses the name of another task.
   */
  hold(taskId: string, permit: Permit, owner = '', ttlMs: number = MAX_HELD_TASK_MS): boolean {
    if (this.#held.size >= MAX_HELD_TASKS || taskId.length > MAX_TASK_ID_CHARS || this.#held.has(taskId)) return false;
    this.#given.delete(digestOf(taskId));
    const waitMs = Math.min(Math.max(ttlMs, MIN_HELD_TASK_MS), MAX_HELD_TASK_MS);
    const timer = setTimeout(() => this.#expire(taskId), waitMs).unref();
    this.#held.set(taskId, { permit, owner, timer });
    return true;
  }

  /** The permit, for its one use. */
  take(taskId: string): Permit | undefined {
    const held = this.#held.get(taskId);
    if (held === undefined) return undefined;
    clearTimeout(held.timer);
    this.#held.delete(taskId);
    const [oldest] = this.#given;
    if (this.#given.size >= MAX_GIVEN_TASKS && oldest !== undefined) {
      this.#given.delete(oldest);
      this.#hasForgotten = true;
    }
    this.#given.add(digestOf(taskId));
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
    return this.#given.has(digestOf(taskId)) || (this.#hasForgotten && !this.#held.has(taskId));
  }

  /** @param owner - default everybody's. */
  takeAll(owner?: string): readonly Permit[] {
    const those = [...this.#held].filter(([, held]) => owner === undefined || held.owner === owner);
    return those.flatMap(([taskId]) => this.take(taskId) ?? []);
  }

  #expire(taskId: string): void {
    const permit = this.take(taskId);
    if (permit !== undefined) this.#expired(permit);
  }
}

function digestOf(taskId: string): string {
  return createHash('sha256').update(taskId).digest('base64');
}
