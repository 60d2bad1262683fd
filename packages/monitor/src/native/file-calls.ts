/**
 * System calls on files by descriptor, for whoever opens and changes files in the place of another process. Paths are bytes with a zero
 * at their end, in buffers of the caller: nothing is copied on the way. Every function answers like the kernel, as all of `native`.
 */
import type * as Koffi from 'koffi';

export interface FileCalls {
  openat(folder: number, path: Buffer, flags: number, mode: number): number;
  /** @param how - `struct open_how` and what may follow it */
  openat2(folder: number, path: Buffer, how: Buffer): number;
  close(fd: number): number;
  /** `struct statx`, 256 bytes: the same on every architecture. */
  statx(folder: number, path: Buffer, flags: number, mask: number, into: Buffer): number;
  /** `struct statfs`: its first 8 bytes say which kind of file system. */
  fstatfs(fd: number, into: Buffer): number;
  readlinkat(folder: number, path: Buffer, into: Buffer): number;
  fcntl(fd: number, command: number, argument: number): number;
  dup(fd: number): number;
  /** Of the calling thread, once it has its own; gives the one before. */
  umask(mask: number): number;
  /** What the calling thread shared with others until now. */
  unshare(flags: number): number;
  unlinkat(folder: number, path: Buffer, flags: number): number;
  renameat2(from: number, fromPath: Buffer, to: number, toPath: Buffer, flags: number): number;
  linkat(from: number, fromPath: Buffer, to: number, toPath: Buffer, flags: number): number;
  symlinkat(text: Buffer, folder: number, path: Buffer): number;
  mknodat(folder: number, path: Buffer, mode: number, device: bigint): number;
  ftruncate(fd: number, length: bigint): number;
  /** Two descriptors of 4 bytes each. */
  pipe(into: Buffer, flags: number): number;
  /** Copies from pipe to pipe; what is copied stays. */
  tee(from: number, to: number, length: number, flags: number): number;
  read(fd: number, into: Buffer): number;
}

const OPENAT2 = 437;
const RENAMEAT2 = new Map([
  ['x64', 316],
  ['arm64', 276],
]);

/** @throws when the C library lacks a function */
export function fileBindings(koffi: typeof Koffi, arch: string): FileCalls {
  const libc = koffi.load(null);
  const renameNumber = RENAMEAT2.get(arch);
  if (renameNumber === undefined) throw new RangeError(`system call numbers of ${arch} are not known`);
  const errno = (): number => -koffi.errno();
  const openat = libc.func('openat', 'int', ['int', 'void *', 'int', 'uint']);
  const openHow = libc.func('syscall', 'int', ['long', 'int', 'void *', 'void *', 'ulong']);
  const renames = libc.func('syscall', 'int', ['long', 'int', 'void *', 'int', 'void *', 'uint']);
  const close = libc.func('close', 'int', ['int']);
  const statx = libc.func('statx', 'int', ['int', 'void *', 'int', 'uint', 'void *']);
  const fstatfs = libc.func('fstatfs', 'int', ['int', 'void *']);
  const readlinkat = libc.func('readlinkat', 'long', ['int', 'void *', 'void *', 'ulong']);
  const fcntl = libc.func('fcntl', 'int', ['int', 'int', 'long']);
  const dup = libc.func('fcntl', 'int', ['int', 'int', 'long']);
  const umask = libc.func('umask', 'uint', ['uint']);
  const unshare = libc.func('unshare', 'int', ['int']);
  const unlinkat = libc.func('unlinkat', 'int', ['int', 'void *', 'int']);
  const linkat = libc.func('linkat', 'int', ['int', 'void *', 'int', 'void *', 'int']);
  const symlinkat = libc.func('symlinkat', 'int', ['void *', 'int', 'void *']);
  const mknodat = libc.func('mknodat', 'int', ['int', 'void *', 'uint', 'uint64']);
  const ftruncate = libc.func('ftruncate', 'int', ['int', 'int64']);
  const pipe = libc.func('pipe2', 'int', ['void *', 'int']);
  const tee = libc.func('tee', 'long', ['int', 'int', 'ulong', 'uint']);
  const read = libc.func('read', 'long', ['int', 'void *', 'ulong']);
  const told = (answer: number): number => (answer < 0 ? errno() : answer);
  return {
    openat: (folder, path, flags, mode) => told(openat(folder, path, flags, mode)),
    openat2: (folder, path, how) => told(openHow(OPENAT2, folder, path, how, how.length)),
    close: (fd) => told(close(fd)),
    statx: (folder, path, flags, mask, into) => told(statx(folder, path, flags, mask, into)),
    fstatfs: (fd, into) => told(fstatfs(fd, into)),
    readlinkat: (folder, path, into) => told(Number(readlinkat(folder, path, into, into.length))),
    fcntl: (fd, command, argument) => told(fcntl(fd, command, argument)),
    dup: (fd) => told(dup(fd, F_DUPFD_CLOEXEC, 0)),
    umask: (mask) => umask(mask),
    unshare: (flags) => told(unshare(flags)),
    unlinkat: (folder, path, flags) => told(unlinkat(folder, path, flags)),
    renameat2: (from, fromPath, to, toPath, flags) => told(renames(renameNumber, from, fromPath, to, toPath, flags)),
    linkat: (from, fromPath, to, toPath, flags) => told(linkat(from, fromPath, to, toPath, flags)),
    symlinkat: (text, folder, path) => told(symlinkat(text, folder, path)),
    mknodat: (folder, path, mode, device) => told(mknodat(folder, path, mode, device)),
    ftruncate: (fd, length) => told(ftruncate(fd, length)),
    pipe: (into, flags) => told(pipe(into, flags)),
    tee: (from, to, length, flags) => told(Number(tee(from, to, length, flags))),
    read: (fd, into) => told(Number(read(fd, into, into.length))),
  };
}

const F_DUPFD_CLOEXEC = 1030;
