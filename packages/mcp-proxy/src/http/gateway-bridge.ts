/**
 * Clients over HTTP in front of several servers as one. A session has a gateway of its own, and so processes and connections of its
 * own; so has, without sessions (2026-07-28), everybody who sends the same credentials.
 */

import { errorAnswer } from '../answer.ts';
import type { GatewayParts, GatewayTarget } from '../gateway/assemble.ts';
import { GuardSource, type ProxyGuard } from '../guard-source.ts';
import { RPC_ERRORS } from '../message.ts';
import { oneGuard } from '../one-guard.ts';
import { UNREADABLE_TOOL } from '../refusals.ts';
import { heldTasks } from '../target.ts';
import type { Line } from '../wire.ts';
import { trimmed } from './body.ts';
import { type Behind, Bridge, type BridgeOptions, MAX_BRIDGE_SESSIONS, SESSION_IDLE_MS } from './bridge.ts';
import type { HttpExchange } from './exchange.ts';
import { GatewayPeer } from './gateway-peer.ts';
import { MessageHeaders } from './message-headers.ts';
import type { Outgoing } from './outgoing.ts';
import { PostLane } from './post-lane.ts';
import { answerAccepted, answerJson, refuseHttp } from './refuse.ts';
import { whyRemoved } from './removed-methods.ts';
import type { SessionClient } from './session-peer.ts';
import { sessionKey } from './sessions.ts';
import { StatelessGateway } from './stateless-gateway.ts';
import { TaskOwners } from './task-owners.ts';

/** Servers of all sessions at once; with many servers there is room for fewer sessions. Those of clients without sessions count apart. */
export const MAX_GATEWAY_SERVERS = 256;
const MOST_IDLE_CHECK_MS = 30_000;
/** No owner without a session is called so: they have digests for names. */
const IN_SESSIONS = 'sessions';

export interface GatewayBridgeOptions extends Omit<GatewayParts, 'log'>, BridgeOptions {}

type Request = Extract<Outgoing, { readonly kind: 'request' }>;

export function gatewayBridge(options: GatewayBridgeOptions): Bridge {
  const maxSessions = options.maxSessions ?? mostSessions(options.servers);
  return new Bridge(new Gateways({ ...options, maxSessions }), { ...options, maxSessions });
}

export function mostSessions(servers: readonly GatewayTarget[]): number {
  return Math.max(1, Math.min(MAX_BRIDGE_SESSIONS, Math.floor(MAX_GATEWAY_SERVERS / Math.max(1, servers.length))));
}

class Gateways implements Behind {
  readonly #options: GatewayBridgeOptions & { readonly maxSessions: number };
  readonly #guard: () => Promise<ProxyGuard>;
  readonly #source: GuardSource;
  readonly #headers = new MessageHeaders();
  /** Of servers over HTTP. To them we are one client, whoever asks. */
  readonly #taskOwners: ReadonlyMap<string, TaskOwners>;
  /** Of clients without sessions, by owner. */
  readonly #stateless = new Map<string, StatelessGateway>();
  readonly #ending = new Set<Promise<void>>();
  /** Starts nothing: all it ever gets is what cannot be read. */
  readonly #refusing: GatewayPeer;
  readonly #checking: NodeJS.Timeout;

  constructor(options: GatewayBridgeOptions & { readonly maxSessions: number }) {
    // Each client has a connection of its own to a server over HTTP, and the server may tell of a task to any of them.
    const far = options.servers.filter((server) => 'url' in server);
    this.#options = { ...options, tasks: new Map(far.map(({ name }) => [name, heldTasks(options.log)])) };
    this.#taskOwners = new Map(far.map(({ name }) => [name, new TaskOwners()]));
    this.#guard = oneGuard(options.guard);
    this.#source = new GuardSource(this.#guard, options.log);
    const nowhere = { toClient: () => {}, toServer: () => {}, dropped: () => {} };
    this.#refusing = this.open({ owner: '', own: nowhere, laneFor: () => undefined });
    const idleMs = options.sessionIdleMs ?? SESSION_IDLE_MS;
    this.#checking = setInterval(() => this.#endIdle(idleMs), Math.min(idleMs, MOST_IDLE_CHECK_MS)).unref();
  }

