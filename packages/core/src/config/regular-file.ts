/** Reading the files a policy comes from: whole, bounded, and without waiting for anybody. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { CountersignError, type ErrorCode } from '../errors.ts';

export interface RegularFileOptions {
  readonly maxBytes: number;
  /** What to do about a file that is not there. */
  readonly notFound: string;
  /** A byte order mark stays in the text; default: it is dropped. */
  readonly ignoreBOM?: boolean;
  /** The code for everything but a missing file; `CONFIG_INVALID` when absent. */
  readonly invalid?: ErrorCode;
}

/** @throws {CountersignError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID` for what cannot be read, is no regular file, too large or no text. */
export function readRegularText(
  path: string,
  { maxBytes, notFound, ignoreBOM = false, invalid = 'CONFIG_INVALID' }: RegularFileOptions,
): string {
  const refuse = (what: string, cause?: unknown, code: ErrorCode = invalid): never => {
    throw new CountersignError(code, `${path}: ${what}`, cause === undefined ? {} : { cause });
  };
  const system = (cause: unknown): never => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return refuse(notFound, cause, 'CONFIG_NOT_FOUND');
    return refuse(`cannot be read${code === '' ? '' : ` (${code})`}`, cause);
  };
  let file: number;
  try {
    // O_NONBLOCK (0 where there is none): a named pipe laid at that path must not make the start, or a running guard, hang.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    return system(cause);
  }
  let bytes: Buffer;
  try {
    if (!fstatSync(file).isFile()) return refuse('is not a regular file; copy its content into one and name that');
    bytes = upTo(maxBytes + 1, file);
  } catch (cause) {
    if (CountersignError.is(cause)) throw cause;
    return system(cause);
  } finally {
    closeSync(file);
  }
  if (bytes.length > maxBytes) refuse(`the file is larger than ${maxBytes} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM }).decode(bytes);
  } catch (cause) {
    return refuse('not UTF-8 text', cause);
  }
}

/** However large the file says it is: it may grow while it is read. */
function upTo(limit: number, file: number): Buffer {
  const bytes = Buffer.alloc(limit);
  let length = 0;
  for (let count = -1; count !== 0 && length < limit; length += count) count = readSync(file, bytes, length, limit - length, null);
  return bytes.subarray(0, length);
}
