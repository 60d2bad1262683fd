/**
 * Framing of MCP over stdio: one JSON-RPC message per line, ended by LF or CRLF.
 *
 * A message keeps its bytes from the first to the last; what is passed on is what was read. The one thing added is the
 * LF a last line may lack at the end of the stream, because other messages may follow it on the other side.
 */

/** Longest line that is read, terminator included. A longer one is skipped up to its newline and only counted. */
export const MAX_MESSAGE_BYTES: number = 16 * 1024 * 1024;
/** How much of the start and the end of a skipped line is kept, to find out whose message it was. */
export const EXCERPT_BYTES = 1024;

/**
 * Told once of a message that passed the limit and has not ended; it may never.
 *
 * @param head - its beginning.
 * @returns whether it is done with: then nothing is said of it when it ends.
 */
export type OnOverlong = (head: Buffer) => boolean;

export interface MessageLine {
  readonly kind: 'line';
  /** The line exactly as received, terminator included. */
  readonly bytes: Buffer;
  /** The same memory without terminator and, on the first line, without a UTF-8 byte order mark. */
  readonly content: Buffer;
}

export interface OversizeLine {
  readonly kind: 'oversize';
  readonly sizeBytes: number;
  readonly head: Buffer;
  readonly tail: Buffer;
}

export type Line = MessageLine | OversizeLine;

const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const FIRST_BUFFER_BYTES = 4096;

/** Cuts a byte stream into lines, whatever its chunks are. Holds at most about twice `maxBytes`. */
export class LineReader {
  readonly #maxBytes: number;
  readonly #onOverlong: OnOverlong;
  #buffer: Buffer | undefined;
  #sizeBytes = 0;
  #tail: Buffer | undefined;
  /** What was made of the line when it passed the limit. */
  #overlong: 'told' | 'done' | undefined;
  #first = true;

  constructor(maxBytes: number = MAX_MESSAGE_BYTES, onOverlong: OnOverlong = () => false) {
    this.#maxBytes = maxBytes;
    this.#onOverlong = onOverlong;
  }

  /** The lines this chunk completes. They may share memory with the chunk. */
  push(chunk: Buffer): Line[] {
    const lines: Line[] = [];
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(LF, start);
      const end = newline === -1 ? chunk.length : newline + 1;
      // As a rule one message is one read.
      const part = start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end);
      if (newline === -1) {
        this.#keep(part);
      } else {
        const line = this.#complete(part);
        if (line !== undefined) lines.push(line);
      }
      start = end;
    }
    this.#tellOverlong();
    return lines;
  }

  /** The last line, if the stream ended without a newline. */
  end(): Line[] {
    const last = this.#sizeBytes === 0 ? undefined : this.#complete(Buffer.of(LF));
    return last === undefined ? [] : [last];
  }

  /** @returns undefined for what is done with. */
  #complete(part: Buffer): Line | undefined {
    // The common case: the whole line lies in one chunk and needs no copy.
    if (this.#sizeBytes === 0 && part.length <= this.#maxBytes) return this.#line(part);
    this.#keep(part);
    const sizeBytes = this.#sizeBytes;
    const buffer = this.#buffer ?? Buffer.alloc(0);
    const tail = this.#tail;
    const isDone = this.#overlong === 'done';
    this.#buffer = undefined;
    this.#tail = undefined;
    this.#overlong = undefined;
    this.#sizeBytes = 0;
    if (tail === undefined) return this.#line(buffer.subarray(0, sizeBytes));
    this.#first = false;
    return isDone ? undefined : { kind: 'oversize', sizeBytes, head: buffer, tail };
  }

  #tellOverlong(): void {
    if (this.#tail === undefined || this.#buffer === undefined || this.#overlong !== undefined) return;
    this.#overlong = this.#onOverlong(this.#buffer) ? 'done' : 'told';
  }

  /** The peer chooses both the size of a line and of its chunks: memory grows by doubling, never by one object a chunk. */
  #keep(part: Buffer): void {
    const sizeBytes = this.#sizeBytes + part.length;
    const held = this.#buffer?.subarray(0, Math.min(this.#sizeBytes, this.#buffer.length)) ?? Buffer.alloc(0);
    if (this.#tail !== undefined) {
      this.#tail = lastBytes(this.#tail, part);
    } else if (sizeBytes > this.#maxBytes) {
      this.#tail = lastBytes(held, part);
      this.#buffer = Buffer.concat([held.subarray(0, EXCERPT_BYTES), part.subarray(0, EXCERPT_BYTES)]).subarray(0, EXCERPT_BYTES);
    } else {
      if (this.#buffer === undefined || this.#buffer.length < sizeBytes) {
        const grown = Buffer.allocUnsafe(Math.max(FIRST_BUFFER_BYTES, sizeBytes, 2 * held.length));
        held.copy(grown);
        this.#buffer = grown;
      }
      part.copy(this.#buffer, this.#sizeBytes);
    }
    this.#sizeBytes = sizeBytes;
  }

  #line(bytes: Buffer): MessageLine {
    const start = this.#first && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
    this.#first = false;
    const end = bytes.length - (bytes[bytes.length - 2] === CR ? 2 : 1);
    return { kind: 'line', bytes, content: bytes.subarray(start, Math.max(start, end)) };
  }
}

function lastBytes(before: Buffer, part: Buffer): Buffer {
  const joined = Buffer.concat([before.subarray(-EXCERPT_BYTES), part.subarray(-EXCERPT_BYTES)]);
  return Buffer.from(joined.subarray(-EXCERPT_BYTES));
}
