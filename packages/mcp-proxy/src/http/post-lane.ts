/** One POST of a client and what it gets back: one JSON answer, or a stream of events once there is more than that to say. */

import type { IncomingMessage } from 'node:http';
import type { Lane } from '../lane.ts';
import { trimmed } from './body.ts';
import type { HttpExchange } from './exchange.ts';
import { type EventLog, MessageStream } from './message-stream.ts';
import { answerAccepted, answerJson } from './refuse.ts';

/** Clients and what lies between give up on an answer of which not even a header came. */
export const OPEN_AFTER_MS = 10_000;

export interface PostLaneOptions {
  readonly exchange: HttpExchange;
  /** Something is answered to it. */
  readonly isRequest: boolean;
  /** One whole message for the server. */
  readonly toServer: (bytes: Buffer) => void;
  /** Headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Of an answer that is no stream; default 200, and 400 for what could not be read. */
  readonly statusOf?: (answer: Buffer) => number;
  /** Where a session keeps what its streams sent; absent: a stream ends with its connection. */
  readonly log?: EventLog;
  /** The client knows how to come back to a stream of which it has seen nothing but an id. */
  readonly opensAtOnce?: boolean;
  /** Told the last message, undefined if there is none. Once. */
  readonly onOver: (answer: Buffer | undefined) => void;
  /** The client is gone before its answer. */
  readonly onGone: () => void;
}

export class PostLane implements Lane {
  readonly canStream: boolean;
  readonly #options: PostLaneOptions;
  readonly #late: NodeJS.Timeout | undefined;
  #stream: MessageStream | undefined;
  #isOver = false;

  constructor(options: PostLaneOptions) {
    this.#options = options;
    const { exchange, isRequest, opensAtOnce, onGone } = options;
    this.canStream = isRequest && acceptsEvents(exchange.request);
    exchange.response.once('close', () => {
      if (!exchange.response.writableFinished && !this.#isOver) onGone();
    });
    if (!this.canStream) return;
    if (opensAtOnce === true) this.#open();
    else this.#late = setTimeout(() => this.#open(), OPEN_AFTER_MS).unref();
  }

  /** Somebody is there to read what comes before the answer. */
  get isHeard(): boolean {
    return this.canStream && !this.#isOver && (this.#stream?.isAttached ?? !this.#options.exchange.response.destroyed);
  }

  toServer(bytes: Buffer): void {
    this.#options.toServer(bytes);
    if (!this.#options.isRequest) this.#nothing();
  }

  toClient(bytes: Buffer, kind: 'answer' | 'message'): void {
    if (this.#isOver) return;
    const data = trimmed(bytes);
    // A client that takes no events gets the answer alone.
    if (kind === 'message') return this.canStream ? this.#open().send(data) : undefined;
    this.#over(data);
    if (this.#stream === undefined) return answerJson(this.#options.exchange, this.#statusOf(data), data, this.#options.headers);
    this.#stream.send(data);
    this.#stream.finish();
  }

  dropped(): void {
    if (this.#isOver) return;
    if (!this.#options.isRequest) return this.#nothing();
    const stream = this.canStream ? this.#open() : undefined;
    this.#over(undefined);
    if (stream === undefined) answerAccepted(this.#options.exchange);
    else stream.finish();
  }

  #nothing(): void {
    if (this.#isOver) return;
    this.#over(undefined);
    answerAccepted(this.#options.exchange);
  }

  #open(): MessageStream {
    if (this.#stream !== undefined) return this.#stream;
    clearTimeout(this.#late);
    this.#stream = new MessageStream(this.#options.log);
    const { exchange, headers, opensAtOnce } = this.#options;
    this.#stream.attach(exchange, { ...(headers !== undefined && { headers }), isResumable: opensAtOnce === true });
    return this.#stream;
  }

  /** What could not be read, or holds against its headers, is said so by the status too. */
  #statusOf(data: Buffer): number {
    return UNREADABLE.test(data.toString('latin1', 0, 64)) ? 400 : (this.#options.statusOf?.(data) ?? 200);
  }

  #over(answer: Buffer | undefined): void {
    this.#isOver = true;
    clearTimeout(this.#late);
    this.#options.onOver(answer);
  }
}

export function acceptsEvents({ headers }: IncomingMessage): boolean {
  const accept = headers.accept ?? '*/*';
  return accept.includes('text/event-stream') || accept.includes('*/*') || accept.includes('text/*');
}

const UNREADABLE = /^\{"jsonrpc":"2\.0","id":null,"error":/;
