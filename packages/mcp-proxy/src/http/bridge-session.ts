/**
 * One session of the protocol up to 2025-11-25 in front of servers of its own, so that nothing of one client is in reach of another.
 * Over a pipe messages carry no stream: which one a message of the server goes to is worked out here.
 */

import { randomBytes } from 'node:crypto';
import type { Lane } from '../lane.ts';
import { isObject, type JsonObject, member } from '../message.ts';
import type { Line } from '../wire.ts';
import { trimmed } from './body.ts';
import type { HttpExchange } from './exchange.ts';
import { EventLog, MessageStream } from './message-stream.ts';
import { type Outgoing, parse } from './outgoing.ts';
import { PostLane } from './post-lane.ts';
import type { OpenPeer, SessionPeer } from './session-peer.ts';

/** From this version on clients know an event without data, and what its id is for. */
const PRIMED_SINCE = '2025-11-25';

interface Waiting {
  readonly lane: PostLane;
  readonly method: string;
  readonly token: string | undefined;
}

export class BridgeSession {
  /** Whoever knows it is the client. */
  readonly id: string = randomBytes(32).toString('base64url');
  /** What stands behind it is gone, and everything is answered. */
  readonly ended: Promise<void>;
  readonly #peer: SessionPeer;
  readonly #complain: (text: string) => void;
  readonly #log = new EventLog();
  readonly #own = new MessageStream(this.#log);
  readonly #waiting = new Set<Waiting>();
  #usedAt = Date.now();
  #isBegun = false;
  #isEnding = false;

  /** @param log - takes one line for people. */
  constructor(open: OpenPeer, log: (text: string) => void) {
    this.#complain = log;
    this.#peer = open({ owner: this.id, own: this.#ownLane(), laneFor: (message) => this.#laneFor(message) });
    this.ended = this.#end();
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Nobody is there: since when, in milliseconds. Undefined while somebody is. What a client that went away asked counts for nothing. */
  idleSince(): number | undefined {
    const isHeard = this.#own.isAttached || [...this.#waiting].some(({ lane }) => lane.isHeard);
    return isHeard ? undefined : this.#usedAt;
  }

  /** @param line - the message as the one line the server gets. */
  post(exchange: HttpExchange, line: Line, message: Outgoing | undefined): void {
    this.#usedAt = Date.now();
    if (this.#peer.isFull) {
      this.#complain('the server does not read: a message was refused');
      exchange.response.writeHead(503, { 'content-length': 0 }).end();
      return;
    }
    const isRequest = message?.kind === 'request' || message === undefined;
    const method = message?.kind === 'request' ? message.method : '';
    const version = exchange.request.headers['mcp-protocol-version'] ?? '';
    // Of an id that nobody follows no answer is known for one to this exchange.
    const isAnswerable = message?.kind === 'request' && message.key !== undefined;
    let isAsked = false;
    const lane: PostLane = new PostLane({
      exchange,
      isRequest,
      toServer: (bytes) => {
        isAsked = true;
        this.#peer.write(bytes);
        if (isRequest && !isAnswerable) lane.dropped();
      },
      headers: { 'mcp-session-id': this.id },
      log: this.#log,
      opensAtOnce: method === 'tools/call' && String(version) >= PRIMED_SINCE,
      onOver: (answer) => {
        this.#usedAt = Date.now();
        this.#waiting.delete(waiting);
        if (method === 'initialize') this.#greeted(answer, isAsked);
      },
      // Its client may come back for the answer. One that was not told the session cannot.
      onGone: () => {
        if (method === 'initialize' && !this.#isBegun) this.end();
      },
    });
    const waiting: Waiting = { lane, method, token: tokenOf(message) };
    if (isRequest) this.#waiting.add(waiting);
    this.#peer.fromClient(line, lane, message);
  }

  /** Without a first greeting there is no session; one that is refused later changes nothing. */
  #greeted(answer: Buffer | undefined, isAsked: boolean): void {
    if (this.#isBegun) return;
    this.#isBegun = !failed(answer);
    if (this.#isBegun) return;
    const problem = isAsked && answer !== undefined && !this.#isEnding ? this.#peer.notBegun() : undefined;
    if (problem !== undefined) this.#complain(problem);
    this.end();
  }

  /** The stream of the server's own messages, or, after `Last-Event-ID`, one that broke off. */
  get(exchange: HttpExchange): 'attached' | 'unknown' {
    this.#usedAt = Date.now();
    const headers = { 'mcp-session-id': this.id };
    const lastId = exchange.request.headers['last-event-id'];
    if (typeof lastId !== 'string') {
      this.#own.attach(exchange, { headers });
      return 'attached';
    }
    const found = this.#log.after(lastId);
    if (found === undefined) return 'unknown';
    found.stream.attach(exchange, { headers, events: found.events });
    return 'attached';
  }

  /** Ends what stands behind it, and everything that started. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#peer.end();
  }

  kill(): void {
    this.#peer.kill();
  }

  async #end(): Promise<void> {
    const failure = await this.#peer.ended;
    if (failure !== undefined && !this.#isEnding) this.#complain(failure);
    this.#isEnding = true;
    this.#own.finish();
  }

  /** Where a message that is no answer goes; undefined for answers, which go where they were asked for. */
  #laneFor(message: unknown): Lane | undefined {
    if (!isObject(message) || typeof member(message, 'method') !== 'string') return undefined;
    if (Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error')) return undefined;
    const method = member(message, 'method');
    if (method === 'notifications/progress') return this.#byToken(message) ?? this.#ownLane();
    // What the server asks, and says of its work, belongs to what it works on; a client may listen to nothing else meanwhile.
    const isAboutWork = Object.hasOwn(message, 'id') || method === 'notifications/message' || method === 'notifications/cancelled';
    if (!isAboutWork && this.#own.isAttached) return this.#ownLane();
    return this.#newest() ?? this.#ownLane();
  }

  #byToken(message: JsonObject): Lane | undefined {
    const token = keyOfToken(isObject(message['params']) ? member(message['params'], 'progressToken') : undefined);
    return token === undefined ? undefined : [...this.#waiting].find((each) => each.token === token && each.lane.canStream)?.lane;
  }

  #newest(): Lane | undefined {
    const open = [...this.#waiting].filter(({ lane }) => lane.isHeard).reverse();
    return (open.find(({ method }) => method === 'tools/call') ?? open[0])?.lane;
  }

  #ownLane(): Lane {
    return {
      toClient: (bytes) => this.#own.send(trimmed(bytes)),
      toServer: (bytes) => this.#peer.write(bytes),
      dropped: () => {},
    };
  }
}

function tokenOf(message: Outgoing | undefined): string | undefined {
  const params = message?.kind === 'request' ? message.params : undefined;
  const meta = isObject(params) ? member(params, '_meta') : undefined;
  return keyOfToken(isObject(meta) ? member(meta, 'progressToken') : undefined);
}

function keyOfToken(token: unknown): string | undefined {
  return typeof token === 'string' || typeof token === 'number' ? JSON.stringify(token) : undefined;
}

function failed(answer: Buffer | undefined): boolean {
  const message = answer === undefined ? undefined : parse(answer);
  return !isObject(message) || !Object.hasOwn(message, 'result');
}
