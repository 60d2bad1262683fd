/** A file that is there whole, or not at all. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, createWriteStream, existsSync, linkSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { FileExistsError } from './failure.ts';

/** The file may hold secrets of other people than its reader's. */
const FILE_MODE = 0o600;
/** How files begin that no output of ours replaces: databases, keys. */
const PRECIOUS = ['SQLite format 3\0', '-----BEGIN '];

/**
 * Writes under another name first: what stands at the path is always the whole text, durable.
 *
 * @param force - replaces a file that is there, unless it is a database or a key: a ledger is not written anew by mistake.
 * @throws {FileExistsError}; whatever the file system says.
 */
export async function writeWhole(path: string, texts: Iterable<string>, force: boolean): Promise<void> {
  if (!force && existsSync(path)) throw exists(path);
  if (isPrecious(path)) throw new FileExistsError(path, 'it is a database or a key, which --force does not replace: name another file');
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const stream = createWriteStream(temporary, { flags: 'wx', mode: FILE_MODE, flush: true });
  const done = finished(stream);
  // Looked at below, once everything was handed over.
  done.catch(() => {});
  try {
    for (const text of texts) {
      if (!stream.write(text)) await Promise.race([done, new Promise<void>((resolved) => stream.once('drain', () => resolved()))]);
    }
    stream.end();
    await done;
    if (force) renameSync(temporary, path);
    else linkNew(temporary, path);
  } finally {
    stream.destroy();
    rmSync(temporary, { force: true });
  }
}

function isPrecious(path: string): boolean {
  let file: number;
  try {
    // O_NONBLOCK: a pipe laid there must not make this hang.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch {
    return false;
  }
  try {
    const start = Buffer.alloc(16);
    const text = start.toString('latin1', 0, readSync(file, start, 0, start.length, 0));
    return PRECIOUS.some((mark) => text.startsWith(mark));
  } catch {
    // A folder, or something that cannot be read: renaming tells.
    return false;
  } finally {
    closeSync(file);
  }
}

/** Fails when something appeared at the path meanwhile, which a rename would replace. */
function linkNew(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw exists(path);
    throw error;
  }
}

function exists(path: string): FileExistsError {
  return new FileExistsError(path, 'name another file, or replace it with --force');
}
