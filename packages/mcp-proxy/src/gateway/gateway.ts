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
import { errorAnswer, invalidAnswer } from '../answer.ts';
import { type CallMessage, type ClientMessage, type InvalidMessage, readClientMessage, unreadable } from '../client-message.ts';
import { scanJson } from '../json-scan.ts';
import { idKey, isObject, type JsonObject, member as ownMember, RPC_ERRORS } from '../message.ts';
import { readServerMessage, type ServerResponse } from '../server-message.ts';
import { type Line, MAX_MESSAGE_BYTES } from '../wire.ts';
import { Asked } from './asked.ts';
import { type Greeting, Handshake, helloMeta, statelessVersion } from './handshake.ts';
import { edited, elements, spanAt, wholeOf } from './json-spans.ts';
import { type GatewayServer, lineOf } from './link.ts';
import { isList, Listing } from './listing.ts';
import { Member } from './member.ts';
import { innerName, innerTask, innerUri, outerUri } from './names.ts';
import { Owners } from './owners.ts';
import { type Route, Routes } from './routes.ts';
import { answerEdits, notificationEdits, questionEdits, RELATED_TASK, valueAt } from './server-edits.ts';
import { ShortNames } from './short-names.ts';
import { readSpoken, type Spoken } from './spoken.ts';
import { acknowledgement, changeNotice, listenTo, readListen, Subscriptions, subscriptionIdOf } from './subscriptions.ts';

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

/** Stands in the ledger where no tool name could be read. */
const UNREADABLE_TOOL = '(unreadable)';
const METHOD_NOT_FOUND = -32601;
const MAX_ELICITATIONS = 1024;
const MAX_ELICITATION_ID_CHARS = 256;
/** Refusals being recorded at once; further ones are only logged. */
const MAX_RECORDING = 256;
const LIST_CHANGES = ['tools', 'prompts', 'resources'] as const;
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

type Requested = Extract<ClientMessage, { readonly kind: 'request' }>;

