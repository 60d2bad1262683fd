/** Messages out of an answer that is a stream of events. */
import type { IncomingMessage } from 'node:http';
import { EventReader, MAX_EVENT_BYTES } from '../sse.ts';
import type { SseEvent } from '../sse-event.ts';
import { MAX_MESSAGE_BYTES, type OnOverlong, type OversizeLine } from '../wire.ts';

/** Longest id of an event a stream is resumed after. */
const MAX_EVENT_ID_CHARS = 1_024;

/** How far a stream got. */
export interface StreamPosition {
  /** Resume after this event; absent where a server does not number them. */
  lastId?: string;
  /** Milliseconds before connecting again, if the server said. */
  retry?: number;
}

export interface EventHandlers {
  /** One event of the default type with data. Resolves when the next may come. */
  readonly onMessage: (data: Buffer) => Promise<void> | void;
  /** Any other event. */
  readonly onEvent?: (event: SseEvent) => void;
  /** An event that has no end yet. */
  readonly onOverlong: OnOverlong;
  /** An event that is not passed on. `event`: it was too large. */
  readonly onDropped: (problem: string, event?: OversizeLine) => void;
}

/** Reads until the stream ends or breaks off; does not throw for either. Brings `position` up to date. */
export async function readEventStream(response: IncomingMessage, position: StreamPosition, handlers: EventHandlers): Promise<void> {
  const reader = new EventReader(MAX_EVENT_BYTES, handlers.onOverlong);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      for (const piece of reader.push(chunk)) {
        if (piece.kind === 'event') await take(piece, position, handlers);
        else if (piece.kind === 'unclear') handlers.onDropped(`an event with ${piece.problem}`);
        else if (piece.kind === 'oversize')
          handlers.onDropped(`an event of ${piece.sizeBytes} bytes, limit of a message ${MAX_MESSAGE_BYTES}`, piece);
      }
    }
  } catch {
    // Broken off: what was complete has been read.
  }
}

async function take(event: SseEvent, position: StreamPosition, { onMessage, onEvent }: EventHandlers): Promise<void> {
  const { id, retry, data } = event;
  if (id !== undefined) {
    // What no header can carry cannot be resumed after.
    if (/^[\x20-\x7e]+$/.test(id) && id.length <= MAX_EVENT_ID_CHARS) position.lastId = id;
    else delete position.lastId;
  }
  if (retry !== undefined) position.retry = retry;
  const isMessage = event.event === undefined || event.event === '' || event.event === 'message';
  if (isMessage && data !== undefined && data.length > 0) await onMessage(data);
  else onEvent?.(event);
}

/** Whether an answer is a stream of events; parameters of the type do not count. */
export function typeOf({ headers }: IncomingMessage): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
