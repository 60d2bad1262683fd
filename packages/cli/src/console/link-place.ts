/**
 * Where login links go: to a terminal, where a person reads them, or into a file that only its owner can read. Nowhere else:
 * whoever has a link answers approvals, and pipes end in logs.
 */
import { closeSync, constants, fstatSync, ftruncateSync, lstatSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { FileExistsError, UsageError } from '../failure.ts';
import type { Io } from '../io.ts';

export interface LinkPlace {
  put(link: string): void;
  close(): void;
}

const FILE_MODE = 0o600;

/** @throws {UsageError} without a terminal; {FileExistsError}; whatever the file system says. */
export function linkPlace(io: Io, file: string | undefined): LinkPlace {
  if (file !== undefined) return new LinkFile(resolve(io.cwd, file));
  if (!io.isTTY.stdout || !io.isTTY.stderr) {
    throw new UsageError(
      'the login link is shown on a terminal only, and standard output or error is none',
      'run it in a terminal, or have the link written to a file with --link-file FILE',
    );
  }
  return {
    put: (link) => void io.stderr.write(`log in, once, within five minutes: ${link}\n`),
    close: () => {},
  };
}

/** Always the same open file: whoever lays a link or another file at its path later gets nothing. */
class LinkFile implements LinkPlace {
  readonly #path: string;
  readonly #file: number;

  constructor(path: string) {
    this.#path = path;
    try {
      // EXCL: not through a link, not into a file somebody else has open.
      this.#file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0), FILE_MODE);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
        throw new FileExistsError(path, 'remove it, or name another --link-file: only a new file is surely read by nobody else');
      throw error;
    }
  }

  put(link: string): void {
    ftruncateSync(this.#file, 0);
    writeSync(this.#file, `${link}\n`, 0);
  }

  close(): void {
    try {
      ftruncateSync(this.#file, 0);
      const [ours, there] = [fstatSync(this.#file), lstatSync(this.#path, { throwIfNoEntry: false })];
      if (there !== undefined && there.ino === ours.ino && there.dev === ours.dev) unlinkSync(this.#path);
    } finally {
      closeSync(this.#file);
    }
  }
}
