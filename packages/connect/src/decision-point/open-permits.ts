/**
 * Permits that clients hold and have not settled. They live in this process only: when it dies, their decisions stand open in
 * the ledger, and the same calls are refused with `CALL_OUTCOME_UNKNOWN` afterwards.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Permit } from '@countersign/core';

export interface OpenPermit {
  readonly call: string;
  readonly agent: string;
  readonly sinceMs: number;
}

/** Of one client, those asked for included. */
export const MAX_OPEN_PERMITS = 4_096;
/** Calls whose outcome was taken, remembered so that a repeat is told apart from a guess. */
const MAX_REMEMBERED = 10_000;
const TOKEN_BYTES = 32;

interface Held extends OpenPermit {
  readonly permit: Permit;
  readonly digest: Buffer;
}

export class OpenPermits {
  readonly #held = new Map<string, Held>();
  readonly #settled = new Map<string, Omit<Held, 'permit'>>();
  readonly #told = new Set<string>();
  /** Of each agent: permits held, and requests for one that are under way. */
  readonly #count = new Map<string, number>();

  /** Room for one more permit; false when the client holds as many as it may. Given back by `release`, unless `hold` takes it. */
  reserve(agent: string): boolean {
    const count = this.#count.get(agent) ?? 0;
    if (count >= MAX_OPEN_PERMITS) return false;
    this.#count.set(agent, count + 1);
    return true;
  }

  release(agent: string): void {
    const count = (this.#count.get(agent) ?? 0) - 1;
    if (count > 0) this.#count.set(agent, count);
    else this.#count.delete(agent);
  }

  /** @returns the token with which the outcome is told: 256 random bits. */
  hold(agent: string, permit: Permit, sinceMs: number): string {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    this.#held.set(permit.callId, { call: permit.callId, agent, sinceMs, permit, digest: digestOf(token) });
    return token;
  }

  /** Takes a permit out, once: whoever gets it settles it. Another client's and a wrong token are as if there was none. */
  take(agent: string, call: string, token: string): Permit | 'settled' | undefined {
    const held = this.#held.get(call);
    if (!isOf(held, agent, token)) return isOf(this.#settled.get(call), agent, token) ? 'settled' : undefined;
    this.#held.delete(call);
    this.#told.delete(call);
    this.release(agent);
    this.#remember(held);
    return held.permit;
  }

  /** Of one client, oldest first; of all without one. */
  list(agent?: string): readonly OpenPermit[] {
    const wanted = [...this.#held.values()].filter((held) => agent === undefined || held.agent === agent);
    return wanted.map(({ call, agent: whose, sinceMs }) => ({ call, agent: whose, sinceMs }));
  }

  /** Those held since before, each told once. */
  overdue(beforeMs: number): readonly OpenPermit[] {
    const late = this.list().filter(({ call, sinceMs }) => sinceMs <= beforeMs && !this.#told.has(call));
    for (const { call } of late) this.#told.add(call);
    return late;
  }

  #remember({ call, agent, sinceMs, digest }: Held): void {
    this.#settled.set(call, { call, agent, sinceMs, digest });
    for (const oldest of this.#settled.keys()) {
      if (this.#settled.size <= MAX_REMEMBERED) return;
      this.#settled.delete(oldest);
    }
  }
}

function isOf<T extends Omit<Held, 'permit'>>(held: T | undefined, agent: string, token: string): held is T {
  return held !== undefined && held.agent === agent && timingSafeEqual(held.digest, digestOf(token));
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
