/**
 * Clients over HTTP in front of a server over stdio. A session (protocol up to 2025-11-25) has a process of its own; requests of the
 * stateless protocol (2026-07-28) share one.
 */
import { errorAnswer } from '../answer.ts';
import type { ProxyGuard } from '../guard-source.ts';
import { Interposer, type InterposerOptions } from '../interposer.ts';
import { RPC_ERRORS } from '../message.ts';
import { Target, type TargetOptions } from '../target.ts';
import type { StartedServer, UpstreamOptions } from '../upstream.ts';
import type { Line } from '../wire.ts';
import { BridgeSession } from './bridge-session.ts';
import type { HttpExchange, McpHandler } from './listener.ts';
import { MessageHeaders } from './message-headers.ts';
import { lineOf, type Outgoing, readOutgoing, VERSION_KEY } from './outgoing.ts';
import { PostLane, trimmed } from './post-lane.ts';
import { answerAccepted, answerJson, refuseHttp } from './refuse.ts';
import { SharedProcess } from './shared-process.ts';
import { isStatelessVersion } from './stateless-status.ts';

/** Sessions, and so processes, at once. The one that was idle longest makes room for a new one. */
export const MAX_BRIDGE_SESSIONS = 64;
/** A session that nobody uses is ended: clients that go away often do not say so. */
export const SESSION_IDLE_MS: number = 30 * 60_000;
const MOST_IDLE_CHECK_MS = 30_000;
const SESSION_GONE = -32_001;

export interface StdioBridgeOptions
  extends UpstreamOptions,
    Pick<InterposerOptions, 'onInvalid' | 'answerAt' | 'cancelGraceMs'>,
    Pick<TargetOptions, 'mcp' | 'approvals'> {
  /** Opens the guard; called at the first call or list of tools, and again after a failure. */
  readonly guard: () => Promise<ProxyGuard>;
  /** Name of the server in our configuration. */
  readonly server: string;
  readonly stderr: NodeJS.WritableStream;
  readonly log: (text: string) => void;
  /** A process was started. */
  readonly onReady?: (upstream: StartedServer) => void;
  readonly maxSessions?: number;
  readonly sessionIdleMs?: number;
}

type Request = Extract<Outgoing, { readonly kind: 'request' }>;

export class StdioBridge implements McpHandler {
  readonly #options: StdioBridgeOptions;
  readonly #guard: () => Promise<ProxyGuard>;
  readonly #headers = new MessageHeaders();
  /** What belongs to no session: requests of the stateless protocol, and what cannot be read. */
  readonly #target: Target;
  readonly #shared: SharedProcess;
  readonly #sessions = new Map<string, BridgeSession>();
  /** Those that end are among them until their process is gone. */
  readonly #living = new Set<BridgeSession>();
  readonly #checking: NodeJS.Timeout;
  readonly #onExit = (): void => this.#kill();
  #isClosing = false;

