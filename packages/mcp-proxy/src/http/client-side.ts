/** What one POST gets back, whoever writes it: the server's own answer with its status and headers, or ours. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatEvent } from '../sse-event.ts';
import { trimmed } from './body.ts';
import type { HttpExchange } from './exchange.ts';
import { answerAccepted, answerJson, ownHeaders, refuseHttp } from './refuse.ts';

export interface AnswerHead {
  readonly status: number;
  readonly message: string;
  readonly headers: string[];
}

/** How long the head of a stream waits for its first event: as a rule that is right behind it, and both leave together. */
export const HEAD_WAIT_MS = 10;

export class ClientSide {
  readonly #exchange: HttpExchange;
  #head: NodeJS.Timeout | undefined;
  #isBatched = false;

  constructor(exchange: HttpExchange) {
    this.#exchange = exchange;
  }

  get response(): ServerResponse {
    return this.#exchange.response;
  }

  /** A stream of events was begun: everything else comes as events. */
  get isStream(): boolean {
    return this.response.headersSent;
  }

  get isOver(): boolean {
    return this.response.writableEnded || this.response.destroyed;
  }

  /** The server's head, for a body that follows. */
  begin({ status, message, headers }: AnswerHead, waitMs = 0): void {
    const { response } = this;
    response.writeHead(status, message, headers);
    this.#head = setTimeout(() => this.isOver || response.flushHeaders(), waitMs);
  }

  /** A piece of the body that follows. @returns false if the client has not read what came before. */
  write(bytes: Buffer): boolean {
    clearTimeout(this.#head);
    this.#batch();
    return this.response.write(bytes);
  }

  /** What is written in one turn leaves together. The end of a stream comes one tick after its last event. */
  #batch(): void {
    const { socket } = this.response;
    if (socket === null || this.#isBatched) return;
    this.#isBatched = true;
    socket.cork();
    process.nextTick(() =>
      process.nextTick(() => {
        this.#isBatched = false;
        socket.uncork();
      }),
    );
  }

  /** The server's head and a whole body. */
  whole({ status, message, headers }: AnswerHead, body: Buffer): void {
    if (this.isOver) return;
    this.response.writeHead(status, message, headers);
    this.response.end(body);
  }

  /** The server's head, and its body as it comes: nothing in it is a message to anybody. */
  passOn(head: AnswerHead, answer: IncomingMessage): void {
    const { response } = this;
    if (this.isOver) {
      answer.destroy();
      return;
    }
    this.begin(head);
    response.once('close', () => answer.destroy());
    answer.once('close', () => answer.readableEnded || response.destroy());
    answer.pipe(response);
  }

  refuse(status: number, text: string): void {
    if (!this.isOver) refuseHttp(this.#exchange, { status, text });
  }

  /** A message of ours before the answer: it opens a stream. */
  message(bytes: Buffer): void {
    const { response } = this;
    if (this.isOver) return;
    if (!response.headersSent) {
      response.writeHead(200, {
        ...ownHeaders(this.#exchange),
        'content-type': 'text/event-stream',
        'cache-control': 'no-cache, no-transform',
      });
      response.flushHeaders();
    }
    this.write(formatEvent({ data: trimmed(bytes) }));
  }

  /** The last message. */
  answer(bytes: Buffer, status: number): void {
    if (this.isOver) return;
    if (!this.isStream) return answerJson(this.#exchange, status, trimmed(bytes));
    this.response.end(formatEvent({ data: trimmed(bytes) }));
  }

  /** Nothing to say. */
  nothing(): void {
    if (this.isOver) return;
    if (this.isStream) this.response.end();
    else answerAccepted(this.#exchange);
  }

  end(): void {
    if (!this.isOver) this.response.end();
  }
}

export type AnswerKind = 'events' | 'message' | 'empty' | 'other';

/** How an answer to a POST is read. Anything with status 2xx is a message to somebody, whatever its type says. */
export function answerKind({ statusCode = 0, headers }: IncomingMessage): AnswerKind {
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === 'text/event-stream') return 'events';
  if (statusCode === 202 || statusCode === 204 || headers['content-length'] === '0') return 'empty';
  if (type.includes('json') || (statusCode >= 200 && statusCode < 300)) return 'message';
  return 'other';
}