  /** What a session made may be fetched in the next one, whose client is the same for all that anybody can tell: they are one owner. */
  readonly open = (client: SessionClient): GatewayPeer => new GatewayPeer(this.#partsFor(IN_SESSIONS), client);

  stateless(exchange: HttpExchange, line: Line, message: Outgoing): void {
    // In this protocol nobody but who asked can have anything to add.
    if (message.kind !== 'request' || line.kind !== 'line') return answerAccepted(exchange);
    const { INVALID_REQUEST, HEADER_MISMATCH } = RPC_ERRORS;
    if (message.key === undefined)
      return this.invalid(exchange, message, INVALID_REQUEST, 'id of a request is not an integer or a short string');
    const removed = whyRemoved(message.method);
    if (removed !== undefined) return answerJson(exchange, 404, trimmed(errorAnswer(message.idJson, RPC_ERRORS.METHOD_NOT_FOUND, removed)));
    const header = this.#contradiction(exchange, message);
    if (header !== undefined) return this.invalid(exchange, message, HEADER_MISMATCH, `the header ${header} and the message disagree`);
    const gateway = this.#gatewayOf(sessionKey('', exchange.request));
    if (gateway === undefined) return refuseHttp(exchange, { status: 503, text: 'too many clients are served; retry later' });
    if (!gateway.post(exchange, line.bytes, message)) this.invalid(exchange, message, INVALID_REQUEST, 'a key is repeated in the request');
  }

  unreadable(exchange: HttpExchange, line: Line): void {
    const nothing = (): void => {};
    const lane = new PostLane({ exchange, isRequest: true, toServer: nothing, onOver: nothing, onGone: nothing });
    this.#refusing.fromClient(line, lane, undefined);
  }

  invalid(exchange: HttpExchange, message: Request, code: number, problem: string): void {
    if (message.method === 'tools/call') void this.#source.recordInvalid({ name: UNREADABLE_TOOL }, problem);
    answerJson(exchange, 400, trimmed(errorAnswer(message.idJson, code, problem)));
  }

  async close(): Promise<void> {
    clearInterval(this.#checking);
    for (const owner of [...this.#stateless.keys()]) this.#end(owner);
    await Promise.all(this.#ending);
  }

  /** The processes are killed, with this one, by what started them. */
  kill(): void {}

  /** Headers say what the message says, or whatever stands before us and reads only them was deceived. */
  #contradiction({ request }: HttpExchange, message: Request): string | undefined {
    return this.#headers.contradiction(message, (name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? value : undefined;
    });
  }

  #partsFor(owner: string): GatewayParts {
    return { ...this.#options, guard: this.#guard, ownTasks: (server) => this.#taskOwners.get(server)?.of(owner) };
  }

  /** Undefined when there is no room for another one. */
  #gatewayOf(owner: string): StatelessGateway | undefined {
    const known = this.#stateless.get(owner);
    if (known !== undefined) return known;
    if (!this.#hasRoom()) return undefined;
    const gateway = new StatelessGateway({ parts: this.#partsFor(owner), owner, headers: this.#headers });
    this.#stateless.set(owner, gateway);
    return gateway;
  }

  /** The one that was idle longest makes room. */
  #hasRoom(): boolean {
    const { maxSessions } = this.#options;
    if (this.#stateless.size < maxSessions) return this.#stateless.size + this.#ending.size < 2 * maxSessions;
    const idle = [...this.#stateless].flatMap(([owner, gateway]) => {
      const since = gateway.idleSince();
      return since === undefined ? [] : [{ owner, since }];
    });
    const [oldest] = idle.sort((a, b) => a.since - b.since);
    if (oldest !== undefined) this.#end(oldest.owner);
    return oldest !== undefined && this.#ending.size <= maxSessions;
  }

  #endIdle(idleMs: number): void {
    for (const [owner, gateway] of this.#stateless) {
      const since = gateway.idleSince();
      if (since !== undefined && Date.now() - since > idleMs) this.#end(owner);
    }
  }

  #end(owner: string): void {
    const ending = this.#stateless.get(owner)?.close();
    this.#stateless.delete(owner);
    if (ending === undefined) return;
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }
}
