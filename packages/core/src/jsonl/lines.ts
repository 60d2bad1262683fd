/**
 * Lines of a file by anybody, with a bound on what is held at once: a line longer than any line may be is counted and not
 * kept, and one that does not end for `MAX_SKIPPED_BYTES` ends the reading.
 */
import type { OpenFile } from './open-file.ts';

export const LINE_FEED = 10;
const BLOCK_BYTES = 1_048_576;
/** A file of nothing but a hole costs nobody anything to make, and would be read for ever. */
export const MAX_SKIPPED_BYTES = 67_108_864;

export interface Line {
  /** Where it begins in the file, bytes. */
  readonly offset: number;
  /** Without the line feed. */
  readonly sizeBytes: number;
  /** Without the line feed; undefined when it is longer than the limit. Valid until the next line is asked for. */
  readonly content: Buffer | undefined;
  /** False for what follows the last line feed. */
  readonly isEnded: boolean;
}

/** Thrown where lines cannot be read on. */
export class ReadingStopped extends Error {
  override readonly name = 'ReadingStopped';
}

/**
 * @param from - offset at which a line begins.
 * @param limitBytes - longest line that is kept.
 * @throws {ReadingStopped} the file was cut while it was read, or a line goes on without end; system errors.
 */
export function* readLines(file: OpenFile, from: number, limitBytes: number): Generator<Line> {
  const block = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, Math.max(1, file.sizeBytes - from)));
  const begun = new BegunLine(from, limitBytes);
  for (let position = from; position < file.sizeBytes; ) {
    const length = file.read(block, position);
    if (length === 0) throw new ReadingStopped('the file became shorter while it was read');
    let start = 0;
    for (;;) {
      const end = block.indexOf(LINE_FEED, start);
      if (end < 0 || end >= length) break;
      yield begun.finish(block.subarray(start, end), true);
      start = end + 1;
      begun.restart(position + start);
    }
    begun.add(block.subarray(start, length));
    position += length;
  }
  if (begun.sizeBytes > 0) yield begun.finish(Buffer.alloc(0), false);
}

/** The part of a line that earlier blocks held. */
class BegunLine {
  readonly #limitBytes: number;
  #offset: number;
  #parts: Buffer[] = [];
  sizeBytes = 0;

  constructor(offset: number, limitBytes: number) {
    this.#offset = offset;
    this.#limitBytes = limitBytes;
  }

  add(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.sizeBytes += bytes.length;
    if (this.sizeBytes > MAX_SKIPPED_BYTES) throw new ReadingStopped(`a line has no end within ${MAX_SKIPPED_BYTES} bytes`);
    // A copy: the block is read into again.
    if (this.sizeBytes <= this.#limitBytes) this.#parts.push(Buffer.from(bytes));
    else this.#parts = [];
  }

  finish(rest: Buffer, isEnded: boolean): Line {
    const sizeBytes = this.sizeBytes + rest.length;
    const isKept = sizeBytes <= this.#limitBytes;
    const content = !isKept ? undefined : this.#parts.length === 0 ? rest : Buffer.concat([...this.#parts, rest]);
    return { offset: this.#offset, sizeBytes, content, isEnded };
  }

  restart(offset: number): void {
    this.#offset = offset;
    this.sizeBytes = 0;
    if (this.#parts.length > 0) this.#parts = [];
  }
}
