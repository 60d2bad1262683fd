/**
 * Clients over HTTP in front of servers that know nothing of HTTP. A session (protocol up to 2025-11-25) has servers of its own; what
 * becomes of requests of the stateless protocol (2026-07-28) is up to what stands behind.
 */

import { errorAnswer } from '../answer.ts';
import { RPC_ERRORS } from '../message.ts';
import type { Line } from '../wire.ts';
import { trimmed } from './body.ts';
import { BridgeSession } from './bridge-session.ts';
import type { HttpExchange } from './exchange.ts';
import type { McpHandler } from './listener.ts';
import { lineOf, type Outgoing, readOutgoing, VERSION_KEY } from './outgoing.ts';
import { answerJson, refuseHttp } from './refuse.ts';
import type { OpenPeer } from './session-peer.ts';
import { isStatelessVersion } from './stateless-status.ts';

/** Sessions at once. The one that was idle longest makes room for a new one. */
export const MAX_BRIDGE_SESSIONS = 64;
/** A session that nobody uses is ended: clients that go away often do not say so. */
export const SESSION_IDLE_MS: number = 30 * 60_000;
const MOST_IDLE_CHECK_MS = 30_000;
const SESSION_GONE = -32_001;

/** What stands behind a bridge. */
export interface Behind {
  readonly open: OpenPeer;
  /** A message of the stateless protocol; answers it. */
  stateless(exchange: HttpExchange, line: Line, message: Outgoing): void;
  /** A message without a session of which nothing could be read: refuses it, and records that. */
  unreadable(exchange: HttpExchange, line: Line): void;
  /** A request without a session that contradicts itself: refuses it so, and records it if it is a call. */
  invalid(exchange: HttpExchange, message: Extract<Outgoing, { readonly kind: 'request' }>, code: number, problem: string): void;
  /** Ends what belongs to no session. */
  close(): Promise<void>;
  kill(): void;
}

export interface BridgeOptions {
  readonly log: (text: string) => void;
  readonly maxSessions?: number;
  readonly sessionIdleMs?: number;
}

export class Bridge implements McpHandler {
  readonly #behind: Behind;
  readonly #options: BridgeOptions;
  readonly #sessions = new Map<string, BridgeSession>();
  /** Those that end are among them until their servers are gone. */
  readonly #living = new Set<BridgeSession>();
  readonly #checking: NodeJS.Timeout;
  readonly #onExit = (): void => this.#kill();
  #isClosing = false;

