/** Reading the small files a command line names: checkpoints, public keys, passphrases. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from './failure.ts';

export const MAX_SMALL_FILE_BYTES = 1_048_576;

/**
 * Text of a regular file of at most `MAX_SMALL_FILE_BYTES`. A symbolic link is followed; what counts is where it leads.
 *
 * @param what - what names the file, for messages: `--against`.
 * @throws {UsageError} for a pipe, a device, a folder or a larger file; a system error when it cannot be opened.
 */
export function readSmallFile(path: string, cwd: string, what: string): string {
  return readFileBytes(path, cwd, what, MAX_SMALL_FILE_BYTES).toString('utf8');
}

/** Bytes of a regular file of at most `maxBytes`; otherwise as `readSmallFile`. */
export function readFileBytes(path: string, cwd: string, what: string, maxBytes: number): Buffer {
  // Without O_NONBLOCK opening a pipe would wait for whoever laid it there; Windows has neither.
  const file = openSync(resolve(cwd, path), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new UsageError(`${what}: ${path} is not a regular file`, 'copy its content into a file and name that');
    if (stat.size > maxBytes) throw tooLarge(path, what, maxBytes);
    return readAll(file, path, what, Math.min(stat.size + SPARE_BYTES, maxBytes + 1));
  } finally {
    closeSync(file);
  }
}

/** Read beyond the size that was told. It may be outdated, or a file system's invention: what is read is bounded too. */
const SPARE_BYTES = 65_536;

function readAll(file: number, path: string, what: string, limit: number): Buffer {
  const buffer = Buffer.alloc(limit);
  let length = 0;
  for (;;) {
    const read = readSync(file, buffer, length, buffer.length - length, null);
    if (read === 0) return buffer.subarray(0, length);
    length += read;
    if (length >= limit) throw tooLarge(path, what, limit - 1);
  }
}

function tooLarge(path: string, what: string, maxBytes: number): UsageError {
  return new UsageError(`${what}: the file ${path} is larger than ${maxBytes} bytes`, 'check that it is the file you mean');
}
