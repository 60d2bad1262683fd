/**
 * The stateless protocol (2026-07-28) in front of a server over stdio: one process answers the requests of everybody. What one client
 * sends may not be seen, answered or cancelled by another:
 *
 * - on the pipe every request has an id of ours, and a progress token of ours if it has one; clients choose neither;
 * - a message of the server goes to the request it names, and to nobody when it names none;
 * - only a client that hangs up cancels, and only what it asked; notifications of clients do not reach the process;
 * - a task is for whoever made it: the process cannot tell its clients apart.
 */
import { errorAnswer } from '../answer.ts';
import { Interposer, type InterposerOptions } from '../interposer.ts';
import { excerptId, isObject, member, RPC_ERRORS } from '../message.ts';
import { overlong, tooLong } from '../refusals.ts';
import { pump } from '../stdio.ts';
import type { Target } from '../target.ts';
import { tasksNamedIn } from '../task-answers.ts';
import { type StartedServer, Upstream, type UpstreamOptions } from '../upstream.ts';
import { type Line, MAX_MESSAGE_BYTES, type MessageLine, type OversizeLine } from '../wire.ts';
import type { HttpExchange } from './exchange.ts';
import type { MessageHeaders } from './message-headers.ts';
import { type Outgoing, parse } from './outgoing.ts';
import { onThePipe, ownerOf, withClientId, withClientNames } from './pipe-ids.ts';
import { PostLane } from './post-lane.ts';
import { sessionKey } from './sessions.ts';
import { statelessStatus } from './stateless-status.ts';
import { TaskOwners } from './task-owners.ts';

/** Requests of all clients without an answer. */
export const MAX_SHARED_REQUESTS = 4_096;
/** How long the answer to a cancelled request may still come. */
const CANCELLED_MS = 10_000;
/** A process that ended within this time of its start is not started again at once: that long, doubled each time. */
const FIRST_BACK_OFF_MS = 500;
const MOST_BACK_OFF_MS = 30_000;
const STEADY_MS = 10_000;
const MAX_PIPE_BYTES: number = 64 * 1024 * 1024;

export interface SharedProcessOptions extends UpstreamOptions, Pick<InterposerOptions, 'onInvalid' | 'answerAt' | 'cancelGraceMs'> {
  readonly target: Target;
  readonly headers: MessageHeaders;
  readonly stderr: NodeJS.WritableStream;
  readonly onReady?: (upstream: StartedServer) => void;
}

type Request = Extract<Outgoing, { readonly kind: 'request' }>;

interface Route {
  readonly request: Request;
  /** Who asked. */
  readonly owner: string;
  readonly interposer: Interposer;
  readonly lane: PostLane;
  /** As the client gave it. */
  token: string | number | undefined;
  isSent: boolean;
  isOver: boolean;
}

export class SharedProcess {
  readonly #options: SharedProcessOptions;
  readonly #routes = new Map<string, Route>();
  readonly #endings = new Set<Promise<void>>();
  readonly #tasks = new TaskOwners();
  #upstream: Upstream | undefined;
  #count = 0;
  #backOffMs = 0;
  #notBefore = 0;
  #isClosing = false;

  constructor(options: SharedProcessOptions) {
    this.#options = options;
  }

