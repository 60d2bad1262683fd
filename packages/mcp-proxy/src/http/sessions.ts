/**
 * What the proxy knows of a session of the server's (protocols 2025-03-26 to 2025-11-25): which requests of its client are open, and
 * what that client was given.
 *
 * The id belongs to the server and says nothing about who uses it. A session here is an id together with the credentials it came
 * with: who guesses an id cancels nothing and answers nothing of another client's, even before the server has refused him.
 */
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Interposer } from '../interposer.ts';
import { headerOf, type RawHeaders } from './headers.ts';
import { ReleasedAnswers } from './released-answers.ts';

/** Sessions remembered. When there are more, the one that was idle longest is forgotten: a resumed stream then lacks its answers. */
export const MAX_SESSIONS = 4_096;
/** A session without a request for so long is forgotten. */
export const SESSION_IDLE_MS = 3_600_000;
const MAX_SESSION_ID_CHARS = 1_024;

export interface Session {
  readonly id: string;
  readonly key: string;
  readonly interposer: Interposer;
  readonly answers: ReleasedAnswers;
  /** Exchanges and streams that are open. */
  uses: number;
  usedAtMs: number;
}

export class Sessions {
  readonly #byKey = new Map<string, Session>();
  readonly #byId = new Map<string, Set<Session>>();
  /** The last one in `#byKey`. */
  #newest: Session | undefined;
  readonly #now: () => number;
  readonly #forgotten: (session: Session, reason: string) => void;

  /** @param forgotten - told when nobody will ask a session any more. */
  constructor(forgotten: (session: Session, reason: string) => void, now: () => number = Date.now) {
    this.#forgotten = forgotten;
    this.#now = now;
  }

  get size(): number {
    return this.#byKey.size;
  }

  find(key: string): Session | undefined {
    const session = this.#byKey.get(key);
    if (session === undefined) return undefined;
    if (session !== this.#newest) {
      // The oldest comes first in a map.
      this.#byKey.delete(key);
      this.#byKey.set(key, session);
      this.#newest = session;
    }
    session.usedAtMs = this.#now();
    return session;
  }

  create(id: string, key: string, interposer: Interposer): Session {
    return { id, key, interposer, answers: new ReleasedAnswers(), uses: 0, usedAtMs: this.#now() };
  }

  /** The server took a request of it. Until then a session costs nothing, so that made-up ids push out nobody's. */
  keep(session: Session): void {
    if (this.#byKey.has(session.key)) return;
    this.#expire();
    this.#byKey.set(session.key, session);
    this.#newest = session;
    const others = this.#byId.get(session.id);
    if (others === undefined) this.#byId.set(session.id, new Set([session]));
    else others.add(session);
  }

  isKept(session: Session): boolean {
    return this.#byKey.get(session.key) === session;
  }

  /** All clients of one session of the server: tokens change while it lasts. */
  withId(id: string): readonly Session[] {
    return [...(this.#byId.get(id) ?? [])];
  }

  /** The server does not know it any more. */
  end(session: Session, reason: string): void {
    if (!this.isKept(session)) return;
    this.#byKey.delete(session.key);
    const others = this.#byId.get(session.id);
    others?.delete(session);
    if (others?.size === 0) this.#byId.delete(session.id);
    // What is under way ends by itself.
    if (session.uses === 0) this.#forgotten(session, reason);
  }

  all(): readonly Session[] {
    return [...this.#byKey.values()];
  }

  #expire(): void {
    const now = this.#now();
    for (const session of this.#byKey.values()) {
      const isOld = now - session.usedAtMs > SESSION_IDLE_MS;
      if (!isOld && this.#byKey.size < MAX_SESSIONS) return;
      if (session.uses === 0) this.end(session, 'the session was not used for a long time');
    }
  }
}

/** The session id of a request; undefined for one that has none, or one that nobody gives. */
export function sessionIdOf(headers: RawHeaders): string | undefined {
  const id = headerOf(headers, 'mcp-session-id');
  return id === undefined || id === '' || id.length > MAX_SESSION_ID_CHARS ? undefined : id;
}

const CREDENTIAL = /auth|cookie|token|secret|api[-_]?key/i;

/** What a key was last made of, by connection: as a rule all requests of one are the same client's. */
const known = new WeakMap<Socket, { readonly text: string; readonly key: string }>();

/** A digest of the session id and of everything in the request that may say who its client is. */
export function sessionKey(id: string, { rawHeaders, socket }: Pick<IncomingMessage, 'rawHeaders' | 'socket'>): string {
  let text = sized(id);
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (CREDENTIAL.test(name)) text += sized(name) + sized(rawHeaders[i + 1] as string);
  }
  const last = known.get(socket);
  if (last?.text === text) return last.key;
  const key = hash('sha256', text, 'base64');
  known.set(socket, { text, key });
  return key;
}

function sized(text: string): string {
  return `${text.length}:${text}`;
}
