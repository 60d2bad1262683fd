/**
 * A server over HTTP in place of a process: what a client writes to `stdin` is POSTed, what the server says comes out of
 * `stdout`, one line a message. Streamable HTTP of both eras; a server that only knows HTTP+SSE (2024-11-05) is found out and
 * spoken to in its own way.
 *
 * Order: nothing goes before the answer to `initialize`, and a notification is with the server before what follows it.
 */
import { type Readable, Writable } from 'node:stream';
import { errorAnswer } from '../answer.ts';
import { excerptId, RPC_ERRORS } from '../message.ts';
import { overlong, tooLong } from '../refusals.ts';
import type { ServerEnd, ServerPeer } from '../server-peer.ts';
import { MAX_MESSAGE_BYTES } from '../wire.ts';
import { BodyBudget, readBody } from './body.ts';
import { type EventHandlers, readEventStream, type StreamPosition, typeOf } from './event-messages.ts';
import { LegacyStream } from './legacy-stream.ts';
import { MessageOutput } from './message-output.ts';
import { bodyOf, isAnswerTo, type Outgoing, parse, readOutgoing } from './outgoing.ts';
import { readErrorBody, statusText } from './remote-answer.ts';
import { RemoteError, RemoteServer, type RemoteServerOptions, shownUrl } from './remote-request.ts';
import { RemoteSession } from './remote-session.ts';
import { readResumed } from './resumed-stream.ts';

/** How a server is spoken to; `auto`: over Streamable HTTP, or as it turns out at `initialize`. */
export type RemoteTransport = 'auto' | 'http' | 'sse';

export interface RemoteUpstreamOptions extends RemoteServerOptions {
  readonly transport?: RemoteTransport;
  /** Takes one line for people. */
  readonly log: (text: string) => void;
  /** How long what follows a notification waits for the server to take it; default `NOTIFICATION_WAIT_MS`. */
  readonly notificationWaitMs?: number;
  /** First and longest wait before a broken stream is taken up again, when the server says nothing. */
  readonly resumeMs?: readonly [first: number, most: number];
}

export const NOTIFICATION_WAIT_MS = 10_000;
/** For the DELETE that ends a session. */
export const END_WAIT_MS = 1_500;
/** Of a cancelled request: how long its answer may still come. */
const CANCELLED_MS = 10_000;
/** Bytes the client may be ahead. */
const INPUT_BYTES: number = 1024 * 1024;

type Request = Extract<Outgoing, { readonly kind: 'request' }>;
type Response = Awaited<ReturnType<RemoteServer['ask']>>;

interface Exchange {
  readonly request: Request;
  readonly abort: AbortController;
  isDone: boolean;
  isCancelled: boolean;
}

export class RemoteUpstream implements ServerPeer {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly ended: Promise<ServerEnd>;
  readonly pid = undefined;
  readonly #options: RemoteUpstreamOptions;
  readonly #server: RemoteServer;
  readonly #session = new RemoteSession();
  readonly #out: MessageOutput;
  readonly #exchanges = new Set<Exchange>();
  readonly #sending = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #budget = new BodyBudget();
  #end: (end: ServerEnd) => void = () => {};
  #isClosing = false;
  #inputEnded = false;
  #legacy: LegacyStream | undefined;
  #listening: AbortController | undefined;

