/**
 * One MCP server to one client, made of several, without any I/O of its own.
 *
 * It stands on the client's side of the interposers: each of them sees its server's own names, decides on those, and passes on the
 * very bytes it decided on. Here names get their server and lose it again, listings are merged, and every message finds its way
 * to the one server that it is for. What is changed is changed in place, in text that reads the same to everybody; what does not
 * is refused.
 */
import { randomBytes } from 'node:crypto';
import type { ToolRef } from '@countersign/core';
import { type CallMessage, type ClientMessage, type InvalidMessage, readClientMessage } from '../client-message.ts';
import { scanJson } from '../json-scan.ts';
import { isObject, type JsonObject, member as ownMember, RPC_ERRORS } from '../message.ts';
import { notEntered, tooLarge } from '../refusals.ts';
import type { Line } from '../wire.ts';
import { ClientEnd } from './client-end.ts';
import { type Destination, Destinations, renamed } from './destinations.ts';
import { FromServers } from './from-servers.ts';
import { type Greeting, Handshake, helloMeta, statelessVersion, UNSUPPORTED_VERSION } from './handshake.ts';
import { spanAt } from './json-spans.ts';
import type { GatewayServer } from './link.ts';
import { isList, Listing } from './listing.ts';
import { Member } from './member.ts';
import { innerName } from './names.ts';
import { INITIALIZED, Notices } from './notices.ts';
import { Owners } from './owners.ts';
import { Refused } from './refused.ts';
import type { Route } from './routes.ts';
import { valueAt } from './server-edits.ts';
import { hasOtherState, ServerStates } from './server-states.ts';
import { ShortNames } from './short-names.ts';
import { acknowledgement, listenTo, readListen, Subscriptions } from './subscriptions.ts';

/** How long a request waits for a server that is starting. */
export const REQUEST_WAIT_MS = 30_000;

export interface GatewayOptions {
  readonly servers: readonly GatewayServer[];
  /** Takes whole lines, in order. Must not throw. */
  readonly toClient: (bytes: Buffer) => void;
  /** Takes one line for people. */
  readonly log: (text: string) => void;
  /** Records a message that was refused before anybody could decide about it. Must not throw or reject. */
  readonly recordInvalid: (tool: ToolRef, reason: string) => Promise<void>;
  /** Of this program, for clients. */
  readonly version: string;
  /** Default `GREETING_WAIT_MS`. */
  readonly greetingWaitMs?: number;
  /** Default `LIST_WAIT_MS`. */
  readonly listWaitMs?: number;
}

/** Keys that say what a request is and whom it is for: spelt in one way only. */
const ROUTING_KEYS: ReadonlySet<string> = new Set([
  'jsonrpc',
  'id',
  'method',
  'params',
  'name',
  'arguments',
  'uri',
  'ref',
  'cursor',
  'level',
]);

const OTHER_STATE = 'a key looks like one that brings something back to a server';

