/** Files that are made for another process: with its umask, in the folder that was judged, over no link. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { FileCalls } from '../native/file-calls.ts';
import { numberIn } from './broker-proc.ts';
import { type Missing, splitName, type There } from './broker-walk.ts';
import type { OpenRequest } from './decoded.ts';
import { statusOf } from './file-status.ts';
import { AT_FDCWD, O_ASYNC, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NONBLOCK, O_PATH, O_TRUNC } from './open-flags.ts';
import { zeroEnded } from './own-descriptors.ts';

const { EACCES } = constants.errno;
/** The calling thread gets its own working directory, root and umask: those of the other threads stay as they are. */
const CLONE_FS = 0x200;
/** Of a process that does not tell: nobody else gets anything. */
const STRICT_UMASK = 0o077;
const MODE_BITS = 0o7777;
const STICKY = 0o1000;
const FOR_ALL = 0o002;
const FOR_GROUP = 0o020;

export class Creating {
  readonly #files: FileCalls;
  readonly #hasOwnUmask: boolean;
  readonly #uid = process.geteuid?.() ?? -1;
  readonly #protectedFiles = numberIn('/proc/sys/fs/protected_regular');
  readonly #protectedFifos = numberIn('/proc/sys/fs/protected_fifos');

  constructor(files: FileCalls) {
    this.#files = files;
    this.#hasOwnUmask = files.unshare(CLONE_FS) >= 0;
  }

  /** New, or -EEXIST: what is there is never touched. @returns a descriptor, or the negated errno */
  make({ folder, name }: Missing, { tid, flags, mode }: OpenRequest): number {
    // Nothing that is there is opened or followed so.
    const withFlags = (flags & ~(O_TRUNC | O_ASYNC)) | O_CREAT | O_EXCL | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    return this.withUmask(tid, () => this.#files.openat(folder, name, withFlags, mode & MODE_BITS));
  }

  /** Does it with the umask of that process. */
  withUmask(tid: number, make: () => number): number {
    if (!this.#hasOwnUmask) return -EACCES;
    const before = this.#files.umask(umaskOf(tid));
    try {
      return make();
    } finally {
      this.#files.umask(before);
    }
  }

  /** Where everybody may write, the kernel opens the file of somebody else only for those who did not want to make one. */
  errnoOfExisting({ status, real }: There): number | undefined {
    const level = status.type === 'fifo' ? this.#protectedFifos : status.type === 'file' ? this.#protectedFiles : 0;
    if (level === 0 || status.uid === this.#uid || real?.startsWith('/') !== true) return undefined;
    const fd = this.#files.openat(AT_FDCWD, zeroEnded(splitName(Buffer.from(real)).folder), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    const folder = fd < 0 ? undefined : statusOf(this.#files, fd);
    if (fd >= 0) this.#files.close(fd);
    if (folder === undefined) return EACCES;
    if ((folder.mode & STICKY) === 0 || folder.uid === status.uid) return undefined;
    return (folder.mode & FOR_ALL) !== 0 || (level >= 2 && (folder.mode & FOR_GROUP) !== 0) ? EACCES : undefined;
  }
}

function umaskOf(tid: number): number {
  try {
    const found = /^Umask:\t([0-7]{1,4})$/m.exec(readFileSync(`/proc/${tid}/status`, 'latin1'))?.[1];
    return found === undefined ? STRICT_UMASK : Number.parseInt(found, 8);
  } catch {
    return STRICT_UMASK;
  }
}
