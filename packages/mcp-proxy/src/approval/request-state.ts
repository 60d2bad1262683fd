/**
 * What we hand a client of the stateless protocol (2026-07-28) to bring back with its retry:
 *
 *     countersign.<key id>.<base64url of JSON>.<base64url HMAC-SHA-256 of all before it>
 *
 * The client holds it, so it is the agent's. It is good for finding what it is about, for one call, once, until its expiry,
 * for the client it was given to. It says nothing about whether a call may run: that the guard is asked again.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { canonicalize } from '@countersign/core';
import { isObject, type JsonObject, member } from '../message.ts';

/**
 * States that were used, remembered one by one. Of more than that the older half, by when they were given out, is forgotten, and with it
 * every state that is as old counts for nothing, used or not: what is forgotten cannot be brought again.
 */
export const MAX_SPENT = 10_000;
/** Of what we carry for the server in a state. */
export const MAX_CARRIED_CHARS = 65_536;
const MAX_STATE_CHARS = 4 * MAX_CARRIED_CHARS;
const VERSION = 1;

/** Members of `params` that were the server's, and go back to it. */
export interface Carried {
  readonly requestState?: string;
  readonly inputResponses?: JsonObject;
}

/** `approval`: we asked. `round`: the server did, of a call that was approved; the id of what is kept open for it. */
export type AskedAbout =
  | { readonly kind: 'approval'; readonly approvalId: string; readonly way: 'form' | 'url' }
  | { readonly kind: 'round'; readonly roundId: string };

export interface StateFacts<About = AskedAbout> {
  /** Of whom it is good for: see `InterposerOptions.owner`. */
  readonly owner: string;
  /** `callDigest` of the call it is good for. */
  readonly call: string;
  readonly expiresAtMs: number;
  readonly about: About;
  readonly carried: Carried;
}

export type OpenedState<About = AskedAbout> =
  | { readonly kind: 'good'; readonly facts: StateFacts<About>; readonly nonce: string }
  /** Ours, and good for nothing: tampered with, expired, used, too old, for another call or client. */
  | { readonly kind: 'bad'; readonly why: 'tampered' | 'expired' | 'used' | 'too old' | 'another call' | 'another client' }
  /** Not ours: the server's own. */
  | { readonly kind: 'foreign' };

interface Opened<About> {
  readonly facts: StateFacts<About>;
  readonly nonce: string;
  readonly number: number;
}

/** Those of one server's clients. */
export class RequestStates<About = AskedAbout> {
  readonly #key = randomBytes(32);
  readonly #keyId = randomBytes(8).toString('hex');
  readonly #nowMs: () => number;
  readonly #maxChars: number;
  /** By number: each state has the next one. */
  readonly #spent = new Set<number>();
  #count = 0;
  /** INVARIANT: every state that was used has a number that is not above this one, or is in `#spent`. */
  #forgotten = 0;

  /** @param maxChars - of what a state says. */
  constructor(nowMs: () => number = Date.now, maxChars: number = MAX_CARRIED_CHARS) {
    this.#nowMs = nowMs;
    this.#maxChars = maxChars;
  }

  /** @returns undefined when there is more to carry than fits. */
  seal(facts: StateFacts<About>): { readonly state: string; readonly nonce: string } | undefined {
    const nonce = randomBytes(16).toString('hex');
    const json = JSON.stringify({ v: VERSION, nonce, number: ++this.#count, ...facts });
    if (json.length > this.#maxChars) return undefined;
    const signed = `countersign.${this.#keyId}.${Buffer.from(json).toString('base64url')}`;
    return { state: `${signed}.${this.#mac(signed)}`, nonce };
  }

  /** Uses it up: a second time it is good for nothing. */
  spend(state: unknown, { owner, call }: Pick<StateFacts, 'owner' | 'call'>): OpenedState<About> {
    if (typeof state !== 'string' || !state.startsWith(`countersign.${this.#keyId}.`)) return { kind: 'foreign' };
    const opened = state.length > MAX_STATE_CHARS ? undefined : this.#open(state);
    if (opened === undefined) return { kind: 'bad', why: 'tampered' };
    const { facts, nonce, number } = opened;
    if (facts.expiresAtMs <= this.#nowMs()) return { kind: 'bad', why: 'expired' };
    if (facts.owner !== owner) return { kind: 'bad', why: 'another client' };
    if (facts.call !== call) return { kind: 'bad', why: 'another call' };
    if (number <= this.#forgotten) return { kind: 'bad', why: 'too old' };
    if (this.#spent.has(number)) return { kind: 'bad', why: 'used' };
    this.#spent.add(number);
    if (this.#spent.size > MAX_SPENT) this.#forgetOlder();
    return { kind: 'good', facts, nonce };
  }

  #open(state: string): Opened<About> | undefined {
    const at = state.lastIndexOf('.');
    const [signed, mac] = [state.slice(0, at), Buffer.from(state.slice(at + 1))];
    const expected = Buffer.from(this.#mac(signed));
    if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return undefined;
    // From here on it is what we wrote.
    const json = Buffer.from(signed.slice(signed.lastIndexOf('.') + 1), 'base64url').toString('utf8');
    const { nonce, number, ...facts } = JSON.parse(json) as StateFacts<About> & Omit<Opened<About>, 'facts'>;
    return { facts, nonce, number };
  }

  #mac(signed: string): string {
    return createHmac('sha256', this.#key).update(`countersign/request-state/v1\n${signed}`).digest('base64url');
  }

  #forgetOlder(): void {
    const numbers = [...this.#spent].sort((one, other) => one - other).slice(0, MAX_SPENT / 2);
    for (const number of numbers) this.#spent.delete(number);
    this.#forgotten = numbers.at(-1) ?? this.#forgotten;
  }
}

/** Of the whole call that was decided, as it came; undefined for arguments that have no canonical form. */
export function callDigest(server: string, tool: string, args: JsonObject): string | undefined {
  try {
    return createHash('sha256')
      .update(`countersign/mcp-call/v1\n${canonicalize([server, tool, args])}`)
      .digest('hex');
  } catch {
    return undefined;
  }
}

/** What a retry brings beside the call itself. */
export function carriedOf(params: JsonObject): Carried {
  const [requestState, inputResponses] = [member(params, 'requestState'), member(params, 'inputResponses')];
  return {
    ...(typeof requestState === 'string' && { requestState }),
    ...(isObject(inputResponses) && { inputResponses }),
  };
}

/** The same without that, or with what is the server's in its place. */
export function withCarried(params: JsonObject, carried: Carried): JsonObject {
  const { requestState: _state, inputResponses: _responses, ...rest } = params;
  return { ...rest, ...carried };
}