/** Where a request goes, and as what; or why it goes nowhere. */
type Destination =
  | { readonly kind: 'server'; readonly member: Member; readonly text: string; readonly route?: Partial<Route> }
  | { readonly kind: 'nowhere'; readonly message: string };

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #members: ReadonlyMap<string, Member>;
  readonly #handshake: Handshake;
  readonly #listing: Listing;
  readonly #names = new ShortNames();
  readonly #owners = new Owners();
  readonly #routes = new Routes();
  readonly #asked = new Asked();
  readonly #subscriptions = new Subscriptions();
  /** URL elicitations by id, so that no server ends another's. */
  readonly #elicitations = new Map<string, string>();
  #recording = 0;
  #phase: 'new' | 'greeting' | 'greeted' | 'session' | 'stateless' | 'closed' = 'new';
  /** The client's last `logging/setLevel`, as it came. */
  #level: string | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    const events = {
      onMessage: (member: Member, bytes: Buffer): void => this.#fromServer(member, bytes.subarray(0, bytes.length - 1)),
      onReady: (member: Member): void => this.#joined(member),
      onLate: (_member: Member, method: string): void => this.#changed(LIST_CHANGES.filter((list) => method.startsWith(list))),
      onLost: (member: Member): void => this.#lost(member),
      log: options.log,
    };
    this.#members = new Map(options.servers.map((server) => [server.name, new Member(server, events)]));
    const { version, greetingWaitMs, listWaitMs, log } = options;
    this.#handshake = new Handshake({ members: this.#members, version, ...(greetingWaitMs !== undefined && { waitMs: greetingWaitMs }) });
    this.#listing = new Listing({
      members: this.#members,
      names: this.#names,
      key: randomBytes(32),
      log,
      ...(listWaitMs !== undefined && { waitMs: listWaitMs }),
    });
  }

  fromClient(line: Line): void {
    if (line.kind === 'oversize')
      return this.#refuse(unreadable('too-large', `message has ${line.sizeBytes} bytes, limit ${MAX_MESSAGE_BYTES}`));
    const message = readClientMessage(line.content);
    const text = line.content.toString('utf8');
    switch (message.kind) {
      case 'invalid':
        return this.#refuse(message);
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

  /** Resolves when no request waits for an answer, but for those that listen. */
  async idle(): Promise<void> {
    await this.#routes.idle();
  }

  /** Ends every server, and resolves when all are gone. Whatever they still say goes nowhere. */
  async close(): Promise<void> {
    for (const { idJson } of this.#subscriptions.listens()) this.#answer(idJson, '{"resultType":"complete"}');
    this.#phase = 'closed';
    await Promise.all([...this.#members.values()].map((member) => member.close()));
  }

  #call(text: string, call: CallMessage): void {
    const inner = innerName(call.tool);
    const member = inner === undefined ? undefined : this.#members.get(inner.server);
    if (inner === undefined || member === undefined) {
      const about = { idJson: call.idJson, tool: call.tool, couldBeCall: true, rpcCode: RPC_ERRORS.INVALID_PARAMS };
      return this.#refuse({ kind: 'invalid', code: 'name-invalid', text: this.#unknown('tool'), ...about });
    }
    const token = valueAt(call.params, ['_meta', 'progressToken']);
    const route = { idJson: call.idJson, method: 'tools/call', token, isTask: call.task };
    if (!this.#enter(call.key, route, call.tool)) return;
    const meta = statelessMeta(call.params);
    // In order, as long as nothing has to be waited for.
    if (member.offer !== undefined && !inner.isShort && meta === undefined)
      return this.#forward(call.key, route, { kind: 'server', member, text: renamed(text, ['params', 'name'], inner.name) });
    void this.#later(call.key, route, meta, async () => this.#named('tools/list', member, inner, text, ['params', 'name'], meta));
  }

  #request(content: Buffer, text: string, { key, idJson, method }: Requested): void {
    const flawed = (code: InvalidMessage['code'], about: string): void =>
      this.#refuse({ kind: 'invalid', code, text: about, rpcCode: RPC_ERRORS.INVALID_REQUEST, idJson, couldBeCall: false });
    if (key === undefined) return flawed('id-invalid', 'id of a request is not an integer or a short string');
    const scan = scanJson(content, ROUTING_KEYS);
    const flaw = scan.ok ? scan.flaws.find(({ kind }) => kind !== 'lossy-number' && kind !== 'lone-surrogate') : undefined;
    if (flaw !== undefined) return flawed(flaw.kind, 'a key is repeated, or looks like one that says whom the request is for');
    const params = valueAt(JSON.parse(text), ['params']);
    const route = { idJson, method, token: valueAt(params, ['_meta', 'progressToken']) };
    if (!this.#enter(key, route)) return;
    if (method === 'ping') return this.#finish(key, route, '{}');
    if (method === 'initialize') return void this.#initialize(key, route, text, params);
    const meta = statelessMeta(params);
    if (meta !== undefined) this.#phase = this.#phase === 'new' ? 'stateless' : this.#phase;
    else if (this.#phase !== 'session' && this.#phase !== 'greeted')
      return this.#fail(key, route, RPC_ERRORS.INVALID_REQUEST, 'initialize first');
    if (method === 'server/discover' && meta !== undefined) return void this.#discover(key, route, meta);
    if (isList(method)) return void this.#list(key, route, params, meta);
    if (method === 'logging/setLevel') return void this.#setLevel(key, route, text);
    if (method === 'subscriptions/listen' && meta !== undefined) return void this.#listen(key, route, text, params, meta);
    void this.#later(key, route, meta, async () => this.#destination(method, params, text, meta));
  }

  async #initialize(key: string, route: Route, text: string, params: unknown): Promise<void> {
    const version = valueAt(params, ['protocolVersion']);
    const span = spanAt(text, ['params']);
    if (this.#phase === 'greeting' || this.#phase === 'greeted' || this.#phase === 'session')
      return this.#fail(key, route, RPC_ERRORS.INVALID_REQUEST, 'this session is initialized already');
    if (typeof version !== 'string' || span === undefined)
      return this.#fail(key, route, RPC_ERRORS.INVALID_PARAMS, 'params.protocolVersion is not a string');
    this.#phase = 'greeting';
    const greeting = await this.#handshake.initialize(text.slice(span.start, span.end), version);
    if (this.#isClosed()) return;
    this.#phase = 'greeted';
    this.#greet(key, route, greeting);
  }

  async #discover(key: string, route: Route, meta: JsonObject): Promise<void> {
    this.#greet(key, route, await this.#handshake.discover(meta));
  }

  #greet(key: string, route: Route, greeting: Greeting): void {
    if (greeting.kind === 'greeting') return this.#finish(key, route, greeting.json);
    this.#fail(key, route, greeting.code, greeting.message, greeting.data);
  }

  async #list(key: string, route: Route, params: unknown, meta: JsonObject | undefined): Promise<void> {
    const cursor = valueAt(params, ['cursor']);
    if (cursor !== undefined && typeof cursor !== 'string')
      return this.#fail(key, route, RPC_ERRORS.INVALID_PARAMS, 'params.cursor is not a string');
    if (meta !== undefined) await this.#handshake.stateless(meta);
    const page = await this.#listing.page({
      method: route.method,
      ...(cursor !== undefined && { cursor }),
      ...(meta !== undefined && { meta: helloMeta(meta) }),
    });
    if (page === undefined)
      return this.#fail(key, route, RPC_ERRORS.INVALID_PARAMS, 'params.cursor is none that was given here; list from the start');
    this.#finish(key, route, page);
  }

  async #setLevel(key: string, route: Route, text: string): Promise<void> {
    const span = spanAt(text, ['params']);
    this.#level = span === undefined ? '{}' : text.slice(span.start, span.end);
    await Promise.all([...this.#members.values()].map((member) => this.#tellLevel(member)));
    this.#finish(key, route, '{}');
  }

  async #tellLevel(member: Member): Promise<void> {
    if (this.#level === undefined || member.offer === undefined || !Object.hasOwn(member.offer.capabilities, 'logging')) return;
    const answer = await member.ask('logging/setLevel', this.#level, REQUEST_WAIT_MS);
    if (answer.kind === 'error') this.#options.log(`server ${member.name} refused logging/setLevel: ${answer.message}`);
  }

  async #listen(key: string, route: Route, text: string, params: unknown, meta: JsonObject): Promise<void> {
    const listen = readListen(params, text, route.idJson, (uri) => this.#ownerOf(uri));
    if (listen === undefined)
      return this.#fail(key, route, RPC_ERRORS.INVALID_PARAMS, 'params.notifications is none, or names a resource of no server here');
    await this.#handshake.stateless(meta);
    if (this.#routes.remove(key) !== route) return;
    if (this.#isClosed() || !this.#subscriptions.listen(key, listen))
      return this.#error(route.idJson, RPC_ERRORS.LIMIT, 'too many requests listen');
    this.#toClient(acknowledgement(listen));
    for (const member of this.#members.values()) member.send(listenTo(member.name, listen));
  }

  /** Finds out where a request goes, and sends it there unless the client took it back. */
  async #later(key: string, route: Route, meta: JsonObject | undefined, find: () => Promise<Destination>): Promise<void> {
    if (meta !== undefined) await this.#handshake.stateless(meta);
    const destination = await find();
    if (destination.kind === 'nowhere') return this.#fail(key, route, RPC_ERRORS.INVALID_PARAMS, destination.message);
    const { member } = destination;
    member.open();
    await member.settled(REQUEST_WAIT_MS);
    this.#forward(key, route, destination);
  }

  #forward(key: string, route: Route, { member, text, route: more }: Extract<Destination, { readonly kind: 'server' }>): void {
    if (this.#routes.get(key) !== route || this.#isClosed()) return;
    if (member.offer === undefined) {
      member.open();
      return this.#fail(key, route, RPC_ERRORS.UPSTREAM_GONE, member.trouble);
    }
    if (member.isFull) return this.#fail(key, route, RPC_ERRORS.LIMIT, `server ${member.name} does not read what it is sent; retry later`);
    this.#routes.set(key, { ...route, ...more, server: member.name });
    member.send(text);
  }

  async #destination(method: string, params: unknown, text: string, meta: JsonObject | undefined): Promise<Destination> {
    switch (method) {
      case 'prompts/get':
        return this.#byName(params, text, ['name'], meta);
      case 'completion/complete':
        return valueAt(params, ['ref', 'type']) === 'ref/resource'
          ? this.#byUri(params, text, ['ref', 'uri'])
          : this.#byName(params, text, ['ref', 'name'], meta);
      case 'resources/read':
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        return this.#byUri(params, text, ['uri'], method);
      case 'tasks/get':
      case 'tasks/result':
      case 'tasks/cancel':
      case 'tasks/update':
        return this.#byTask(params, text);
      default:
        return { kind: 'nowhere', message: 'of several servers none can be told to be meant by this method' };
    }
  }

  async #byName(params: unknown, text: string, path: readonly string[], meta: JsonObject | undefined): Promise<Destination> {
    const name = valueAt(params, path);
    const inner = typeof name === 'string' ? innerName(name) : undefined;
    const member = inner === undefined ? undefined : this.#members.get(inner.server);
    if (inner === undefined || member === undefined) return { kind: 'nowhere', message: this.#unknown('prompt') };
    return this.#named('prompts/list', member, inner, text, ['params', ...path], meta);
  }

  async #named(
    list: string,
    member: Member,
    inner: { readonly name: string; readonly isShort: boolean },
    text: string,
    path: readonly string[],
    meta: JsonObject | undefined,
  ): Promise<Destination> {
    if (!inner.isShort) return { kind: 'server', member, text: renamed(text, path, inner.name) };
    const find = (): string | undefined => this.#names.find(list, member.name, inner.name);
    // A client may have had the name from an earlier process.
    if (find() === undefined) await this.#listing.learn(list, member.name, meta === undefined ? undefined : helloMeta(meta));
    const name = find();
    return name === undefined
      ? { kind: 'nowhere', message: `server ${member.name} lists nothing of this name` }
      : { kind: 'server', member, text: renamed(text, path, name) };
  }

  #byUri(params: unknown, text: string, path: readonly string[], method?: string): Destination {
    const outer = valueAt(params, path);
    const owner = typeof outer === 'string' ? this.#ownerOf(outer) : undefined;
    if (typeof outer !== 'string' || owner === undefined) return { kind: 'nowhere', message: this.#unownedUri(outer) };
    const { member, uri } = owner;
    if (method === 'resources/subscribe' && !this.#subscriptions.add(member.name, uri, outer))
      return { kind: 'nowhere', message: 'too many subscriptions' };
    if (method === 'resources/unsubscribe') this.#subscriptions.remove(member.name, uri);
    const isRenamed = outer !== uri;
    const route = isRenamed ? { uri: { outer, inner: uri } } : {};
    return { kind: 'server', member, text: isRenamed ? renamed(text, ['params', ...path], uri) : text, route };
  }

  #byTask(params: unknown, text: string): Destination {
    const outer = valueAt(params, ['taskId']);
    const inner = typeof outer === 'string' ? innerTask(outer) : undefined;
    const member = inner === undefined ? undefined : this.#members.get(inner.server);
    if (inner === undefined || member === undefined) return { kind: 'nowhere', message: this.#unknown('task') };
    return { kind: 'server', member, text: renamed(text, ['params', 'taskId'], inner.taskId) };
  }

  /** Whose resource it is: as the URI says, as a link said, or, of one server with resources, its. */
  #ownerOf(outer: string): { readonly server: string; readonly member: Member; readonly uri: string } | undefined {
    const inner = innerUri(outer);
    const named = inner === undefined ? undefined : this.#members.get(inner.server);
    if (inner !== undefined && named !== undefined) return { server: named.name, member: named, uri: inner.uri };
    const linked = this.#owners.of(outer).flatMap((server) => this.#members.get(server) ?? []);
    const [member, ...others] = linked.length > 0 ? linked : [];
    return member === undefined || others.length > 0 ? undefined : { server: member.name, member, uri: outer };
  }

  #unownedUri(outer: unknown): string {
    const servers = typeof outer === 'string' ? this.#owners.of(outer) : [];
    const which = servers.length > 1 ? `several servers linked to it: ${servers.join(', ')}` : 'it was not listed or linked to';
    return `whose resource this is cannot be told: ${which}; read it as ${outerUri('<server>', '<uri>')}`;
  }

  #unknown(what: 'tool' | 'prompt' | 'task'): string {
    return `no ${what} of a server here: its name is <server>__<name>, and the servers are ${[...this.#members.keys()].join(', ')}`;
  }

  #cancel(text: string, key: string | undefined): void {
    if (key === undefined) return;
    if (this.#subscriptions.get(key) !== undefined) {
      this.#subscriptions.end(key);
      for (const member of this.#members.values()) member.send(text);
      return;
    }
    const server = this.#routes.remove(key)?.server;
    if (server !== undefined) this.#members.get(server)?.send(text);
  }

  /** Notifications and answers of the client. */
  #other(content: Buffer, text: string): void {
    if (text.trim() === '') return;
    const message: unknown = JSON.parse(text);
    if (!isObject(message)) return;
    const method = ownMember(message, 'method');
    if (method === undefined) return this.#answered(content, text, message);
    if (typeof method !== 'string') return;
    switch (method) {
      case 'notifications/initialized':
        if (this.#phase !== 'greeted') return;
        this.#phase = 'session';
        return this.#toAll(text);
      case 'notifications/roots/list_changed':
        return this.#toAll(text);
      case 'notifications/progress': {
        const question = this.#asked.get(valueAt(message, ['params', 'progressToken']));
        const span = spanAt(text, ['params', 'progressToken']);
        if (question?.tokenJson === undefined || span === undefined) return;
        this.#members.get(question.server)?.send(edited(text, [{ ...span, text: question.tokenJson }]));
        return;
      }
      default:
        this.#options.log('dropped a notification of the client: of several servers none can be told to be meant');
    }
  }

  /** An answer goes to the server that asked, and to no other, under the id it asked with. */
  #answered(content: Buffer, text: string, message: JsonObject): void {
    const question = this.#asked.get(ownMember(message, 'id'));
    const scan = scanJson(content);
    if (question === undefined || !scan.ok || scan.id === undefined || scan.flaws.some(({ kind }) => kind === 'duplicate-key'))
      return this.#options.log('dropped an answer of the client: no server asked for it, or it repeats a key');
    this.#asked.remove(question);
    const id = spanAt(text, ['id']);
    const task = valueAt(message, ['result', '_meta', RELATED_TASK, 'taskId']);
    const span = spanAt(text, ['result', '_meta', RELATED_TASK, 'taskId']);
    const inner = typeof task === 'string' ? innerTask(task) : undefined;
    const edits =
      inner !== undefined && span !== undefined && inner.server === question.server
        ? [{ ...span, text: JSON.stringify(inner.taskId) }]
        : [];
    if (id !== undefined) this.#members.get(question.server)?.send(edited(text, [{ ...id, text: question.idJson }, ...edits]));
  }

  #fromServer(member: Member, content: Buffer): void {
    if (this.#isClosed()) return;
    const message = readServerMessage(content);
    const text = content.toString('utf8');
    if (message.kind === 'unclear') return this.#options.log(`server ${member.name}: dropped what could be an answer: ${message.problem}`);
    // Servers of 2025-03-26 may send several messages at once. Each is one to us.
    if (text.trimStart().startsWith('[')) {
      if (scanJson(content).ok)
        for (const { start, end } of elements(text, wholeOf(text))) this.#fromServer(member, Buffer.from(text.slice(start, end)));
      return;
    }
    const [response] = message.kind === 'responses' ? message.responses : [];
    if (message.kind === 'responses' && response !== undefined) return this.#answerOf(member, text, response, message.repeatsKeys);
    const spoken = readSpoken(content);
    if (spoken.kind === 'unclear') return this.#options.log(`server ${member.name}: dropped a message: ${spoken.problem}`);
    if (spoken.kind === 'request') return this.#questionOf(member, text, spoken);
    if (spoken.kind === 'notification') return this.#noticeOf(member, text, spoken.message, spoken.method);
  }

  #answerOf(member: Member, text: string, response: ServerResponse, repeatsKeys: boolean): void {
    if (member.take(response, text, repeatsKeys)) return;
    const { key } = response;
    const route = key === undefined ? undefined : this.#routes.get(key);
    if (key !== undefined && this.#subscriptions.get(key) !== undefined) return;
    if (key === undefined || route === undefined || route.server !== member.name)
      return this.#options.log(`server ${member.name}: dropped an answer to a request it was not sent`);
    this.#routes.remove(key);
    const edits = answerEdits(text, response, route, member.name);
    if (edits.length > 0 && repeatsKeys)
      return this.#error(route.idJson, RPC_ERRORS.RESPONSE_UNCLEAR, `the answer of server ${member.name} repeats a key`);
    this.#owners.learn(member.name, response.result);
    this.#toClient(edits.length === 0 ? text : edited(text, edits));
  }

  #questionOf(member: Member, text: string, { message, method, idJson }: Extract<Spoken, { readonly kind: 'request' }>): void {
    const refuse = (code: number, why: string): void => void member.send(errorAnswer(idJson, code, why).toString('utf8').trimEnd());
    if (method === 'ping') return void member.send(`{"jsonrpc":"2.0","id":${idJson},"result":{}}`);
    if (this.#phase !== 'session' && this.#phase !== 'greeted') return refuse(METHOD_NOT_FOUND, 'nothing can be asked of this client now');
    const token = spanAt(text, ['params', '_meta', 'progressToken']);
    const tokenJson = token === undefined ? undefined : text.slice(token.start, token.end);
    const question = this.#asked.add(member.name, ownMember(message, 'id'), {
      method,
      idJson,
      ...(tokenJson !== undefined && { tokenJson }),
    });
    if (question === 'full') return refuse(RPC_ERRORS.LIMIT, 'too many requests wait for an answer of the client');
    if (question === 'odd') return refuse(RPC_ERRORS.INVALID_REQUEST, 'the id is neither an integer nor a short string');
    if (question === 'in-use') return this.#options.log(`server ${member.name}: dropped a request: its id is in use`);
    const id = spanAt(text, ['id']);
    const outer = JSON.stringify(question.outerId);
    this.#noteElicitation(member.name, message);
    this.#toClient(
      edited(text, [
        ...(id === undefined ? [] : [{ ...id, text: outer }]),
        ...(token === undefined ? [] : [{ ...token, text: outer }]),
        ...questionEdits(text, message, member.name),
      ]),
    );
  }

  #noticeOf(member: Member, text: string, message: JsonObject, method: string): void {
    if (method === 'notifications/subscriptions/acknowledged') return;
    if (method.endsWith('/list_changed')) member.forget();
    if (method === 'notifications/progress' && !this.#routes.isToken(valueAt(message, ['params', 'progressToken']), member.name))
      return this.#options.log(`server ${member.name}: dropped progress of a request it does not have`);
    if (method === 'notifications/elicitation/complete' && !this.#isOwnElicitation(member.name, message))
      return this.#options.log(`server ${member.name}: dropped the end of an elicitation of another server`);
    const listened = subscriptionIdOf(message);
    if (listened !== undefined && this.#subscriptions.get(idKey(listened) ?? '') === undefined) return;
    const edits = [...notificationEdits(text, message, member.name, (uri) => this.#subscriptions.outerUri(member.name, uri))];
    if (method === 'notifications/cancelled') {
      const question = this.#asked.of(member.name, valueAt(message, ['params', 'requestId']));
      const span = spanAt(text, ['params', 'requestId']);
      if (question === undefined || span === undefined) return;
      this.#asked.remove(question);
      edits.push({ ...span, text: JSON.stringify(question.outerId) });
    }
    this.#toClient(edited(text, edits));
  }

  #noteElicitation(server: string, message: JsonObject): void {
    const id = valueAt(message, ['params', 'elicitationId']);
    if (typeof id !== 'string' || id.length > MAX_ELICITATION_ID_CHARS || this.#elicitations.has(id)) return;
    const [oldest] = this.#elicitations.keys();
    if (this.#elicitations.size >= MAX_ELICITATIONS && oldest !== undefined) this.#elicitations.delete(oldest);
    this.#elicitations.set(id, server);
  }

  #isOwnElicitation(server: string, message: JsonObject): boolean {
    const id = valueAt(message, ['params', 'elicitationId']);
    return typeof id === 'string' && this.#elicitations.get(id) === server;
  }

  /** A server is up: it learns what the client said before it came. */
  #joined(member: Member): void {
    if (this.#phase === 'session') {
      member.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
      void this.#tellLevel(member);
      for (const uri of this.#subscriptions.of(member.name))
        void member.ask('resources/subscribe', JSON.stringify({ uri }), REQUEST_WAIT_MS);
    }
    for (const listen of this.#subscriptions.listens()) member.send(listenTo(member.name, listen));
    this.#changed(LIST_CHANGES);
  }

  /** What it asked is over for the client, and what it had is gone from the lists. */
  #lost(member: Member): void {
    for (const { outerId } of this.#asked.removeAll(member.name))
      this.#toClient(
        `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${JSON.stringify(outerId)},"reason":"the server ended"}}`,
      );
    this.#changed(LIST_CHANGES);
  }

  #changed(lists: readonly string[]): void {
    for (const list of lists) {
      const method = `notifications/${list}/list_changed`;
      if (this.#phase === 'session') this.#toClient(`{"jsonrpc":"2.0","method":"${method}"}`);
      for (const listen of this.#subscriptions.listens()) {
        const notice = changeNotice(method, listen);
        if (notice !== undefined) this.#toClient(notice);
      }
    }
  }

  #toAll(text: string): void {
    for (const member of this.#members.values()) member.send(text);
  }

  /** Enters a request; otherwise answers it and returns false. */
  #enter(key: string, route: Route, tool?: string): boolean {
    const added = this.#subscriptions.get(key) === undefined ? this.#routes.add(key, route) : 'in-use';
    if (added === 'added') return true;
    const call = { couldBeCall: tool !== undefined, ...(tool !== undefined && { tool }) };
    if (added === 'full') {
      const text = 'too many requests are waiting for an answer; retry later';
      this.#refuse({ kind: 'invalid', code: 'too-many-requests', text, rpcCode: RPC_ERRORS.LIMIT, idJson: route.idJson, ...call });
    } else {
      const text = 'the id is in use by a request without an answer';
      this.#refuse({ kind: 'invalid', code: 'id-in-use', text, rpcCode: RPC_ERRORS.INVALID_REQUEST, idJson: 'null', ...call });
    }
    return false;
  }

  /** Answers a request that is still open. */
  #finish(key: string, route: Route, json: string): void {
    if (this.#routes.get(key) !== route) return;
    this.#routes.remove(key);
    this.#answer(route.idJson, json);
  }

  #fail(key: string, route: Route, code: number, message: string, data?: JsonObject): void {
    if (this.#routes.get(key) !== route) return;
    this.#routes.remove(key);
    this.#error(route.idJson, code, message, data);
  }

  #refuse(message: InvalidMessage): void {
    this.#options.log(`message refused: ${message.text} [${message.code}]`);
    const answer = invalidAnswer(message);
    if (answer !== undefined) this.#options.toClient(answer);
    if (!message.couldBeCall || this.#recording >= MAX_RECORDING) return;
    const inner = message.tool === undefined ? undefined : innerName(message.tool);
    const isOurs = inner !== undefined && this.#members.has(inner.server);
    const tool = isOurs ? { server: inner.server, name: inner.name } : { name: message.tool ?? UNREADABLE_TOOL };
    this.#recording += 1;
    void this.#options.recordInvalid(tool, `${message.text} [${message.code}]`).finally(() => {
      this.#recording -= 1;
    });
  }

  #answer(idJson: string, json: string): void {
    this.#toClient(`{"jsonrpc":"2.0","id":${idJson},"result":${json}}`);
  }

  #error(idJson: string, code: number, message: string, data?: JsonObject): void {
    this.#toClient(`{"jsonrpc":"2.0","id":${idJson},"error":${JSON.stringify({ code, message, ...(data !== undefined && { data }) })}}`);
  }

  #toClient(text: string): void {
    if (!this.#isClosed()) this.#options.toClient(lineOf(text).bytes);
  }

  #isClosed(): boolean {
    return this.#phase === 'closed';
  }
}

function renamed(text: string, path: readonly string[], name: string): string {
  const span = spanAt(text, path);
  return span === undefined ? text : edited(text, [{ ...span, text: JSON.stringify(name) }]);
}

/** `_meta` of a request of the protocol without sessions. */
function statelessMeta(params: unknown): JsonObject | undefined {
  const meta = valueAt(params, ['_meta']);
  return isObject(meta) && statelessVersion(params) !== undefined ? meta : undefined;
}