type Requested = Extract<ClientMessage, { readonly kind: 'request' }>;

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #members: ReadonlyMap<string, Member>;
  readonly #client: ClientEnd;
  readonly #handshake: Handshake;
  readonly #listing: Listing;
  readonly #destinations: Destinations;
  readonly #servers: FromServers;
  readonly #notices: Notices;
  readonly #subscriptions = new Subscriptions();
  readonly #states: ServerStates;
  readonly #refused: Refused;
  #phase: 'new' | 'greeting' | 'greeted' | 'session' | 'stateless' = 'new';
  #greeting: Promise<void> = Promise.resolve();
  /** The client said that it is ready before it was answered. */
  #isHasty = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    const { version, greetingWaitMs, listWaitMs, log, toClient } = options;
    this.#client = new ClientEnd(toClient);
    const events = {
      onMessage: (member: Member, bytes: Buffer): void => this.#servers.take(member, contentOf(bytes)),
      onReady: (member: Member): void => this.#notices.joined(member),
      onLate: (_member: Member, method: string): void => this.#notices.changed(method),
      onLost: (member: Member): void => {
        this.#servers.lost(member);
        this.#notices.changed();
      },
      log,
    };
    const members = new Map(options.servers.map((server) => [server.name, new Member(server, events)]));
    const [names, owners, subscriptions] = [new ShortNames(), new Owners(), this.#subscriptions];
    this.#members = members;
    this.#handshake = new Handshake({ members, version, ...(greetingWaitMs !== undefined && { waitMs: greetingWaitMs }) });
    this.#listing = new Listing({ members, names, key: randomBytes(32), log, ...(listWaitMs !== undefined && { waitMs: listWaitMs }) });
    this.#destinations = new Destinations({ members, names, owners, subscriptions, listing: this.#listing });
    const canAsk = (): boolean => this.#isSession();
    const isOpen = (): boolean => this.#phase === 'session';
    this.#notices = new Notices({ members, client: this.#client, subscriptions, isOpen, log });
    this.#states = new ServerStates(log);
    this.#refused = new Refused({ client: this.#client, isServer: (name) => members.has(name), recordInvalid: options.recordInvalid, log });
    this.#servers = new FromServers({ members, client: this.#client, owners, subscriptions, states: this.#states, canAsk, log });
  }

  fromClient(line: Line): void {
    if (line.kind === 'oversize') return this.#refused.take(tooLarge(line.sizeBytes));
    const message = readClientMessage(line.content);
    const text = line.content.toString('utf8');
    switch (message.kind) {
      case 'invalid':
        return this.#refused.take(message);
      case 'call':
        return this.#call(text, message);
      case 'request':
        return this.#request(line.content, text, message);
      case 'cancel':
        return this.#cancel(text, message.key);
      case 'response':
      case 'other':
        return this.#other(line.content, text);
    }
  }

  /** Whether a request with this key is open, or listens. */
  waits(key: string): boolean {
    return this.#client.routes.get(key) !== undefined || this.#subscriptions.get(key) !== undefined;
  }

  /** Resolves when no request waits for an answer, but for those that listen. */
  async idle(): Promise<void> {
    await this.#client.routes.idle();
  }

  /** The client says nothing more; it may still read. */
  clientSilent(): void {
    for (const member of this.#members.values()) member.clientSilent();
  }

  /** Ends every server, and resolves when all are gone. Whatever they still say goes nowhere. */
  async close(): Promise<void> {
    for (const { idJson } of this.#subscriptions.listens()) this.#client.answer(idJson, '{"resultType":"complete"}');
    this.#client.close();
    await Promise.all([...this.#members.values()].map((member) => member.close()));
  }

  #call(text: string, call: CallMessage): void {
    const inner = innerName(call.tool);
    const member = inner === undefined ? undefined : this.#members.get(inner.server);
    const about = { idJson: call.idJson, tool: call.tool, couldBeCall: true, rpcCode: RPC_ERRORS.INVALID_PARAMS };
    if (inner === undefined || member === undefined)
      return this.#refused.take({ kind: 'invalid', code: 'name-invalid', text: this.#destinations.unknown('tool'), ...about });
    if (call.stateless && hasOtherState(call.params))
      return this.#refused.take({ kind: 'invalid', code: 'lookalike-key', text: OTHER_STATE, ...about });
    const token = valueAt(call.params, ['_meta', 'progressToken']);
    const route = { idJson: call.idJson, method: 'tools/call', token, isTask: call.task };
    if (!this.#enter(call.key, route, call.tool)) return;
    const path = ['params', 'name'];
    // In order, as long as nothing has to be waited for.
    if (this.#isSession() && member.offer !== undefined && !inner.isShort)
      return this.#forward(call.key, route, { kind: 'server', member, text: renamed(text, path, inner.name) });
    void this.#inTurn(call.key, route, call.params, async (meta) =>
      this.#later(call.key, route, await this.#destinations.named('tools/list', member, inner, text, path, meta)),
    );
  }

  #request(content: Buffer, text: string, { key, idJson, method }: Requested): void {
    const flawed = (code: InvalidMessage['code'], about: string): void =>
      this.#refused.take({ kind: 'invalid', code, text: about, rpcCode: RPC_ERRORS.INVALID_REQUEST, idJson, couldBeCall: false });
    if (key === undefined) return flawed('id-invalid', 'id of a request is not an integer or a short string');
    const scan = scanJson(content, ROUTING_KEYS);
    const flaw = scan.ok ? scan.flaws.find(({ kind }) => kind !== 'lossy-number' && kind !== 'lone-surrogate') : undefined;
    if (flaw !== undefined) return flawed(flaw.kind, 'a key is repeated, or looks like one that says whom the request is for');
    const params = valueAt(JSON.parse(text), ['params']);
    if (statelessVersion(params) !== undefined && hasOtherState(params)) return flawed('lookalike-key', OTHER_STATE);
    const route = { idJson, method, token: valueAt(params, ['_meta', 'progressToken']) };
    if (!this.#enter(key, route)) return;
    if (method === 'ping') return this.#client.finish(key, route, '{}');
    if (method === 'initialize') return this.#initialize(key, route, text, params);
    void this.#inTurn(key, route, params, async (meta) => this.#asked(key, route, text, params, meta));
  }

  async #asked(key: string, route: Route, text: string, params: unknown, meta: JsonObject | undefined): Promise<void> {
    const { method } = route;
    if (method === 'server/discover' && meta !== undefined) return this.#greet(key, route, this.#handshake.discovered(meta));
    if (isList(method)) return this.#list(key, route, params, meta);
    if (method === 'logging/setLevel' && meta === undefined) return this.#setLevel(key, route, text);
    if (method === 'subscriptions/listen' && meta !== undefined) return this.#listen(key, route, text, params);
    return this.#later(key, route, await this.#destinations.of(method, params, text, meta));
  }

  /** Does what a request wants once there are servers to ask: after the greeting of a session, or without one. */
  async #inTurn(key: string, route: Route, params: unknown, answer: (meta: JsonObject | undefined) => Promise<void>): Promise<void> {
    if (this.#phase === 'greeting') await this.#greeting;
    if (this.#isSession()) return answer(undefined);
    const meta = valueAt(params, ['_meta']);
    const version = statelessVersion(params);
    if (!isObject(meta) || version === undefined) return this.#client.fail(key, route, RPC_ERRORS.INVALID_REQUEST, 'initialize first');
    this.#phase = 'stateless';
    const supported = await this.#handshake.stateless(meta);
    if (supported !== undefined) {
      const data = { supported, requested: version };
      return this.#client.fail(key, route, UNSUPPORTED_VERSION, `not every server here speaks ${version} without a session`, data);
    }
    return answer(meta);
  }

  #initialize(key: string, route: Route, text: string, params: unknown): void {
    const version = valueAt(params, ['protocolVersion']);
    const span = spanAt(text, ['params']);
    if (this.#phase === 'greeting' || this.#isSession())
      return this.#client.fail(key, route, RPC_ERRORS.INVALID_REQUEST, 'this session is initialized already');
    if (typeof version !== 'string' || span === undefined)
      return this.#client.fail(key, route, RPC_ERRORS.INVALID_PARAMS, 'params.protocolVersion is not a string');
    this.#phase = 'greeting';
    this.#greeting = this.#handshake.initialize(text.slice(span.start, span.end), version).then((greeting) => {
      this.#phase = 'greeted';
      this.#greet(key, route, greeting);
      if (this.#isHasty) this.#begin();
    });
  }

  #greet(key: string, route: Route, greeting: Greeting): void {
    if (greeting.kind === 'greeting') return this.#client.finish(key, route, greeting.json);
    this.#client.fail(key, route, greeting.code, greeting.message, greeting.data);
  }

  /** The client is ready to hear from servers. */
  #begin(): void {
    if (this.#phase === 'greeting') this.#isHasty = true;
    if (this.#phase !== 'greeted') return;
    this.#phase = 'session';
    this.#notices.toAll(INITIALIZED);
  }

  #isSession(): boolean {
    return this.#phase === 'greeted' || this.#phase === 'session';
  }

  async #list(key: string, route: Route, params: unknown, meta: JsonObject | undefined): Promise<void> {
    const cursor = valueAt(params, ['cursor']);
    if (cursor !== undefined && typeof cursor !== 'string')
      return this.#client.fail(key, route, RPC_ERRORS.INVALID_PARAMS, 'params.cursor is not a string');
    const page = await this.#listing.page({
      method: route.method,
      ...(cursor !== undefined && { cursor }),
      ...(meta !== undefined && { meta: helloMeta(meta) }),
    });
    if (page === undefined)
      return this.#client.fail(key, route, RPC_ERRORS.INVALID_PARAMS, 'params.cursor is none that was given here; list from the start');
    this.#client.finish(key, route, page);
  }

  async #setLevel(key: string, route: Route, text: string): Promise<void> {
    const span = spanAt(text, ['params']);
    await this.#notices.setLevel(span === undefined ? '{}' : text.slice(span.start, span.end));
    this.#client.finish(key, route, '{}');
  }

  #listen(key: string, route: Route, text: string, params: unknown): void {
    const listen = readListen(params, text, route.idJson, (uri) => this.#destinations.ownerOf(uri));
    if (listen === undefined)
      return this.#client.fail(
        key,
        route,
        RPC_ERRORS.INVALID_PARAMS,
        'params.notifications is none, or names a resource of no server here',
      );
    if (this.#client.routes.get(key) !== route) return;
    this.#client.routes.remove(key);
    if (!this.#subscriptions.listen(key, listen)) return this.#client.error(route.idJson, RPC_ERRORS.LIMIT, 'too many requests listen');
    this.#client.say(acknowledgement(listen));
    for (const member of this.#members.values()) member.send(listenTo(member.name, listen));
  }

  async #later(key: string, route: Route, destination: Destination): Promise<void> {
    if (destination.kind === 'nowhere')
      return this.#client.fail(key, route, destination.code ?? RPC_ERRORS.INVALID_PARAMS, destination.message);
    const { member } = destination;
    member.open();
    await member.settled(REQUEST_WAIT_MS);
    this.#forward(key, route, destination);
  }

  /** Sends a request to its server, unless the client took it back. */
  #forward(key: string, route: Route, { member, text, route: more }: Extract<Destination, { readonly kind: 'server' }>): void {
    if (this.#client.routes.get(key) !== route || this.#client.isClosed) return;
    if (member.offer === undefined) {
      member.open();
      return this.#client.fail(key, route, RPC_ERRORS.UPSTREAM_GONE, member.trouble);
    }
    if (member.isFull)
      return this.#client.fail(key, route, RPC_ERRORS.LIMIT, `server ${member.name} does not read what it is sent; retry later`);
    const sent = this.#isSession() ? { text } : this.#states.toServer(member.name, route.method, text);
    this.#client.routes.set(key, { ...route, ...more, server: member.name, ...('states' in sent && { states: sent.states }) });
    member.send(sent.text);
  }

  #cancel(text: string, key: string | undefined): void {
    if (key === undefined) return;
    if (this.#subscriptions.get(key) !== undefined) {
      this.#subscriptions.end(key);
      for (const member of this.#members.values()) member.send(text);
      return;
    }
    const server = this.#client.routes.remove(key)?.server;
    if (server !== undefined) this.#members.get(server)?.send(text);
  }

  /** Notifications and answers of the client. */
  #other(content: Buffer, text: string): void {
    if (text.trim() === '') return;
    const message: unknown = JSON.parse(text);
    if (!isObject(message)) return;
    const method = ownMember(message, 'method');
    if (method === undefined) return this.#servers.fromClient(content, text, message);
    if (method === 'notifications/initialized') return this.#begin();
    if (method === 'notifications/roots/list_changed') return this.#notices.toAll(text);
    if (method === 'notifications/progress') return this.#servers.progress(text, message);
    this.#options.log('dropped a notification of the client: of several servers none can be told to be meant');
  }

  /** Enters a request; otherwise answers it and returns false. */
  #enter(key: string, route: Route, tool?: string): boolean {
    const added = this.#subscriptions.get(key) === undefined ? this.#client.routes.add(key, route) : 'in-use';
    if (added === 'added') return true;
    this.#refused.take(notEntered(added, route.idJson, tool));
    return false;
  }
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Of a line its message. A mark before it would hide it from what looks for places in it. */
function contentOf(line: Buffer): Buffer {
  return line.subarray(line.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0, line.length - 1);
}