  /** @throws {CountersignError} `OPTIONS_INVALID` */
  constructor(options: RemoteUpstreamOptions) {
    this.#options = options;
    this.#server = new RemoteServer(options);
    this.#out = new MessageOutput(options.log);
    this.stdout = this.#out.stream;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.stdin = new Writable({
      highWaterMark: INPUT_BYTES,
      write: (line: Buffer, _encoding, done) => void this.#take(bodyOf(line)).finally(() => done()),
      final: (done) => {
        this.#inputEnded = true;
        this.#endIfIdle();
        done();
      },
    });
    this.stdin.on('error', () => {});
  }

  /** A server far away is not interrupted; what is asked of it is given up. */
  signal(): void {
    this.terminate();
  }

  /** Ends the session and everything that waits. */
  terminate(): void {
    void this.#close({ code: 0, reason: 'the connection to the server was closed' });
  }

  kill(): void {
    this.#closing.abort();
    this.#server.close();
  }

  /** One message of the client. Never rejects; resolves when the next may go. */
  async #take(body: Buffer): Promise<void> {
    const message = readOutgoing(body);
    if (message === undefined || this.#isClosing) return;
    if (message.kind === 'other') return this.#notify(message, body);
    const exchange: Exchange = { request: message, abort: new AbortController(), isDone: false, isCancelled: false };
    this.#exchanges.add(exchange);
    const sent = Promise.withResolvers<void>();
    this.#sending.add(sent.promise);
    const answered = this.#exchange(exchange, body, () => sent.resolve()).finally(() => {
      sent.resolve();
      this.#exchanges.delete(exchange);
      this.#endIfIdle();
    });
    void sent.promise.then(() => this.#sending.delete(sent.promise));
    if (message.method === 'initialize') await answered;
  }

  /** A notification, or an answer to a request of the server. */
  async #notify(message: Exclude<Outgoing, Request>, body: Buffer): Promise<void> {
    const { cancels } = message;
    const cancelled = cancels === undefined ? undefined : [...this.#exchanges].find(({ request }) => request.key === cancels);
    if (cancelled !== undefined) {
      this.#cancel(cancelled);
      // The stateless protocol has no other way to say so than to hang up.
      if (cancelled.request.version !== undefined) return;
    }
    // Whatever it is about has left before it.
    await Promise.all(this.#sending);
    const late = AbortSignal.timeout(this.#options.notificationWaitMs ?? NOTIFICATION_WAIT_MS);
    try {
      const { status, text } = await this.#post(message, body, AbortSignal.any([late, this.#closing.signal]));
      if (status >= 300) return this.#options.log(`a notification was not taken: ${text}`);
      if (message.method === 'notifications/initialized' && this.#legacy === undefined) this.#listen();
    } catch (error) {
      if (!this.#isClosing) this.#options.log(`a notification was not taken: ${errorText(error)}`);
    }
  }

  async #post(message: Outgoing, body: Buffer, signal: AbortSignal): Promise<{ readonly status: number; readonly text: string }> {
    const response = await (this.#legacy === undefined
      ? this.#server.ask({ method: 'POST', headers: this.#session.headersOf(message), body, signal })
      : this.#legacy.post(body, signal));
    const status = response.statusCode ?? 0;
    const said = status >= 300 ? await readErrorBody(response) : undefined;
    response.destroy();
    return { status, text: this.#statusText(status, said) };
  }

  async #exchange(exchange: Exchange, body: Buffer, onSent: () => void): Promise<void> {
    const { request, abort } = exchange;
    const signal = AbortSignal.any([abort.signal, this.#closing.signal]);
    try {
      if (request.method === 'initialize') {
        // A handshake begins a session of its own.
        this.#listening?.abort();
        this.#session.forget();
      }
      if (this.#options.transport === 'sse' && this.#legacy === undefined) await this.#openLegacy();
      if (this.#legacy !== undefined) return await this.#askLegacy(exchange, body, signal, onSent);
      const response = await this.#server.ask({ method: 'POST', headers: this.#session.headersOf(request), body, signal, onSent });
      const status = response.statusCode ?? 0;
      if (status >= 300 || status < 200) {
        const said = await readErrorBody(response);
        response.destroy();
        return await this.#refused(exchange, body, status, said, signal);
      }
      const sessionId = response.headers['mcp-session-id'];
      if (request.method === 'initialize' && typeof sessionId === 'string') this.#session.begin(sessionId);
      const type = typeOf(response);
      if (type === 'text/event-stream') return await this.#readStream(exchange, response);
      await this.#readAnswer(exchange, response, type);
    } catch (error) {
      await this.#fail(exchange, errorText(error));
    }
  }

  /** The answer to a request as one body. What waits for the client to read it counts as being read. */
  async #readAnswer(exchange: Exchange, response: Response, type: string): Promise<void> {
    const read = await readBody(response, this.#budget, { overLimit: 'cut', keeps: true });
    if (read === 'busy' || read === 'gone' || read.kind === 'oversize') {
      response.destroy();
      const problem =
        read === 'busy' ? 'too many answers are being read' : `the answer broke off, or has more than ${MAX_MESSAGE_BYTES} bytes`;
      return this.#fail(exchange, `${problem}; the server may have done what was asked`);
    }
    try {
      if (type !== 'application/json')
        return await this.#fail(exchange, `the server answered ${response.statusCode ?? 0} with no message of MCP`);
      await this.#deliver(exchange, read.bytes);
      if (!exchange.isDone) await this.#fail(exchange, 'the server answered with no answer to this request');
    } finally {
      this.#budget.give(read.bytes.length);
    }
  }

  async #refused(exchange: Exchange, body: Buffer, status: number, said: Buffer | undefined, signal: AbortSignal): Promise<void> {
    const { request } = exchange;
    // The server's own answer to this request, with a status beside it.
    if (said !== undefined && request.key !== undefined && isAnswerTo(parse(said), request.key)) return this.#deliver(exchange, said);
    const mayBeLegacy = request.method === 'initialize' && (this.#options.transport ?? 'auto') === 'auto';
    if (mayBeLegacy && (status === 400 || status === 404 || status === 405)) {
      try {
        await this.#openLegacy();
        this.#options.log('the server speaks HTTP+SSE (2024-11-05)');
        return await this.#askLegacy(exchange, body, signal, () => {});
      } catch {
        // It does not speak that either: what it first said stands.
      }
    }
    return this.#fail(exchange, this.#statusText(status, said));
  }

  #statusText(status: number, said: Buffer | undefined): string {
    return statusText(status, said, this.#session.isOpen, (text) => this.#server.withoutSecrets(text));
  }

  async #askLegacy(exchange: Exchange, body: Buffer, signal: AbortSignal, onSent: () => void): Promise<void> {
    const { status, text } = await this.#post(exchange.request, body, signal);
    onSent();
    // Its answer comes on the stream, to whoever waits for it there.
    if (status >= 300) await this.#fail(exchange, text);
  }

  async #openLegacy(): Promise<void> {
    const { log } = this.#options;
    this.#legacy = await LegacyStream.open(this.#server, {
      log,
      signal: this.#closing.signal,
      onMessage: (data) => this.#out.hand(data),
      onOverlong: (head) => {
        log(overlong('server'));
        return this.#tooLong(excerptId(head, NOTHING));
      },
      onOversize: ({ sizeBytes, head, tail }) => void this.#tooLong(excerptId(head, tail), sizeBytes),
    });
    void this.#legacy.ended.then(() => this.#close({ code: 1, reason: 'the server closed its stream of events' }));
  }

  /** Of an answer on the one stream of all: whoever waits for it is told. */
  #tooLong(idJson: string | undefined, sizeBytes?: number): boolean {
    if (idJson !== undefined) void this.#out.write(errorAnswer(idJson, RPC_ERRORS.LIMIT, tooLong(sizeBytes)));
    return idJson !== undefined;
  }

  /** The answer to a request as a stream; taken up again where the server numbers its events. */
  async #readStream(exchange: Exchange, response: Response): Promise<void> {
    const { request, abort } = exchange;
    const position: StreamPosition = {};
    const handlers = {
      onMessage: (data: Buffer) => this.#deliver(exchange, data),
      onOverlong: (head: Buffer) => {
        this.#options.log(overlong('server'));
        const isOwn = request.idJson !== undefined && excerptId(head, NOTHING) === request.idJson;
        if (isOwn) void this.#fail(exchange, tooLong(), RPC_ERRORS.LIMIT);
        return isOwn;
      },
      onDropped: (problem: string, excerpt?: { readonly head: Buffer; readonly tail: Buffer }) => {
        this.#options.log(`dropped ${problem}`);
        if (excerpt !== undefined && excerptId(excerpt.head, excerpt.tail) === request.idJson)
          void this.#fail(exchange, `the answer is ${problem}; the server did handle the request`, RPC_ERRORS.LIMIT);
      },
    };
    await readEventStream(response, position, handlers);
    response.destroy();
    const canResume = (): boolean => !exchange.isDone && !exchange.isCancelled && !this.#isClosing;
    // The stateless protocol has no resumption.
    if (canResume() && position.lastId !== undefined && request.version === undefined)
      await this.#resume(AbortSignal.any([abort.signal, this.#closing.signal]), handlers, canResume, position);
    await this.#fail(exchange, 'the server closed its stream before it answered; it may have done what was asked');
  }

  /** Server messages that belong to no request. */
  #listen(): void {
    this.#listening?.abort();
    const listening = new AbortController();
    this.#listening = listening;
    const handlers = {
      onMessage: (data: Buffer) => this.#out.hand(data),
      onOverlong: () => {
        this.#options.log(overlong('server'));
        return false;
      },
      onDropped: (problem: string) => this.#options.log(`dropped ${problem}`),
    };
    const signal = AbortSignal.any([listening.signal, this.#closing.signal]);
    void this.#resume(signal, handlers, () => !signal.aborted && !this.#isClosing);
  }

  async #resume(signal: AbortSignal, handlers: EventHandlers, goesOn: () => boolean, position?: StreamPosition): Promise<void> {
    const { log, resumeMs } = this.#options;
    const open = (headers: Readonly<Record<string, string>>): Promise<Response> =>
      this.#server.ask({ method: 'GET', headers: { ...headers, ...this.#session.headers() }, signal });
    const onError = (error: unknown): void => log(`a stream of events could not be opened: ${errorText(error)}`);
    await readResumed({ open, handlers, signal, goesOn, onError, ...(resumeMs !== undefined && { resumeMs }) }, position);
  }

  /** A message that came in answer to a request: most often that is its answer. */
  async #deliver(exchange: Exchange, data: Buffer): Promise<void> {
    const { request } = exchange;
    const message = parse(data);
    if (!exchange.isDone && isAnswerTo(message, request.key)) {
      exchange.isDone = true;
      this.#session.learn(request, message);
    }
    await this.#out.hand(data, message);
  }

  /** Answers a request in the server's place, unless it has its answer or nobody waits. */
  async #fail(exchange: Exchange, text: string, code: number = RPC_ERRORS.UPSTREAM_GONE): Promise<void> {
    if (exchange.isDone || exchange.isCancelled || this.#isClosing) return;
    exchange.isDone = true;
    this.#options.log(`${shownUrl(this.#server.url)}: ${text}`);
    await this.#out.write(errorAnswer(exchange.request.idJson, code, text));
  }

  #cancel(exchange: Exchange): void {
    exchange.isCancelled = true;
    if (exchange.request.version !== undefined) return exchange.abort.abort();
    setTimeout(() => exchange.abort.abort(), CANCELLED_MS).unref();
  }

  #endIfIdle(): void {
    if (this.#inputEnded && this.#exchanges.size === 0 && this.#legacy === undefined)
      void this.#close({ code: 0, reason: 'the connection to the server was closed' });
  }

  async #close(end: ServerEnd): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#listening?.abort();
    if (this.#session.isOpen) await this.#endSession();
    this.#closing.abort();
    this.#legacy?.close();
    this.#server.close();
    this.#out.end();
    this.#end(end);
  }

  async #endSession(): Promise<void> {
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(END_WAIT_MS), this.#closing.signal]);
      (await this.#server.ask({ method: 'DELETE', headers: this.#session.headers(), signal })).destroy();
    } catch {
      // It forgets the session by itself.
    }
  }
}

const NOTHING = Buffer.alloc(0);

function errorText(error: unknown): string {
  return error instanceof RemoteError ? error.message : 'the server could not be asked';
}
