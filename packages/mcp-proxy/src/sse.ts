/**
 * Reads an event stream as it comes, and gives every byte of it back: what is passed on is what was read.
 *
 * The pieces, joined, are the stream without events that were too large or cut off. They do not depend on
 * how the stream was chunked. Everything in it is the server's.
 */
import { readEvent, type SseEvent } from './sse-event.ts';
import { EXCERPT_BYTES, MAX_MESSAGE_BYTES, type OnOverlong } from './wire.ts';

/** Largest event that is read: a message, and the fields and line ends around it. */
export const MAX_EVENT_BYTES: number = MAX_MESSAGE_BYTES + 64 * 1024;

export type SsePiece =
  | SseEvent
  /** A comment or a blank line between events: passed on at once, because it keeps the connection alive. */
  | { readonly kind: 'gap'; readonly bytes: Buffer }
  /** An event that was too large, skipped to its end. `head` is the beginning of its data, `tail` the end of its bytes. */
  | { readonly kind: 'oversize'; readonly sizeBytes: number; readonly head: Buffer; readonly tail: Buffer }
  /** Readers differ in where its lines end, or whether its first one has a name. Not to be passed on; `problem` names no content. */
  | { readonly kind: 'unclear'; readonly problem: string; readonly bytes: Buffer }
  /** The stream ended within an event. Readers drop it; so must whoever passes the stream on, for some do not. */
  | { readonly kind: 'cut'; readonly sizeBytes: number };

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const EMPTY = Buffer.alloc(0);

/** Cuts a byte stream into events, whatever its chunks are. Holds at most about twice `maxBytes`. */
export class EventReader {
  readonly #held: HeldBytes;
  readonly #onOverlong: OnOverlong;
  /** What was made of the event when it passed the limit. */
  #overlong: 'told' | 'done' | undefined;
  /** Bytes of a byte order mark read at the start of the stream; 3: there is no more to look for. */
  #mark = 0;
  /** Bytes before the first line of this piece, lines before this one, and the size of this one. */
  #start = 0;
  #lines = 0;
  #lineBytes = 0;
  #isComment = false;
  /** A CR that ends a chunk, and may be half of a CRLF. */
  #openCr = false;
  /** A CR that was taken for a line end at once: a LF right after it belongs to it. */
  #closedCr = false;
  #endsInCr = false;

  /** @param onOverlong - gets the beginning of the data. */
  constructor(maxBytes: number = MAX_EVENT_BYTES, onOverlong: OnOverlong = () => false) {
    this.#held = new HeldBytes(maxBytes);
    this.#onOverlong = onOverlong;
  }

