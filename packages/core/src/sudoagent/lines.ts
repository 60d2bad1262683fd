/** A SudoAgent 2.0 ledger of lines: UTF-8, one entry per line, each ended by LF, read in pieces of bounded size. */
import { isUtf8 } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { CountersignError } from '../errors.ts';
import type { SudoRow, SudoSource } from './source.ts';
import { MAX_SUDO_BYTES } from './text.ts';

const CHUNK_BYTES = 1_048_576;
const LF = 0x0a;

/**
 * @param maxLineBytes - for tests.
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`
 */
export function openLines(path: string, maxLineBytes: number = MAX_SUDO_BYTES): SudoSource {
  const file = resolve(path);
  try {
    // Without O_NONBLOCK opening a pipe would wait for whoever laid it there.
    const descriptor = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stat = fstatSync(descriptor);
    if (stat.isFile()) return new Lines(descriptor, stat.size, maxLineBytes);
    closeSync(descriptor);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new CountersignError('LEDGER_NOT_FOUND', `there is no ledger at ${file}`, { cause });
    throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${file} (${String(code)})`, { cause });
  }
  throw new CountersignError('LEDGER_UNREADABLE', `cannot read the ledger ${file}: it is not a regular file`);
}

class Lines implements SudoSource {
  readonly container = 'sudoagent-jsonl';
  readonly faults = [];
  readonly remarks = [];
  /** Size when it was opened: what a writer adds later is of another snapshot. */
  readonly total: number;
  done = 0;
  private readonly descriptor: number;
  private readonly maxLineBytes: number;
  private buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  /** Bytes of a line that has not ended, at the start of the buffer. */
  private held = 0;
  /** Bytes dropped of a line that is too long; 0 outside one. */
  private skipped = 0;

  constructor(descriptor: number, total: number, maxLineBytes: number) {
    this.descriptor = descriptor;
    this.total = total;
    this.maxLineBytes = maxLineBytes;
  }

  *chunks(): Generator<readonly SudoRow[]> {
    this.done = 0;
    this.held = 0;
    this.skipped = 0;
    while (this.read()) {
      const rows = this.takeLines();
      if (rows.length > 0) yield rows;
    }
    if (this.held > 0 || this.skipped > 0) yield [this.torn()];
  }

  close(): void {
    closeSync(this.descriptor);
  }

  /** Reads on behind what is held. @returns false at the end. */
  private read(): boolean {
    if (this.held === this.buffer.length) {
      const larger = Buffer.allocUnsafe(this.buffer.length * 2);
      this.buffer.copy(larger, 0, 0, this.held);
      this.buffer = larger;
    }
    const space = this.buffer.length - this.held;
    const left = this.total - this.done;
    // A line that was being written when the file was opened is read to its end, byte by byte: it is not torn.
    const wanted = left > 0 ? Math.min(space, left) : this.held > 0 || this.skipped > 0 ? 1 : 0;
    const count = wanted === 0 ? 0 : readSync(this.descriptor, this.buffer, this.held, wanted, this.done);
    this.held += count;
    this.done += count;
    return count > 0;
  }

  private takeLines(): readonly SudoRow[] {
    const { buffer, held } = this;
    const end = buffer.subarray(0, held).lastIndexOf(LF) + 1;
    const rows: SudoRow[] = [];
    const isText = isUtf8(buffer.subarray(0, end));
    for (let start = 0; start < end; ) {
      const stop = buffer.indexOf(LF, start);
      rows.push(this.row(start, stop, isText));
      start = stop + 1;
    }
    buffer.copyWithin(0, end, held);
    this.held = held - end;
    if (this.held > this.maxLineBytes) {
      this.skipped += this.held;
      this.held = 0;
    }
    return rows;
  }

  private row(start: number, stop: number, isText: boolean): SudoRow {
    const bytes = this.skipped + stop - start;
    this.skipped = 0;
    if (bytes > this.maxLineBytes) return tooLong(bytes, this.maxLineBytes);
    if (!isText && !isUtf8(this.buffer.subarray(start, stop))) return unreadable('the line is not valid UTF-8');
    return { text: this.buffer.toString('utf8', start, stop) };
  }

  private torn(): SudoRow {
    const bytes = this.skipped + this.held;
    const message = `the last line does not end: writing it was cut off after ${bytes} bytes, or the file was cut there`;
    return { text: undefined, fault: { code: 'LINE_TORN', message } };
  }
}

function tooLong(bytes: number, most: number): SudoRow {
  return unreadable(`the line has ${bytes} bytes, ${most} are the most`);
}

function unreadable(message: string): SudoRow {
  return { text: undefined, fault: { code: 'ENTRY_UNREADABLE', message } };
}
