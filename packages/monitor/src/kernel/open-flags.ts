/** Flags of opening, as this architecture numbers them: some differ between x86-64 and arm64. */
import { constants } from 'node:fs';
import type { FileAction } from '../activity.ts';

export const O_WRONLY: number = constants.O_WRONLY;
export const O_RDWR: number = constants.O_RDWR;
export const O_CREAT: number = constants.O_CREAT;
export const O_EXCL: number = constants.O_EXCL;
export const O_TRUNC: number = constants.O_TRUNC;
export const O_APPEND: number = constants.O_APPEND;
export const O_NONBLOCK: number = constants.O_NONBLOCK;
export const O_NOCTTY: number = constants.O_NOCTTY;
export const O_DIRECTORY: number = constants.O_DIRECTORY;
export const O_NOFOLLOW: number = constants.O_NOFOLLOW;
export const O_DIRECT: number = constants.O_DIRECT;
export const O_NOATIME: number = constants.O_NOATIME;
export const O_ACCMODE = 0o3;
export const O_ASYNC = 0o20000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
/** Without `O_DIRECTORY`, which is the other half of `O_TMPFILE`. */
export const O_TMPFILE = 0o20000000;
/** Anything but reading what is there. */
export const WRITES: number = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_TMPFILE;

/** What it does besides giving a descriptor to read, or to read and write. */
export function opensBy(flags: number): FileAction['by'] {
  if ((flags & O_TRUNC) !== 0) return 'truncate';
  return (flags & O_ACCMODE) === O_WRONLY ? 'overwrite' : undefined;
}

export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;
export const RESOLVE_IN_ROOT = 0x10;
export const RESOLVE_CACHED = 0x20;

export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
