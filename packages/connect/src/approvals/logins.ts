/**
 * Who is logged in. A link holds a token for one login; a login makes a session, which a cookie names.
 *
 * Both are 256 random bits, and only their hashes are kept. Everything is in the memory of this process: when it ends,
 * nobody is logged in.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export const LINK_TTL_MS = 300_000;
export const SESSION_IDLE_MS = 1_800_000;
export const SESSION_MS = 28_800_000;
/** The session that was used longest ago makes room. */
export const MAX_SESSIONS = 16;
const SECRET_BYTES = 32;
const SECRET_SHAPE = /^[A-Za-z0-9_-]{43}$/;

/** Two clocks: the wall clock may be set back, the other may stand still while the machine sleeps. */
export interface Instant {
  readonly wallMs: number;
  readonly steadyMs: number;
}

export type InstantSource = () => Instant;

export function systemInstant(): Instant {
  return { wallMs: Date.now(), steadyMs: performance.now() };
}

interface Session {
  readonly user: string | undefined;
  readonly since: Instant;
  used: Instant;
}

export class Logins {
  readonly #now: InstantSource;
  readonly #sessions = new Map<string, Session>();
  #link: { readonly hash: Buffer; readonly since: Instant } | undefined;

  constructor(now: InstantSource = systemInstant) {
    this.#now = now;
  }

  /** A token for one login within five minutes. An earlier one is worth nothing from here on. */
  newToken(): string {
    const token = newSecret();
    this.#link = { hash: hashOf(token), since: this.#now() };
    return token;
  }

  /**
   * Uses the token up.
   *
   * @param user - whose process asked, where that is known: the session then answers to this user only.
   * @returns the secret of a new session; undefined for a token that is not the newest, was used, or is late.
   */
  redeem(token: string, user: string | undefined): string | undefined {
    const link = this.#link;
    if (link === undefined || !SECRET_SHAPE.test(token) || !timingSafeEqual(hashOf(token), link.hash)) return undefined;
    this.#link = undefined;
    const now = this.#now();
    if (passedMs(link.since, now) >= LINK_TTL_MS) return undefined;
    const secret = newSecret();
    this.#sessions.set(keyOf(secret), { user, since: now, used: now });
    this.#makeRoom();
    return secret;
  }

  /**
   * @param touch - counts as use; a page that refreshes itself must not.
   */
  isLoggedIn(secret: string | undefined, user: string | undefined, touch: boolean): boolean {
    if (secret === undefined || !SECRET_SHAPE.test(secret)) return false;
    const key = keyOf(secret);
    const session = this.#sessions.get(key);
    if (session === undefined) return false;
    const now = this.#now();
    if (passedMs(session.since, now) >= SESSION_MS || passedMs(session.used, now) >= SESSION_IDLE_MS) {
      this.#sessions.delete(key);
      return false;
    }
    if (session.user !== user) return false;
    if (touch) {
      session.used = now;
      // Least recently used first.
      this.#sessions.delete(key);
      this.#sessions.set(key, session);
    }
    return true;
  }

  end(secret: string | undefined): void {
    if (secret !== undefined) this.#sessions.delete(keyOf(secret));
  }

  #makeRoom(): void {
    for (const key of this.#sessions.keys()) {
      if (this.#sessions.size <= MAX_SESSIONS) return;
      this.#sessions.delete(key);
    }
  }
}

function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function keyOf(secret: string): string {
  return hashOf(secret).toString('hex');
}

function passedMs(from: Instant, to: Instant): number {
  return Math.max(to.wallMs - from.wallMs, to.steadyMs - from.steadyMs);
}