  post(exchange: HttpExchange, line: Line, request: Request): void {
    this.#count += 1;
    const id = `countersign-${this.#count}`;
    const { onInvalid, answerAt, cancelGraceMs, target } = this.#options;
    const lane = new PostLane({
      exchange,
      isRequest: true,
      statusOf: (answer) => statelessStatus(request, answer),
      toServer: (bytes) => this.#send(id, bytes),
      onOver: () => this.#over(id),
      onGone: () => this.#gone(id),
    });
    const owner = sessionKey('', exchange.request);
    const interposer = new Interposer({
      target,
      lane,
      owner,
      ...(onInvalid !== undefined && { onInvalid }),
      ...(answerAt !== undefined && { answerAt }),
      ...(cancelGraceMs !== undefined && { cancelGraceMs }),
    });
    const refuse = (text: string, code: number = RPC_ERRORS.LIMIT): void =>
      lane.toClient(errorAnswer(request.idJson, code, text), 'answer');
    const notTheirs = this.#tasks.objectionTo(request, owner);
    if (notTheirs !== undefined) return refuse(notTheirs, RPC_ERRORS.CALL_REFUSED);
    if (this.#routes.size >= MAX_SHARED_REQUESTS) return refuse('too many requests are waiting for an answer; retry later');
    if ((this.#upstream?.stdin.writableLength ?? 0) > MAX_PIPE_BYTES) return refuse('the server does not read; retry later');
    this.#routes.set(id, { request, owner, interposer, lane, token: undefined, isSent: false, isOver: false });
    interposer.fromClient(line);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#upstream?.stdin.end();
    this.#upstream?.terminate();
    await Promise.all(this.#endings);
  }

  kill(): void {
    this.#upstream?.kill();
  }

  #send(id: string, bytes: Buffer): void {
    const route = this.#routes.get(id);
    if (route === undefined) return;
    const named = onThePipe(bytes, id);
    const upstream = named === undefined ? undefined : this.#running();
    if (named === undefined || upstream === undefined) {
      const text = named === undefined ? 'a key is repeated in the request' : 'the server ended right after its start; retry later';
      return this.#answer(
        route,
        errorAnswer(route.request.idJson, named === undefined ? RPC_ERRORS.INVALID_REQUEST : RPC_ERRORS.UPSTREAM_GONE, text),
      );
    }
    route.token = named.token;
    route.isSent = true;
    upstream.stdin.write(named.bytes);
  }

  /** Started at the first request, and again after it ended. */
  #running(): Upstream | undefined {
    if (this.#upstream !== undefined) return this.#upstream;
    const startedAt = Date.now();
    if (this.#isClosing || startedAt < this.#notBefore) return undefined;
    const upstream = new Upstream(this.#options);
    this.#upstream = upstream;
    if (upstream.pid !== undefined) this.#options.onReady?.({ pid: upstream.pid, ended: upstream.ended });
    upstream.stderr.pipe(this.#options.stderr, { end: false });
    const output = pump(
      upstream.stdout,
      [],
      (line) => this.#fromServer(line),
      (head) => this.#overlong(head),
    );
    const ending = this.#ended(upstream, output, startedAt);
    this.#endings.add(ending);
    void ending.finally(() => this.#endings.delete(ending));
    return upstream;
  }

  async #ended(upstream: Upstream, output: Promise<void>, startedAt: number): Promise<void> {
    const { code, reason } = await upstream.ended;
    await output;
    this.#upstream = undefined;
    this.#tasks.clear();
    if (code !== 0 && !this.#isClosing) this.#options.target.log(`server ${this.#options.target.server}: ${reason}`);
    const isSteady = Date.now() - startedAt > STEADY_MS;
    this.#backOffMs = isSteady ? 0 : Math.min(Math.max(FIRST_BACK_OFF_MS, 2 * this.#backOffMs), MOST_BACK_OFF_MS);
    this.#notBefore = Date.now() + this.#backOffMs;
    const sent = [...this.#routes.entries()].filter(([, { isSent }]) => isSent);
    // The first also settles the tasks of the process, which all of them share.
    await Promise.all(sent.map(([, { interposer }], at) => (at === 0 ? interposer.serverEnded(reason) : interposer.ended(reason))));
    for (const [id] of sent) this.#routes.delete(id);
  }

  #fromServer(line: Line): void {
    if (line.kind === 'oversize') return this.#tooLarge(line);
    const message = parse(line.content);
    if (!isObject(message)) return this.#drop('a line that is no message');
    if (Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error')) return this.#toRequest(member(message, 'id'), line);
    const route = this.#routes.get(ownerOf(message) ?? '');
    const isRequest = Object.hasOwn(message, 'id');
    // There are no requests of the server in this protocol, and what it says of nobody's request is for nobody.
    if (route === undefined || isRequest) return this.#drop(isRequest ? 'a request of the server' : 'a message that belongs to no request');
    const given = { id: JSON.parse(route.request.idJson) as unknown, token: route.token };
    const bytes = withClientNames(line.content, message, given);
    if (bytes === undefined) return this.#drop('a message with a repeated key');
    route.interposer.fromServer(lineOfBytes(bytes), route.lane);
  }

  #toRequest(id: unknown, { content }: MessageLine): void {
    const route = typeof id === 'string' ? this.#routes.get(id) : undefined;
    const bytes = route === undefined ? undefined : withClientId(content, route.request.idJson);
    if (route === undefined || bytes === undefined) return this.#drop('an answer to no open request');
    if (route.request.method === 'tools/list') this.#options.headers.learn(parse(bytes));
    if (route.request.method === 'tools/call') this.#noteTasks(bytes, route);
    route.interposer.fromServer(lineOfBytes(bytes));
    if (route.isOver) this.#routes.delete(id as string);
  }

  #noteTasks(bytes: Buffer, { owner }: Route): void {
    const message = parse(bytes);
    for (const taskId of isObject(message) ? tasksNamedIn(member(message, 'result')) : []) this.#tasks.made(taskId, owner);
  }

  #tooLarge({ sizeBytes, head, tail }: OversizeLine): void {
    const route = this.#routeOf(excerptId(head, tail));
    if (route === undefined) return this.#drop(`a message of ${sizeBytes} bytes, limit ${MAX_MESSAGE_BYTES}`);
    this.#answer(route, errorAnswer(route.request.idJson, RPC_ERRORS.LIMIT, tooLong(sizeBytes)));
  }

  #overlong(head: Buffer): boolean {
    this.#options.target.log(overlong('server'));
    const route = this.#routeOf(excerptId(head, Buffer.alloc(0)));
    if (route !== undefined) this.#answer(route, errorAnswer(route.request.idJson, RPC_ERRORS.LIMIT, tooLong()));
    return route !== undefined;
  }

  #routeOf(idJson: string | undefined): Route | undefined {
    const id: unknown = idJson === undefined ? undefined : JSON.parse(idJson);
    return typeof id === 'string' ? this.#routes.get(id) : undefined;
  }

  /** As if the server had said so: what was decided gets its outcome. */
  #answer(route: Route, bytes: Buffer): void {
    route.interposer.fromServer(lineOfBytes(bytes));
  }

  #over(id: string): void {
    const route = this.#routes.get(id);
    if (route === undefined) return;
    route.isOver = true;
    if (!route.isSent) this.#routes.delete(id);
    else setTimeout(() => this.#routes.delete(id), CANCELLED_MS).unref();
  }

  /** Hanging up is how a client of this protocol cancels. */
  #gone(id: string): void {
    const route = this.#routes.get(id);
    if (route === undefined || route.isOver) return;
    route.interposer.clientGone(route.lane);
    if (route.isSent)
      this.#upstream?.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } })}\n`);
    this.#over(id);
  }

  #drop(what: string): void {
    this.#options.target.log(`dropped ${what}`);
  }
}

function lineOfBytes(bytes: Buffer): MessageLine {
  return { kind: 'line', bytes, content: bytes.subarray(0, -1) };
}
