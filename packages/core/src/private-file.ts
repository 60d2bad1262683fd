/** Files that only their owner may read: keys, and secrets that the configuration names. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

const GROUP_AND_OTHERS = 0o077;

/**
 * The content of a file that is open to its owner alone (where the platform tells).
 *
 * @param path - goes into messages; the content does not.
 * @param maxBytes - a longer file is refused.
 * @param refused - makes the error. `code`: the system's, when the file could not be opened.
 * @throws what `refused` makes.
 */
export function readPrivateFile(path: string, maxBytes: number, refused: (what: string, code?: string) => Error): string {
  let file: number;
  try {
    // O_NONBLOCK (0 where there is none): a named pipe laid at that path must not make the start hang.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw refused(`${path} cannot be opened (${code})`, code);
  }
  const bytes = Buffer.alloc(maxBytes + 1);
  try {
    // Of the open file, not of the path: whatever is swapped in afterwards is not what was checked.
    const stats = fstatSync(file);
    if (!stats.isFile()) throw refused(`${path} is not a regular file`);
    if (process.platform !== 'win32' && (stats.mode & GROUP_AND_OTHERS) !== 0)
      throw refused(`${path} is open to other users (mode ${(stats.mode & 0o777).toString(8)}); run: chmod 600 ${path}`);
    const length = readUpTo(file, bytes);
    if (length > maxBytes) throw refused(`${path} is longer than ${maxBytes} bytes`);
    return bytes.toString('utf8', 0, length);
  } finally {
    bytes.fill(0);
    closeSync(file);
  }
}

function readUpTo(file: number, bytes: Buffer): number {
  let length = 0;
  for (;;) {
    const count = readSync(file, bytes, length, bytes.length - length, null);
    length += count;
    if (count === 0 || length === bytes.length) return length;
  }
}
