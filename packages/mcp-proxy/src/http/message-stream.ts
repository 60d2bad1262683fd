/**
 * A stream of messages to one client that outlives its connection: what was sent while nobody listened is there for whoever comes
 * back with the id of the last event they have.
 *
 *     id: 3_17\n          the third stream of the session, the 17th event of the session
 *     data: {...}\n
 *     \n
 */
import type { ServerResponse } from 'node:http';
import { formatEvent } from '../sse-event.ts';
import type { HttpExchange } from './exchange.ts';
import { ownHeaders } from './refuse.ts';
import { unreadError } from './unread.ts';

/** Of one session. The oldest go first; a client that comes back too late gets what is left. */
export const MAX_KEPT_EVENTS = 1_024;
export const MAX_KEPT_BYTES: number = 16 * 1024 * 1024;
/** A client that does not read is cut off when this much waits for it. */
export const MAX_WAITING_BYTES: number = 32 * 1024 * 1024;
/** Keeps whatever lies on the way from taking a quiet connection for a dead one. */
export const ALIVE_MS = 15_000;

interface KeptEvent {
  readonly stream: number;
  readonly sequence: number;
  readonly data: Buffer;
}

/** What the streams of one session sent last. */
export class EventLog {
  readonly #events: KeptEvent[] = [];
  readonly #streams = new Map<number, MessageStream>();
  #bytes = 0;
  #sequence = 0;
  #opened = 0;

  /** @param stream - absent for a client that does not come back to it. */
  open(stream: MessageStream): number {
    this.#opened += 1;
    this.#streams.set(this.#opened, stream);
    return this.#opened;
  }

  add(stream: number, data: Buffer): string {
    this.#sequence += 1;
    this.#events.push({ stream, sequence: this.#sequence, data: Buffer.from(data) });
    this.#bytes += data.length;
    while (this.#events.length > MAX_KEPT_EVENTS || (this.#bytes > MAX_KEPT_BYTES && this.#events.length > 1))
      this.#bytes -= this.#events.shift()?.data.length ?? 0;
    this.#forgetStreams();
    return `${stream}_${this.#sequence}`;
  }

  /** The stream an event belongs to, and what came after it there. */
  after(
    eventId: string,
  ): { readonly stream: MessageStream; readonly events: readonly { readonly id: string; readonly data: Buffer }[] } | undefined {
    const [, stream, sequence] = /^(\d{1,15})_(\d{1,15})$/.exec(eventId) ?? [];
    const found = stream === undefined ? undefined : this.#streams.get(Number(stream));
    if (found === undefined || Number(sequence) > this.#sequence) return undefined;
    const events = this.#events.filter((each) => each.stream === Number(stream) && each.sequence > Number(sequence));
    return { stream: found, events: events.map((each) => ({ id: `${each.stream}_${each.sequence}`, data: each.data })) };
  }

  /** Streams that are over, and of which nothing is kept. */
  #forgetStreams(): void {
    if (this.#streams.size <= MAX_KEPT_EVENTS) return;
    const kept = new Set(this.#events.map(({ stream }) => stream));
    for (const [id, stream] of this.#streams) if (stream.isFinished && !kept.has(id)) this.#streams.delete(id);
  }
}

export class MessageStream {
  readonly #log: EventLog | undefined;
  readonly #id: number;
  #response: ServerResponse | undefined;
  #alive: NodeJS.Timeout | undefined;
  #isFinished = false;

  constructor(log?: EventLog) {
    this.#log = log;
    this.#id = log?.open(this) ?? 0;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Somebody listens. */
  get isAttached(): boolean {
    return this.#response !== undefined;
  }

  /**
   * Sends from now on to this connection, and ends the one before.
   *
   * @param events - what it missed.
   * @param isResumable - the client understands an event without data, which says where to take the stream up.
   */
  attach(
    exchange: HttpExchange,
    {
      events = [],
      headers = {},
      isResumable = false,
    }: {
      readonly events?: readonly { readonly id: string; readonly data: Buffer }[];
      readonly headers?: Readonly<Record<string, string>>;
      readonly isResumable?: boolean;
    } = {},
  ): void {
    const { response } = exchange;
    this.#detach()?.end();
    if (response.destroyed || response.headersSent) return;
    response.writeHead(200, {
      ...ownHeaders(exchange),
      ...headers,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      // Some servers on the way hold events back otherwise.
      'x-accel-buffering': 'no',
    });
    for (const event of events) response.write(formatEvent(event));
    if (events.length === 0) {
      // With the head, in one write; the head alone does not wait for an event.
      if (isResumable && this.#log !== undefined)
        response.write(formatEvent({ id: this.#log.add(this.#id, Buffer.alloc(0)), data: Buffer.alloc(0) }));
      else response.flushHeaders();
    }
    if (this.#isFinished) {
      response.end();
      return;
    }
    this.#response = response;
    response.once('close', () => {
      if (this.#response === response) this.#detach();
    });
    this.#alive = setInterval(() => response.write(': still here\n\n'), ALIVE_MS);
    this.#alive.unref();
  }

  send(data: Buffer): void {
    const id = this.#log?.add(this.#id, data);
    const response = this.#response;
    if (response === undefined) return;
    response.write(formatEvent({ data, ...(id !== undefined && { id }) }));
    if (response.writableLength > MAX_WAITING_BYTES) response.destroy(unreadError());
  }

  finish(): void {
    this.#isFinished = true;
    this.#detach()?.end();
  }

  #detach(): ServerResponse | undefined {
    const response = this.#response;
    clearInterval(this.#alive);
    this.#response = undefined;
    return response;
  }
}