  constructor(options: StdioBridgeOptions) {
    this.#options = options;
    this.#guard = once(options.guard);
    this.#target = this.#newTarget();
    this.#shared = new SharedProcess({ ...options, target: this.#target, headers: this.#headers });
    const idleMs = options.sessionIdleMs ?? SESSION_IDLE_MS;
    this.#checking = setInterval(() => this.#endIdle(idleMs), Math.min(idleMs, MOST_IDLE_CHECK_MS));
    this.#checking.unref();
    process.on('exit', this.#onExit);
  }

  post(exchange: HttpExchange, body: Line): void {
    const line = body.kind === 'line' ? asLine(body.content) : body;
    const message = line.kind === 'line' ? readOutgoing(line.content) : undefined;
    const sessionId = exchange.request.headers['mcp-session-id'];
    if (this.#isClosing) return refuseHttp(exchange, { status: 503, text: 'the proxy is shutting down' });
    if (typeof sessionId === 'string') {
      const session = this.#sessions.get(sessionId);
      return session === undefined ? sessionGone(exchange, message) : session.post(exchange, line, message);
    }
    // What cannot be read is refused, and recorded, without a server.
    if (message === undefined) return this.#refuse(exchange, line);
    if (message.version !== undefined) return this.#stateless(exchange, line, message);
    if (
      message.kind === 'request' &&
      message.method !== 'initialize' &&
      isStatelessVersion(exchange.request.headers['mcp-protocol-version'])
    )
      return this.#invalid(exchange, message, RPC_ERRORS.INVALID_PARAMS, `the request has no ${VERSION_KEY} in its _meta`);
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

  /** Ends every process, after what waits was answered. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#checking);
    for (const session of this.#sessions.values()) this.#drop(session);
    await Promise.all([...[...this.#living].map(({ ended }) => ended), this.#shared.close()]);
    process.off('exit', this.#onExit);
  }

  #begin(exchange: HttpExchange, line: Line, message: Request): void {
    if (!this.#hasRoom()) return refuseHttp(exchange, { status: 503, text: 'too many sessions are in use; retry later' });
    const session = new BridgeSession({ ...this.#options, target: this.#newTarget() });
    this.#sessions.set(session.id, session);
    this.#living.add(session);
    void session.ended.then(() => {
      this.#sessions.delete(session.id);
      this.#living.delete(session);
    });
    session.post(exchange, line, message);
  }

  #stateless(exchange: HttpExchange, line: Line, message: Outgoing): void {
    // In this protocol nobody but who asked can have anything to add; it would reach a process that others share.
    if (message.kind !== 'request') return answerAccepted(exchange);
    const problem = this.#contradiction(exchange, message);
    if (problem !== undefined) return this.#invalid(exchange, message, RPC_ERRORS.HEADER_MISMATCH, problem);
    this.#shared.post(exchange, line, message);
  }

  #invalid(exchange: HttpExchange, message: Request, code: number, problem: string): void {
    if (message.method === 'tools/call')
      void this.#target.guard.recordInvalid(this.#target.tools.ref(this.#options.server, '(unreadable)'), problem);
    answerJson(exchange, 400, trimmed(errorAnswer(message.idJson, code, problem)));
  }

  /** Headers say what the message says, or whatever stands before us and reads only them was deceived. */
  #contradiction({ request }: HttpExchange, message: Request): string | undefined {
    const header = this.#headers.contradiction(message, (name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? value : undefined;
    });
    return header === undefined ? undefined : `the header ${header} and the message disagree`;
  }

  #refuse(exchange: HttpExchange, line: Line): void {
    const lane = new PostLane({ exchange, isRequest: true, toServer: () => lane.dropped(), onOver: () => {}, onGone: () => {} });
    const { onInvalid } = this.#options;
    new Interposer({ target: this.#target, lane, ...(onInvalid !== undefined && { onInvalid }) }).fromClient(line);
  }

  #sessionOf({ request }: HttpExchange): BridgeSession | 'none' | undefined {
    const id = request.headers['mcp-session-id'];
    return typeof id === 'string' ? this.#sessions.get(id) : 'none';
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

  #newTarget(): Target {
    const { server, log, mcp, approvals } = this.#options;
    return new Target({
      guard: this.#guard,
      server,
      log,
      ...(mcp !== undefined && { mcp }),
      ...(approvals !== undefined && { approvals }),
    });
  }

  #kill(): void {
    for (const session of this.#living) session.kill();
    this.#shared.kill();
  }
}

/** One guard for all: opened once, and again after a failure. */
function once(open: () => Promise<ProxyGuard>): () => Promise<ProxyGuard> {
  let opening: Promise<ProxyGuard> | undefined;
  return async () => {
    const mine = (opening ??= Promise.resolve().then(open));
    try {
      return await mine;
    } catch (error) {
      if (opening === mine) opening = undefined;
      throw error;
    }
  };
}

/** What is decided is what the server gets: one line. */
function asLine(content: Buffer): Line {
  const bytes = lineOf(Buffer.from(content));
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
