/** Files somebody else may have laid out: opened without ever waiting, read no further than they reached when opened. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { CountersignError } from '../errors.ts';

/** A regular file as long as it was when it was opened: what is appended later is not seen. */
export interface OpenFile {
  readonly path: string;
  readonly sizeBytes: number;
  /**
   * Fills the buffer from a position on, as far as the file reaches.
   * @returns how many bytes; fewer than there must be when the file was cut meanwhile.
   */
  read(buffer: Uint8Array, position: number): number;
  close(): void;
}

/** @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE` */
export function openFile(path: string): OpenFile {
  const descriptor = openDescriptor(path);
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw unreadable(path, 'it is not a regular file');
    return new RegularFile(path, descriptor, stat.size);
  } catch (cause) {
    closeSync(descriptor);
    throw cause;
  }
}

function openDescriptor(path: string): number {
  try {
    // Without O_NONBLOCK opening a pipe would wait for whoever laid it there; Windows has neither.
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const code = String((cause as NodeJS.ErrnoException).code);
    if (code === 'ENOENT') throw new CountersignError('LEDGER_NOT_FOUND', `there is no file at ${path}`, { cause });
    throw unreadable(path, code, cause);
  }
}

class RegularFile implements OpenFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #descriptor: number;

  constructor(path: string, descriptor: number, sizeBytes: number) {
    this.path = path;
    this.#descriptor = descriptor;
    this.sizeBytes = sizeBytes;
  }

  read(buffer: Uint8Array, position: number): number {
    const wanted = Math.max(0, Math.min(buffer.length, this.sizeBytes - position));
    let length = 0;
    while (length < wanted) {
      const read = readSync(this.#descriptor, buffer, length, wanted - length, position + length);
      if (read === 0) break;
      length += read;
    }
    return length;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function unreadable(path: string, why: string, cause?: unknown): CountersignError {
  return new CountersignError('LEDGER_UNREADABLE', `cannot read ${path}: ${why}`, cause === undefined ? {} : { cause });
}
