/**
 * One POST and what comes back: decided by the interposer, sent on as it is, and answered with what the server sends, or in its place.
 */
import type { IncomingMessage } from 'node:http';
import type { ClientMessage, InvalidMessage } from '../client-message.ts';
import type { Interposer } from '../interposer.ts';
import type { Lane } from '../lane.ts';
import { isObject, member, RPC_ERRORS } from '../message.ts';
import { tooLong } from '../refusals.ts';
import type { Line } from '../wire.ts';
import { contradiction } from './agreement.ts';
import { readBody } from './body.ts';
import { answerKind, ClientSide, HEAD_WAIT_MS } from './client-side.ts';
import { EventRelay } from './event-relay.ts';
import type { HttpExchange } from './exchange.ts';
import { headerOf, type RawHeaders } from './headers.ts';
import { PARAM_PREFIX } from './param-headers.ts';
import type { Relayed } from './relayed.ts';
import type { Session } from './sessions.ts';
import type { Asked } from './upstream-http.ts';

/** How long the answer to a call may be fetched after its stream broke off; then it is recorded as unknown. */
export const POST_RESUME_WAIT_MS = 300_000;
/** JSON-RPC answers that say nothing went wrong with HTTP itself. */
const OK = 200;
const BAD_REQUEST = 400;
const TOO_LARGE = 413;
const BAD_GATEWAY = 502;

export interface PostOptions {
  readonly relayed: Relayed;
  readonly exchange: HttpExchange;
  readonly session?: Session;
  /** The server answered an `initialize` with a session. */
  readonly onSession: (id: string, interposer: Interposer) => void;
  /** The server took, or no longer knows, the session. */
  readonly onAnswered: (status: number) => void;
  readonly onOver: () => void;
}

export class Post implements Lane {
  readonly #options: PostOptions;
  readonly #client: ClientSide;
  readonly #headers: RawHeaders;
  #interposer!: Interposer;
  #asked: Asked | undefined;
  #events: EventRelay | undefined;
  #body: Line | undefined;
  #isList = false;
  #isGone = false;
  #isAsked = false;
  #isOver = false;
  /** What the server said of the session, if it refused. */
  #upstreamStatus: number | undefined;
  /** Of answers of ours. */
  #status = OK;