  constructor(behind: Behind, options: BridgeOptions) {
    this.#behind = behind;
    this.#options = options;
    const idleMs = options.sessionIdleMs ?? SESSION_IDLE_MS;
    this.#checking = setInterval(() => this.#endIdle(idleMs), Math.min(idleMs, MOST_IDLE_CHECK_MS));
    this.#checking.unref();
    process.on('exit', this.#onExit);
  }

  post(exchange: HttpExchange, body: Line): void {
    const line = body.kind === 'line' ? asLine(body.bytes) : body;
    const message = line.kind === 'line' ? readOutgoing(line.content) : undefined;
    const sessionId = exchange.request.headers['mcp-session-id'];
    if (this.#isClosing) return refuseHttp(exchange, { status: 503, text: 'the proxy is shutting down' });
    // Between lines of stdio that is nothing; here somebody waits for an answer to it.
    if (line.kind === 'line' && line.content.toString('latin1').trim() === '')
      return refuseHttp(exchange, { status: 400, text: 'the body is blank' });
    if (typeof sessionId === 'string') {
      const session = this.#known(sessionId);
      return session === undefined ? sessionGone(exchange, message) : session.post(exchange, line, message);
    }
    // What cannot be read is refused, and recorded, without a server.
    if (message === undefined) return this.#behind.unreadable(exchange, line);
    if (message.version !== undefined) return this.#behind.stateless(exchange, line, message);
    if (
      message.kind === 'request' &&
      message.method !== 'initialize' &&
      isStatelessVersion(exchange.request.headers['mcp-protocol-version'])
    )
      return this.#behind.invalid(exchange, message, RPC_ERRORS.INVALID_PARAMS, `the request has no ${VERSION_KEY} in its _meta`);
    if (message.kind !== 'request' || message.method !== 'initialize')
      return refuseHttp(exchange, { status: 400, text: 'there is no session: begin one with initialize, and send its Mcp-Session-Id' });
    this.#begin(exchange, line, message);
  }

  get(exchange: HttpExchange): void {
    const session = this.#sessionOf(exchange);
    if (session === 'none') return refuseHttp(exchange, { status: 405, text: 'there is no stream without a session' });
    if (session === undefined) return sessionGone(exchange, undefined);
    if (!(exchange.request.headers.accept ?? '').includes('text/event-stream'))
      return refuseHttp(exchange, { status: 406, text: 'a stream of events must be accepted: text/event-stream' });
    if (session.get(exchange) === 'unknown')
      refuseHttp(exchange, { status: 400, text: 'this event is not known, or not any more: begin a new stream' });
  }

  delete(exchange: HttpExchange): void {
    const session = this.#sessionOf(exchange);
    if (session === 'none') return refuseHttp(exchange, { status: 405, text: 'there is nothing to end without a session' });
    if (session === undefined) return sessionGone(exchange, undefined);
    this.#drop(session);
    exchange.response.writeHead(204).end();
  }

  /** Ends every server, after what waits was answered. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#checking);
    for (const session of this.#sessions.values()) this.#drop(session);
    await Promise.all([...[...this.#living].map(({ ended }) => ended), this.#behind.close()]);
    process.off('exit', this.#onExit);
  }

  #begin(exchange: HttpExchange, line: Line, message: Outgoing): void {
    if (!this.#hasRoom()) return refuseHttp(exchange, { status: 503, text: 'too many sessions are in use; retry later' });
    const session = new BridgeSession(this.#behind.open, this.#options.log);
    this.#sessions.set(session.id, session);
    this.#living.add(session);
    void session.ended.then(() => {
      this.#sessions.delete(session.id);
      this.#living.delete(session);
    });
    session.post(exchange, line, message);
  }

  #sessionOf({ request }: HttpExchange): BridgeSession | 'none' | undefined {
    const id = request.headers['mcp-session-id'];
    return typeof id === 'string' ? this.#known(id) : 'none';
  }

  /** One that ends answers nothing any more. */
  #known(id: string): BridgeSession | undefined {
    const session = this.#sessions.get(id);
    return session?.isEnding === true ? undefined : session;
  }

  #hasRoom(): boolean {
    const most = this.#options.maxSessions ?? MAX_BRIDGE_SESSIONS;
    if (this.#sessions.size < most) return this.#living.size < 2 * most;
    const idle = [...this.#sessions.values()].filter((session) => session.idleSince() !== undefined);
    const [oldest] = idle.sort((a, b) => (a.idleSince() ?? 0) - (b.idleSince() ?? 0));
    if (oldest === undefined) return false;
    this.#drop(oldest);
    return true;
  }

  #endIdle(idleMs: number): void {
    for (const session of this.#sessions.values()) {
      const since = session.idleSince();
      if (since !== undefined && Date.now() - since > idleMs) this.#drop(session);
    }
  }

  #drop(session: BridgeSession): void {
    this.#sessions.delete(session.id);
    session.end();
  }

  #kill(): void {
    for (const session of this.#living) session.kill();
    this.#behind.kill();
  }
}

/** What is decided is what the server gets: one line. */
function asLine(body: Buffer): Line {
  // Of two byte order marks only one goes: with both gone, what is no JSON would have become a message.
  const bytes = lineOf(Buffer.from(body));
  return { kind: 'line', bytes, content: bytes.subarray(0, -1) };
}

function sessionGone(exchange: HttpExchange, message: Outgoing | undefined): void {
  const idJson = message?.kind === 'request' ? message.idJson : 'null';
  answerJson(
    exchange,
    404,
    trimmed(errorAnswer(idJson, SESSION_GONE, 'this session is not known, or has ended: begin one with initialize')),
  );
}
