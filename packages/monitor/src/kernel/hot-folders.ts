/**
 * Folders that every program reads from: compilers, packages. What is opened below one by its own folder, over no link and no other
 * mount, is where its name says, whatever happens to names meanwhile: one opening does, where others take two. All else goes that way.
 */
import { constants } from 'node:os';
import type { FileCalls } from '../native/file-calls.ts';
import { statusOf } from './file-status.ts';
import {
  AT_FDCWD,
  O_ASYNC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from './open-flags.ts';
import { zeroEnded } from './own-descriptors.ts';

const { ENOENT } = constants.errno;
const OPEN_HOW_BYTES = 24;
const SLASH = 47;

interface HotFolder {
  /** With a slash at its end. */
  readonly prefix: Buffer;
  readonly fd: number;
}

export class HotFolders {
  readonly #files: FileCalls;
  readonly #folders: readonly HotFolder[];
  readonly #how = Buffer.alloc(OPEN_HOW_BYTES);

  /** @param folders - absolute. Those that are not there, are a link, or the root are left out */
  constructor(files: FileCalls, folders: readonly string[]) {
    this.#files = files;
    this.#how.writeUInt32LE(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV, 16);
    this.#folders = folders.flatMap((folder) => this.#opened(folder) ?? []);
  }

  /** A descriptor; -ENOENT when it is not there; undefined: it is not known to be below one. */
  open(name: Buffer, flags: number): number | undefined {
    for (const { prefix, fd } of this.#folders) {
      if (name.length < prefix.length || !name.subarray(0, prefix.length).equals(prefix)) continue;
      const got = this.#files.openat2(fd, below(name, prefix.length), this.#asked(flags));
      // No link was met before the name that is missing.
      if (got === -ENOENT) return got;
      if (got < 0) continue;
      const type = statusOf(this.#files, got)?.type;
      if (type === 'file' || type === 'folder') return got;
      this.#files.close(got);
    }
    return undefined;
  }

  close(): void {
    for (const { fd } of this.#folders) this.#files.close(fd);
  }

  #asked(flags: number): Buffer {
    this.#how.writeUInt32LE((flags & ~O_ASYNC) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    return this.#how;
  }

  #opened(folder: string): HotFolder | undefined {
    const path = folder.replace(/\/+$/, '');
    if (!path.startsWith('/')) return undefined;
    const how = Buffer.alloc(OPEN_HOW_BYTES);
    how.writeUInt32LE(O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    how.writeUInt32LE(RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS, 16);
    const fd = this.#files.openat2(AT_FDCWD, zeroEnded(Buffer.from(path)), how);
    return fd < 0 ? undefined : { prefix: Buffer.from(`${path}/`), fd };
  }
}

function below(name: Buffer, from: number): Buffer {
  let at = from;
  while (name[at] === SLASH) at++;
  return at === name.length ? DOT : zeroEnded(name.subarray(at));
}

const DOT = Buffer.from('.\0');
