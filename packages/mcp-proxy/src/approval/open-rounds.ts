/**
 * Calls that were approved and ran into a question of the server's own (`input_required`): the client answers it with a retry,
 * which is the same call. Its approval is used, so the permit stays open for that retry, and nobody is asked again.
 */
import { randomBytes } from 'node:crypto';
import type { Permit } from '@countersign/core';

/** Calls kept open at once; of further ones the retry is decided anew. */
export const MAX_OPEN_ROUNDS = 256;
/** How long the client may take to answer the server's question. */
export const ROUND_TTL_MS = 600_000;

export class OpenRounds {
  readonly #open = new Map<string, { readonly permit: Permit; readonly timer: NodeJS.Timeout }>();
  readonly #lapsed: (permit: Permit) => void;
  readonly #ttlMs: number;

  /** @param lapsed - the client did not come back. */
  constructor(lapsed: (permit: Permit) => void, ttlMs: number = ROUND_TTL_MS) {
    this.#lapsed = lapsed;
    this.#ttlMs = ttlMs;
  }

  get isFull(): boolean {
    return this.#open.size >= MAX_OPEN_ROUNDS;
  }

  /** @returns the id under which it is taken again. */
  keep(permit: Permit): { readonly roundId: string; readonly expiresAtMs: number } {
    const roundId = randomBytes(16).toString('hex');
    const timer = setTimeout(() => {
      if (this.take(roundId) !== undefined) this.#lapsed(permit);
    }, this.#ttlMs);
    timer.unref();
    this.#open.set(roundId, { permit, timer });
    return { roundId, expiresAtMs: Date.now() + this.#ttlMs };
  }

  /** The permit, for its one use. */
  take(roundId: string): Permit | undefined {
    const round = this.#open.get(roundId);
    this.#open.delete(roundId);
    clearTimeout(round?.timer);
    return round?.permit;
  }

  takeAll(): readonly Permit[] {
    return [...this.#open.keys()].flatMap((roundId) => this.take(roundId) ?? []);
  }
}
