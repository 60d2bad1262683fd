/** Descriptors of ours by number: where one leads, and opening what it is of once more. */
import { constants } from 'node:os';
import type { FileCalls } from '../native/file-calls.ts';
import type { FileStatus } from './file-status.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from './open-flags.ts';

const AT_SYMLINK_FOLLOW = 0x400;
const MAX_LINK_BYTES = 4_096;
const DELETED = ' (deleted)';
const { EMFILE, ENFILE, ENOMEM } = constants.errno;
/** Numbers up to here are written once. */
const MAX_KEPT = 4_096;

export class OwnDescriptors {
  readonly #files: FileCalls;
  readonly #folder: number;
  readonly #link = Buffer.alloc(MAX_LINK_BYTES);
  readonly #numbers: Buffer[] = [];

  constructor(files: FileCalls) {
    this.#files = files;
    this.#folder = files.openat(AT_FDCWD, zeroEnded('/proc/self/fd'), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  }

  /** Bytes as the kernel gives them. Undefined: longer than any text it gives, or there is no /proc. */
  linkOf(fd: number): Buffer | undefined {
    const got = this.#files.readlinkat(this.#folder, this.#number(fd), this.#link);
    return got <= 0 || got >= MAX_LINK_BYTES ? undefined : this.#link.subarray(0, got);
  }

  /** Where it leads, for the rules; without what the kernel adds to a name that is gone. */
  realPath(fd: number, status: FileStatus): string | undefined {
    const text = this.linkOf(fd)?.toString('utf8');
    return status.links === 0 && text?.endsWith(DELETED) === true ? text.slice(0, -DELETED.length) : text;
  }

  /** The very file, whatever its name is by now. @returns a descriptor, or the negated errno */
  reopen(fd: number, flags: number, mode = 0): number {
    return this.#files.openat(this.#folder, this.#number(fd), flags | O_CLOEXEC, mode);
  }

  /** One more name for the very file. @returns 0, or the negated errno */
  link(fd: number, folder: number, name: Buffer): number {
    return this.#files.linkat(this.#folder, this.#number(fd), folder, name, AT_SYMLINK_FOLLOW);
  }

  close(): void {
    this.#files.close(this.#folder);
  }

  #number(fd: number): Buffer {
    const kept = this.#numbers[fd];
    if (kept !== undefined) return kept;
    const made = zeroEnded(String(fd));
    if (fd < MAX_KEPT) this.#numbers[fd] = made;
    return made;
  }
}

/** We have no descriptor left. What could not be looked up for that could be anything, and the process may well get it. @param errno - positive */
export function isOutOfDescriptors(errno: number): boolean {
  return errno === EMFILE || errno === ENFILE || errno === ENOMEM;
}

export function zeroEnded(text: string | Buffer): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
  const made = Buffer.alloc(bytes.length + 1);
  bytes.copy(made);
  return made;
}
