/**
 * Passes a stream of events on as it comes. Every message in it is examined; an event whose message was not changed keeps every byte,
 * and one whose message was keeps everything else: its id, its comments, its order.
 */
import type { IncomingMessage } from 'node:http';
import type { Interposer } from '../interposer.ts';
import type { Lane } from '../lane.ts';
import { readServerMessage } from '../server-message.ts';
import { EventReader, MAX_EVENT_BYTES, type SsePiece } from '../sse.ts';
import { formatEvent, type SseEvent, withData } from '../sse-event.ts';
import { bodyLine, trimmed } from './body.ts';
import type { ClientSide } from './client-side.ts';
import type { ReleasedAnswers } from './released-answers.ts';
import { DrainedSink } from './sink.ts';

const LF = 0x0a;

/** Who the messages of a stream are for. */
export interface Reader {
  readonly interposer: Interposer;
  /** Of the session, when there is one: what may be asked for again. */
  readonly answers?: ReleasedAnswers;
}

export interface EventRelayOptions {
  readonly source: IncomingMessage;
  readonly client: ClientSide;
  /** Whom a message is for. */
  readonly readerOf: (data: Buffer) => Reader;
  /** A resumed stream: the server repeats what it sent. */
  readonly isResumed: boolean;
  /** Sees what the client is given. */
  readonly onGiven?: (bytes: Buffer, kind: 'answer' | 'message') => void;
  readonly log: (text: string) => void;
  /** @param how - `broken`: it was cut off, not ended. */
  readonly onEnd: (how: 'ended' | 'broken') => void;
}

export class EventRelay {
  readonly #options: EventRelayOptions;
  readonly #sink: DrainedSink;
  readonly #events: EventReader;
  /** Whether the client may come back for what it missed: it was told an id. */
  hasIds = false;
  isEnded = false;

  constructor(options: EventRelayOptions) {
    const { source, client } = options;
    this.#options = options;
    this.#sink = new DrainedSink(source, client);
    this.#events = new EventReader(MAX_EVENT_BYTES, (head) => options.readerOf(head).interposer.serverOverlong(head, this.#laneOf()));
    const over = (how: 'ended' | 'broken'): void => {
      if (this.isEnded) return;
      this.isEnded = true;
      // An event that was cut off is dropped: readers drop it, and some would not.
      for (const piece of this.#events.end()) this.#pass(piece);
      options.onEnd(how);
    };
    source.on('data', (chunk: Buffer) => {
      for (const piece of this.#events.push(chunk)) this.#pass(piece);
    });
    source.on('end', () => over('ended'));
    source.on('close', () => over('broken'));
  }

  #pass(piece: SsePiece): void {
    switch (piece.kind) {
      case 'gap':
        return this.#sink.write(piece.bytes);
      case 'cut':
        return;
      case 'unclear':
        // If it was an answer, the stream ends without one, and the client is told.
        return this.#options.log(`dropped an event of the server: ${piece.problem}`);
      case 'oversize':
        return this.#options.readerOf(piece.head).interposer.fromServer(piece, this.#laneOf());
      case 'event':
        if (piece.id !== undefined) this.hasIds = piece.id !== '';
        if (piece.data === undefined || piece.data.length === 0) return this.#sink.write(piece.bytes);
        return this.#examine(piece, piece.data);
    }
  }

  #examine(event: SseEvent, whole: Buffer): void {
    const { isResumed, readerOf } = this.#options;
    const data = oneMessage(whole);
    const { interposer, answers } = readerOf(data);
    const line = bodyLine(data);
    if (isResumed && answers !== undefined && (answers.isHeld(data) || !interposer.isOpen(data))) {
      const wasGiven = answers.again(data, (given) => this.#write(event, given === 'same' ? data : given));
      if (wasGiven) return;
    }
    // Remembered before it is looked at: the client may ask again while a rule still looks.
    const isAnswer = answers !== undefined && event.id !== undefined && interposer.isOpen(data);
    if (isAnswer) answers.hold(data);
    interposer.fromServer(line, this.#laneOf(event, data, isAnswer ? answers : undefined));
  }

  /** Where the message of one event goes: in its place. */
  #laneOf(event?: SseEvent, data?: Buffer, answers?: ReleasedAnswers): Lane {
    let isGiven = false;
    return {
      toClient: (bytes, kind) => {
        this.#options.onGiven?.(bytes, kind);
        if (event === undefined || isGiven) return this.#sink.write(formatEvent({ data: trimmed(bytes) }));
        isGiven = true;
        if (answers !== undefined && data !== undefined) answers.give(data, bytes === data ? 'same' : bytes);
        this.#write(event, bytes);
      },
      toServer: () => {},
      dropped: () => {},
    };
  }

  #write(event: SseEvent, bytes: Buffer): void {
    this.#sink.write(bytes === event.data ? event.bytes : withData(event, trimmed(bytes)));
  }

  /** An event of ours. */
  send(bytes: Buffer): void {
    this.#sink.write(formatEvent({ data: trimmed(bytes) }));
  }
}

/**
 * Readers join the `data` lines of an event; some that are written in a hurry take each for a message. Where one of several lines is
 * an answer by itself, they all become one line, which both read alike: to JSON a line end is space.
 */
function oneMessage(data: Buffer): Buffer {
  if (!data.includes(LF)) return data;
  const lines = data.toString('utf8').split('\n');
  if (!lines.some(isMessage)) return data;
  return Buffer.from(data.map((byte) => (byte === LF ? 0x20 : byte)));
}

function isMessage(line: string): boolean {
  if (!/^\s*[{[]/.test(line)) return false;
  try {
    JSON.parse(line);
  } catch {
    return false;
  }
  return readServerMessage(Buffer.from(line), 'bodies').kind !== 'other';
}