  /** The pieces this chunk completes. They may share memory with the chunk. */
  push(chunk: Buffer): SsePiece[] {
    const pieces: SsePiece[] = [];
    if (chunk.length === 0) return pieces;
    let at = this.#skipMark(chunk);
    // Up to here the chunk is in pieces.
    let done = 0;
    const endLine = (next: number): void => {
      const kind = this.#lineEnded();
      if (kind !== undefined) pieces.push(...this.#piece(kind, chunk.subarray(done, next)));
      if (kind !== undefined) done = next;
      at = next;
    };
    if (this.#openCr && at < chunk.length) {
      this.#openCr = false;
      this.#endsInCr = chunk[at] !== LF;
      endLine(chunk[at] === LF ? at + 1 : at);
    }
    let [lf, cr] = [-1, -1];
    while (at < chunk.length) {
      if (this.#closedCr) {
        this.#closedCr = false;
        if (chunk[at] === LF) {
          if (at === done && this.#held.sizeBytes === 0) this.#start = 1;
          this.#endsInCr = false;
          at += 1;
          continue;
        }
      }
      if (lf < at) lf = indexOrEnd(chunk, LF, at);
      if (cr < at) cr = indexOrEnd(chunk, CR, at);
      const end = Math.min(lf, cr);
      this.#lineGrows(chunk, at, end);
      if (end === chunk.length) break;
      if (end === cr && this.#endsInCr) {
        // Of a stream with bare CRs: no event may wait for the next one to show that no LF follows.
        this.#closedCr = true;
        endLine(end + 1);
      } else if (end === cr && end + 1 === chunk.length) {
        this.#openCr = true;
        break;
      } else {
        const isCrlf = end === cr && lf === end + 1;
        this.#endsInCr = end === cr && !isCrlf;
        endLine(isCrlf ? end + 2 : end + 1);
      }
    }
    if (done < chunk.length) this.#held.add(chunk.subarray(done));
    this.#tellOverlong();
    return pieces;
  }

  /** The stream is over. */
  end(): SsePiece[] {
    const pieces: SsePiece[] = [];
    const kind = this.#openCr ? this.#lineEnded() : undefined;
    this.#openCr = false;
    if (kind !== undefined) pieces.push(...this.#piece(kind, EMPTY));
    const isInMark = this.#mark > 0 && this.#mark < BYTE_ORDER_MARK.length;
    const isCut = this.#lines > 0 || this.#lineBytes > 0 || isInMark;
    const rest = this.#held.take(EMPTY);
    if (isCut) pieces.push({ kind: 'cut', sizeBytes: rest.sizeBytes });
    else if (rest.bytes !== undefined && rest.sizeBytes > 0) pieces.push({ kind: 'gap', bytes: rest.bytes });
    return pieces;
  }

  /** A byte order mark at the start of the stream, which is no part of its first line. */
  #skipMark(chunk: Buffer): number {
    let at = 0;
    while (this.#mark < BYTE_ORDER_MARK.length && at < chunk.length) {
      if (chunk[at] !== BYTE_ORDER_MARK[this.#mark]) {
        // What looked like one was text.
        this.#lineBytes = this.#mark;
        this.#mark = BYTE_ORDER_MARK.length;
        return at;
      }
      at += 1;
      this.#mark += 1;
      if (this.#mark === BYTE_ORDER_MARK.length) this.#start = BYTE_ORDER_MARK.length;
    }
    return at;
  }

  #lineGrows(chunk: Buffer, from: number, to: number): void {
    if (from === to) return;
    if (this.#lineBytes === 0) this.#isComment = chunk[from] === COLON;
    this.#lineBytes += to - from;
  }

  /** What the line completes, if anything. */
  #lineEnded(): 'gap' | 'event' | undefined {
    const isBlank = this.#lineBytes === 0;
    const isGap = this.#lines === 0 && (isBlank || this.#isComment);
    this.#lineBytes = 0;
    this.#isComment = false;
    this.#lines = isBlank || isGap ? 0 : this.#lines + 1;
    if (isGap) return 'gap';
    return isBlank ? 'event' : undefined;
  }

  #piece(kind: 'gap' | 'event', rest: Buffer): SsePiece[] {
    const [start, isDone] = [this.#start, this.#overlong === 'done'];
    this.#start = 0;
    this.#overlong = undefined;
    const { bytes, sizeBytes, head, tail } = this.#held.take(rest);
    if (bytes === undefined) return isDone ? [] : [{ kind: 'oversize', sizeBytes, head: readEvent(head, start).data ?? EMPTY, tail }];
    if (kind === 'gap') return [{ kind, bytes }];
    const problem = problemOf(bytes, start);
    return [problem === undefined ? readEvent(bytes, start) : { kind: 'unclear', problem, bytes }];
  }

  #tellOverlong(): void {
    const { head } = this.#held;
    if (head === undefined || this.#overlong !== undefined) return;
    this.#overlong = this.#onOverlong(readEvent(head, this.#start).data ?? EMPTY) ? 'done' : 'told';
  }
}

const DATA = Buffer.from('data');

/** Both would let a server tell the client another answer than the one that was looked at. */
function problemOf(bytes: Buffer, start: number): string | undefined {
  // At the start of a stream that lost the events before it, the mark would be dropped and the name behind it be one.
  if (startsWithMark(bytes, start)) return 'a byte order mark within the stream';
  for (let at = bytes.indexOf(DATA, 1); at !== -1; at = bytes.indexOf(DATA, at + DATA.length)) {
    if (bytes[at - 1] === LF) continue;
    if (FOREIGN_LINE_END.test(bytes.toString('latin1', Math.max(0, at - 3), at))) return 'a line end to some readers, and data behind it';
  }
  return undefined;
}

function startsWithMark(bytes: Buffer, start: number): boolean {
  return BYTE_ORDER_MARK.every((byte, i) => bytes[start + i] === byte);
}

/** Vertical tab, form feed, separators, NEL, U+2028 and U+2029, in UTF-8: Python's `splitlines`, and clients on it, end a line there. */
const FOREIGN_LINE_END = /(?:[\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9])$/;

interface Taken {
  /** Absent: there were more than the limit, and only the two ends are left. */
  readonly bytes?: Buffer;
  readonly sizeBytes: number;
  readonly head: Buffer;
  readonly tail: Buffer;
}

const FIRST_BUFFER_BYTES = 4096;

/** The peer chooses the size of an event and of its chunks: memory grows by doubling, never by one object a chunk. */
class HeldBytes {
  readonly #maxBytes: number;
  #buffer: Buffer = EMPTY;
  #tail: Buffer | undefined;
  sizeBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Of what passed the limit, its beginning. */
  get head(): Buffer | undefined {
    return this.#tail === undefined ? undefined : this.#buffer;
  }

  add(part: Buffer): void {
    const sizeBytes = this.sizeBytes + part.length;
    if (this.#tail !== undefined) this.#tail = lastBytes(this.#tail, part);
    else if (sizeBytes > this.#maxBytes) {
      const held = this.#buffer.subarray(0, this.sizeBytes);
      this.#tail = lastBytes(held, part);
      this.#buffer = Buffer.concat([held.subarray(0, EXCERPT_BYTES), part.subarray(0, EXCERPT_BYTES)]).subarray(0, EXCERPT_BYTES);
    } else if (part.length > 0) {
      if (this.#buffer.length < sizeBytes) {
        const grown = Buffer.allocUnsafe(Math.max(FIRST_BUFFER_BYTES, sizeBytes, 2 * this.sizeBytes));
        this.#buffer.copy(grown, 0, 0, this.sizeBytes);
        this.#buffer = grown;
      }
      part.copy(this.#buffer, this.sizeBytes);
    }
    this.sizeBytes = sizeBytes;
  }

  /** Everything held and `rest`; without a copy when that is only `rest`. */
  take(rest: Buffer): Taken {
    if (this.sizeBytes === 0 && rest.length <= this.#maxBytes) return { bytes: rest, sizeBytes: rest.length, head: EMPTY, tail: EMPTY };
    this.add(rest);
    const { sizeBytes } = this;
    const isOver = this.#tail !== undefined;
    const bytes = this.#buffer.subarray(0, sizeBytes);
    const taken = { sizeBytes, head: this.#buffer, tail: this.#tail ?? EMPTY };
    this.#buffer = EMPTY;
    this.#tail = undefined;
    this.sizeBytes = 0;
    return { ...taken, ...(!isOver && { bytes }) };
  }
}

function lastBytes(before: Buffer, part: Buffer): Buffer {
  const joined = Buffer.concat([before.subarray(-EXCERPT_BYTES), part.subarray(-EXCERPT_BYTES)]);
  return Buffer.from(joined.subarray(-EXCERPT_BYTES));
}

function indexOrEnd(bytes: Buffer, byte: number, start: number): number {
  const index = bytes.indexOf(byte, start);
  return index === -1 ? bytes.length : index;
}
