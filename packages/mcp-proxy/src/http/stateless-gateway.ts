/**
 * The stateless protocol (2026-07-28) in front of several servers as one. Who sends the same credentials is one client, with a gateway,
 * and so servers, of its own. To a gateway its client is one line of messages, in which every request needs an id that no other has:
 *
 * - there every request has an id of ours, and a progress token of ours if it has one; both are put back on the way to the client;
 * - a message of a server goes to the request it names, and to nobody when it names none;
 * - only a client that hangs up cancels, and only what it asked; its notifications reach nobody.
 */

import { errorAnswer } from '../answer.ts';
import { assembleGateway, type GatewayParts } from '../gateway/assemble.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { idKey, isObject, member, RPC_ERRORS } from '../message.ts';
import { trimmed } from './body.ts';
import type { HttpExchange } from './exchange.ts';
import type { MessageHeaders } from './message-headers.ts';
import { type Outgoing, parse } from './outgoing.ts';
import { onThePipe, ownerOf, withClientId, withClientNames } from './pipe-ids.ts';
import { PostLane } from './post-lane.ts';
import { statelessStatus } from './stateless-status.ts';

type Request = Extract<Outgoing, { readonly kind: 'request' }>;

interface Route {
  readonly request: Request;
  readonly lane: PostLane;
  /** As the client gave it. */
  readonly token: string | number | undefined;
}

export interface StatelessGatewayOptions {
  readonly parts: GatewayParts;
  /** Whose calls and tasks these are. */
  readonly owner: string;
  /** Of tools that were listed, under the names that clients know. */
  readonly headers: MessageHeaders;
}

export class StatelessGateway {
  readonly #options: StatelessGatewayOptions;
  readonly #gateway: Gateway;
  readonly #routes = new Map<string, Route>();
  /** What came on it is being handed over. */
  #current: string | undefined;
  #count = 0;
  #usedAt = Date.now();

  constructor(options: StatelessGatewayOptions) {
    this.#options = options;
    this.#gateway = assembleGateway(options.parts, { toClient: (bytes) => this.#toClient(bytes), owner: options.owner });
  }

  /** Nothing is open: since when, in milliseconds. Undefined while something is. */
  idleSince(): number | undefined {
    return this.#routes.size > 0 ? undefined : this.#usedAt;
  }

  /** @returns false when not every reader finds the same id, or the same token, in the message. */
  post(exchange: HttpExchange, line: Buffer, request: Request): boolean {
    const id = `countersign-${++this.#count}`;
    const named = onThePipe(line, id);
    if (named === undefined) return false;
    const lane = new PostLane({
      exchange,
      isRequest: true,
      statusOf: (answer) => statelessStatus(request, answer),
      // The interposers of the servers write to them.
      toServer: () => {},
      onOver: () => this.#over(id),
      onGone: () => this.#gone(id),
    });
    this.#routes.set(id, { request, lane, token: named.token });
    this.#current = id;
    this.#say(named.bytes);
    this.#current = undefined;
    if (!this.#gateway.waits(keyOf(id))) lane.dropped();
    return true;
  }

  /** Answers what waits, ends every server, and resolves when all are gone. */
  async close(): Promise<void> {
    const closed = this.#gateway.close();
    const problem = 'the proxy ended the servers behind it; one of them may have done what was asked';
    for (const { lane, request } of [...this.#routes.values()])
      lane.toClient(errorAnswer(request.idJson, RPC_ERRORS.UPSTREAM_GONE, problem), 'answer');
    await closed;
  }

  #toClient(bytes: Buffer): void {
    const content = trimmed(bytes);
    const message = parse(content);
    if (!isObject(message)) return;
    if (Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error')) return this.#answer(content, member(message, 'id'));
    const route = this.#routes.get(ownerOf(message) ?? '');
    if (route === undefined) return;
    const given = { id: JSON.parse(route.request.idJson) as unknown, token: route.token };
    const told = withClientNames(content, message, given);
    if (told !== undefined) route.lane.toClient(told, 'message');
  }

  #answer(content: Buffer, id: unknown): void {
    // A refusal may name no id.
    const route = this.#routes.get(typeof id === 'string' ? id : (this.#current ?? ''));
    if (route === undefined) return;
    const { request, lane } = route;
    const told = withClientId(content, typeof id === 'string' ? request.idJson : 'null') ?? content;
    if (request.method === 'tools/list') this.#options.headers.learn(parse(told));
    lane.toClient(told, 'answer');
  }

  #over(id: string): void {
    this.#usedAt = Date.now();
    this.#routes.delete(id);
  }

  /** Hanging up is how a client of this protocol cancels. */
  #gone(id: string): void {
    if (!this.#routes.has(id)) return;
    this.#over(id);
    this.#say(Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } })}\n`));
  }

  #say(bytes: Buffer): void {
    this.#gateway.fromClient({ kind: 'line', bytes, content: trimmed(bytes) });
  }
}

function keyOf(id: string): string {
  return idKey(id) ?? '';
}