  constructor(options: PostOptions) {
    this.#options = options;
    this.#client = new ClientSide(options.exchange);
    this.#headers = options.exchange.request.rawHeaders;
    options.exchange.response.once('close', () => this.#closed());
  }

  /** @param interposer - of the session, or of this exchange alone. */
  start(body: Line, interposer: Interposer): void {
    this.#interposer = interposer;
    this.#body = body;
    if (body.kind === 'oversize') this.#status = TOO_LARGE;
    interposer.fromClient(body, this);
  }

  objectionTo(message: ClientMessage): InvalidMessage | undefined {
    this.#isList = message.kind === 'request' && message.method === 'tools/list';
    const objection = contradiction(message, (name) => headerOf(this.#headers, name), this.#options.relayed.params);
    if (objection !== undefined) this.#status = BAD_REQUEST;
    return objection;
  }

  toServer(bytes: Buffer): void {
    const { relayed, exchange } = this.#options;
    if (this.#isGone) return this.#interposer.failed(this, 'the client left before the call was sent', false);
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#asked = relayed.upstream.ask(
      { method: 'POST', target: relayed.targetOf(exchange), headers: this.#headersFor(bytes), body: bytes },
      { answered: (answer) => this.#answered(answer), failed: (reason) => this.#fail(reason) },
    );
  }

  toClient(bytes: Buffer, kind: 'answer' | 'message'): void {
    if (kind === 'message') return this.#client.message(bytes);
    // What could not be read is answered under no id.
    const isNameless = this.#status === OK && bytes.subarray(0, NAMELESS.length).equals(NAMELESS);
    this.#client.answer(bytes, isNameless ? BAD_REQUEST : this.#status);
    // Ours came first: nothing else counts.
    this.#asked?.destroy();
    this.#over();
  }

  dropped(): void {
    // The server has it: how it ends is up to its answer.
    if (this.#isAsked) return;
    this.#client.nothing();
    this.#over();
  }

  #answered(answer: IncomingMessage): void {
    const { relayed, onAnswered, onSession } = this.#options;
    const status = answer.statusCode ?? BAD_GATEWAY;
    const sessionId = headerOf(answer.rawHeaders, 'mcp-session-id');
    if (status >= 200 && status < 300 && sessionId !== undefined && this.#options.session === undefined)
      onSession(sessionId, this.#interposer);
    if (status < 300) onAnswered(status);
    else this.#upstreamStatus = status;
    // Refused by HTTP itself (for one, for want of a token): the client will send the same message again.
    if (status >= BAD_REQUEST) this.#interposer.mayRepeat(this);
    const kind = answerKind(answer);
    if (kind !== 'other' && relayed.isEncoded(answer))
      return this.#fail('the server sent an encoded answer, which was not asked for and cannot be examined', answer);
    if (kind === 'events') return this.#streamed(answer);
    if (kind === 'message') return void readBody(answer, relayed.budget, { overLimit: 'cut' }).then((body) => this.#message(answer, body));
    if (this.#client.isStream) return this.#fail(`the server refused the message with status ${status}`, answer);
    this.#interposer.failed(this, `the server answered with status ${status}`, false);
    if (kind === 'empty') {
      answer.resume();
      this.#client.whole(relayed.headOf(answer, this.#options.exchange, 0), EMPTY);
    } else {
      this.#client.passOn(relayed.headOf(answer, this.#options.exchange, 'same'), answer);
    }
    this.#over();
  }

  #streamed(source: IncomingMessage): void {
    const { relayed, exchange, session } = this.#options;
    if (!this.#client.isStream) this.#client.begin(relayed.headOf(source, exchange), HEAD_WAIT_MS);
    const reader = { interposer: this.#interposer, ...(session !== undefined && { answers: session.answers }) };
    this.#events = new EventRelay({
      source,
      client: this.#client,
      readerOf: () => reader,
      isResumed: false,
      log: relayed.target.log,
      onGiven: (bytes, kind) => this.#given(bytes, kind),
      onEnd: (how) => this.#streamEnded(how),
    });
  }

  #streamEnded(how: 'ended' | 'broken'): void {
    const waits = this.#interposer.waits(this);
    if (this.#isGone || this.#isOver) return;
    // A rule still looks at the answer: the stream ends with it.
    if (waits === 'release') return;
    if (waits === 'server' && this.#isResumable()) {
      this.#waitForResumption();
      if (how === 'ended') this.#client.end();
      else this.#client.response.destroy();
    } else {
      const reason = how === 'ended' ? 'the server ended the stream without an answer' : 'the server broke off before it answered';
      this.#interposer.failed(this, reason, true);
      this.#client.end();
    }
    this.#over();
  }

  /** A whole body: an answer, as a rule. */
  #message(answer: IncomingMessage, body: Line | 'gone' | 'busy'): void {
    if (this.#isGone) return;
    if (body === 'gone' || body === 'busy')
      return this.#fail(body === 'gone' ? 'the server broke off within its answer' : 'too many answers are being read', answer);
    if (body.kind === 'oversize') return this.#fail(tooLong(), answer, RPC_ERRORS.LIMIT);
    const { relayed, exchange } = this.#options;
    if (body.bytes.length === 0) {
      this.#interposer.failed(this, 'the server answered with nothing', this.#client.isStream);
      if (!this.#client.isOver) this.#client.whole(relayed.headOf(answer, exchange, 0), EMPTY);
      return this.#over();
    }
    const given = (bytes: Buffer, kind: 'answer' | 'message'): void => {
      this.#given(bytes, kind);
      if (this.#client.isStream) this.#client.answer(bytes, OK);
      else this.#client.whole(relayed.headOf(answer, exchange, bytes.length), bytes);
      this.#over();
    };
    this.#interposer.fromServer(body, { toClient: given, toServer: () => {}, dropped: () => {} });
    if (this.#interposer.waits(this) === 'release') return;
    // Refused by HTTP itself: that is the answer.
    const isRefusal = this.#isOver && (answer.statusCode ?? 0) >= BAD_REQUEST;
    this.#status = BAD_GATEWAY;
    this.#interposer.failed(this, 'what the server sent holds no answer to the request', !isRefusal);
    this.#client.nothing();
    this.#over();
  }

  #given(bytes: Buffer, kind: 'answer' | 'message'): void {
    if (this.#isList && kind === 'answer') this.#options.relayed.params.learn(parsed(bytes));
    // Of a stream that has ended meanwhile.
    if (kind === 'answer') queueMicrotask(() => this.#events?.isEnded === true && this.#afterRelease());
  }

  #afterRelease(): void {
    if (this.#interposer.waits(this) === undefined) {
      this.#client.end();
      this.#over();
    }
  }

  /** No answer can come any more. */
  #fail(reason: string, answer?: IncomingMessage, code?: number): void {
    answer?.destroy();
    if (this.#isOver || this.#isGone) return;
    this.#options.relayed.target.log(reason);
    this.#status = BAD_GATEWAY;
    this.#interposer.failed(this, reason, true, code);
    // Nothing was asked for that could be answered: a notification, or an answer to the server.
    if (!this.#client.isOver && !this.#client.isStream) this.#client.refuse(BAD_GATEWAY, reason);
    this.#client.end();
    this.#over();
  }

  /** The client is gone, or has everything. */
  #closed(): void {
    if (this.#isOver) return;
    this.#isGone = true;
    if (this.#asked !== undefined && this.#isResumable()) this.#waitForResumption();
    else this.#interposer.clientGone(this);
    // The server is told: to a stateless one it means to stop, to one with sessions that the client may come back.
    this.#asked?.destroy();
    this.#over();
  }

  #isResumable(): boolean {
    return this.#options.session !== undefined && this.#events?.hasIds === true;
  }

  #waitForResumption(): void {
    const { relayed } = this.#options;
    const wait = setTimeout(
      () => this.#interposer.failed(this, 'the stream broke off, and its answer was not fetched', false),
      relayed.resumeWaitMs,
    );
    wait.unref();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // An answer is given before it is recorded.
    queueMicrotask(() => {
      if (this.#upstreamStatus !== undefined) this.#options.onAnswered(this.#upstreamStatus);
      this.#options.onOver();
    });
  }

  /** A person may have changed the arguments: then the headers that repeat them are written anew. */
  #headersFor(bytes: Buffer): RawHeaders {
    const body = this.#body;
    if (body === undefined || body.kind === 'oversize' || bytes === body.bytes) return this.#headers;
    const message = parsed(bytes);
    const params = isObject(message) ? member(message, 'params') : undefined;
    const [tool, args] = isObject(params) ? [member(params, 'name'), member(params, 'arguments')] : [];
    const said = typeof tool === 'string' && isObject(args) ? this.#options.relayed.params.headersOf(tool, args) : undefined;
    if (said === undefined) return this.#headers;
    const kept = this.#headers.filter((_text, i) => !(this.#headers[i - (i % 2)] ?? '').toLowerCase().startsWith(PARAM_PREFIX));
    return [...kept, ...said.flat()];
  }
}

const EMPTY = Buffer.alloc(0);
const NAMELESS = Buffer.from('{"jsonrpc":"2.0","id":null,');

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
