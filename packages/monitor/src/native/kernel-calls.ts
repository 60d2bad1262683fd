/**
 * The system calls behind kernel-mediated control: seccomp with its listener, other processes' memory, opening a path the careful
 * way. Through koffi as all of `native`; each thread loads its own.
 *
 * Every function answers like the kernel: zero or more is a result, less than zero is the negated errno (`errorName`).
 */
import type * as Koffi from 'koffi';
import { callsOf } from './calls-of.ts';

export interface KernelCalls {
  /** Of the calling thread; what it executes from then on gains no rights by it. Needed before a filter. */
  noNewPrivileges(): number;
  /** Puts the filter on the calling thread, and what comes of it. @returns the listener's descriptor */
  filterWithListener(program: Buffer): number;
  /** A copy of another process's descriptor. */
  pidfdGetfd(pidfd: number, fd: number): number;
  /** Waits for a trapped call: `struct seccomp_notif`, zeroed before. */
  receive(listener: number, notification: Buffer): number;
  /** `struct seccomp_notif_resp`. */
  send(listener: number, response: Buffer): number;
  /** Zero while the call still waits. @param id - of the notification, 8 bytes */
  isWaiting(listener: number, id: Buffer): number;
  /** `struct seccomp_notif_addfd`. @returns the descriptor's number there */
  addDescriptor(listener: number, request: Buffer): number;
  /** The kernel hands over the processor with the notification, where it can. */
  wakeSynchronously(listener: number): number;
  /** Into `into`, at most `length` bytes. @returns how many; stops where memory ends */
  readMemory(pid: number, address: bigint, into: Buffer, length: number): number;
  /** `struct pollfd` after another; waits for so long, -1 for ever. @returns how many are ready */
  poll(descriptors: Buffer, timeoutMs: number): number;
  eventfd(): number;
  openat(folder: number, path: string | Buffer, flags: number, mode: number): number;
  /** @param how - `struct open_how`, 24 bytes */
  openat2(folder: number, path: string | Buffer, how: Buffer): number;
  close(fd: number): number;
  /** From now on that number is of the same file as `by`; the file it was of is closed. */
  replace(fd: number, by: number): number;
  read(fd: number, into: Buffer): number;
  pread(fd: number, into: Buffer, at: number): number;
  write(fd: number, from: Buffer): number;
  /** Into the whole of `into`. @returns how many bytes that were */
  readlinkat(folder: number, path: string | Buffer, into: Buffer): number;
  /** The usual disposition of every signal, and none blocked. */
  resetSignals(): void;
  /** `struct statx` of what a path leads to, or a link itself. @param into - `STATX_BYTES` */
  statx(path: string | Buffer, follow: boolean, into: Buffer): number;
  /** An `int` among the options of a socket, at the level of sockets. */
  socketOption(fd: number, option: number): number;
  /** Who connected to a unix socket of ours, as the kernel had it then. Undefined where it does not say. */
  peerOf(fd: number): { readonly pid: number; readonly uid: number } | undefined;
  /** Names a process; with `isThread` one thread of it, where the kernel can (6.9). */
  pidfdOpen(pid: number, isThread: boolean): number;
  /** Zero while it has not ended. */
  isAlive(pidfd: number): number;
  /** All other descriptors are closed by the next exec; these three are not. */
  keepOnlyStandardStreams(): void;
  /** Becomes another program; comes back only when it cannot. Texts are without their end. @param envp - `NAME=value` */
  execve(path: Buffer, argv: readonly Buffer[], envp: readonly Buffer[]): number;
  /** At once: nothing of Node runs any more. */
  exit(code: number): void;
  /** Any call by number; at most six arguments. */
  syscall(number: number, ...args: readonly (number | bigint)[]): number;
  /** Any call by number with one pointer after one number: `landlock_*` and what else is rare. */
  addressOf(buffer: Buffer): bigint;
}

const SECCOMP = new Map([
  ['x64', 317],
  ['arm64', 277],
]);
const STATX = new Map([
  ['x64', 332],
  ['arm64', 291],
]);
const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;
const PIDFD_THREAD = 0o200;
const PIDFD_GETFD = 438;
const OPENAT2 = 437;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
/** A listener; and once a call was received, only what kills the process takes it out of its wait. */
const NEW_LISTENER_WAIT_KILLABLE = 0x8 | 0x20;
const IOCTL_RECV = 0xc050_2100;
const IOCTL_SEND = 0xc018_2101;
const IOCTL_ID_VALID = 0x4008_2102;
const IOCTL_ADDFD = 0x4018_2103;
const IOCTL_SET_FLAGS = 0x4008_2104;
const SYNC_WAKE_UP = 1;
const EFD_CLOEXEC = 0o2000000;
const DUP_CLOEXEC = 0o2000000;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC_AND_BIRTH = 0xfff;
const SOL_SOCKET = 1;
const INT_BYTES = 4;
const SO_PEERCRED = 17;
/** `struct ucred`: pid, uid, gid. */
const UCRED_BYTES = 12;
const F_SETFD = 2;
/** Since Linux 5.9; all descriptors from the fourth on are marked (5.11). */
const CLOSE_RANGE = 436;
const FIRST_OTHER = 3;
const LAST_DESCRIPTOR = 0xffff_ffff;
const CLOSE_ON_EXEC = 4;
const POINTER_BYTES = 8;
const MAX_CALL_PATH_BYTES = 32_768;
const MAX_UTF8_BYTES = 3;
const IOVEC_BYTES = 16;
const PROGRAM_HEADER_BYTES = 16;
const INSTRUCTION_BYTES = 8;
const LAST_SIGNAL = 64;
const SIG_SETMASK = 2;
const SIGNAL_SET_BYTES = 128;

/** @throws when the C library lacks a function */
export function kernelBindings(koffi: typeof Koffi, arch: string): KernelCalls {
  const libc = koffi.load(null);
  const fn = callsOf(koffi);
  const seccomp = SECCOMP.get(arch);
  const statxNumber = STATX.get(arch);
  if (seccomp === undefined || statxNumber === undefined) throw new RangeError(`system call numbers of ${arch} are not known`);
  const syscall = fn('syscall', 'long', ['long', 'long', 'long', 'long', 'long', 'long', 'long']);
  const withPointer = fn('syscall', 'long', ['long', 'ulong', 'ulong', 'void *']);
  const statx = fn('syscall', 'long', ['long', 'int', 'void *', 'int', 'uint', 'void *']);
  const getsockopt = fn('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']);
  const option = Buffer.alloc(INT_BYTES);
  const optionLength = Buffer.alloc(INT_BYTES);
  const openHow = fn('syscall', 'long', ['long', 'int', 'void *', 'void *', 'ulong']);
  const prctl = fn('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
  const ioctl = fn('ioctl', 'int', ['int', 'ulong', 'void *']);
  const ioctlValue = fn('ioctl', 'int', ['int', 'ulong', 'ulong']);
  const readv = fn('process_vm_readv', 'long', ['int', 'void *', 'ulong', 'void *', 'ulong', 'ulong']);
  const poll = fn('poll', 'int', ['void *', 'ulong', 'int']);
  const eventfd = fn('eventfd', 'int', ['uint', 'int']);
  const openat = fn('openat', 'int', ['int', 'void *', 'int', 'uint']);
  const close = fn('close', 'int', ['int']);
  const dup3 = fn('dup3', 'int', ['int', 'int', 'int']);
  const read = fn('read', 'long', ['int', 'void *', 'size_t']);
  const pread = fn('pread', 'long', ['int', 'void *', 'size_t', 'long']);
  const write = fn('write', 'long', ['int', 'void *', 'size_t']);
  const readlinkat = fn('readlinkat', 'long', ['int', 'void *', 'void *', 'size_t']);
  const signal = libc.func('signal', 'void *', ['int', 'void *']);
  const sigprocmask = fn('sigprocmask', 'int', ['int', 'void *', 'void *']);
  const toPidfd = fn('syscall', 'long', ['long', 'int', 'int', 'void *', 'uint']);
  const addressOf = (buffer: Buffer): bigint => BigInt(koffi.address(buffer));
  const cString = (path: string | Buffer): Buffer => Buffer.concat([typeof path === 'string' ? Buffer.from(path) : path, NUL]);
  const fcntl = fn('fcntl', 'int', ['int', 'int', 'int']);
  const execve = fn('execve', 'int', ['void *', 'void *', 'void *']);
  const exitNow = libc.func('_exit', 'void', ['int']);
  const kept: Buffer[] = [];
  // One for all: it is read before the call it is for returns.
  const pathBytes = Buffer.alloc(MAX_CALL_PATH_BYTES);
  const pathOf = (path: string | Buffer): Buffer => {
    if (path.length * MAX_UTF8_BYTES >= pathBytes.length) return cString(path);
    pathBytes[typeof path === 'string' ? pathBytes.write(path) : path.copy(pathBytes)] = 0;
    return pathBytes;
  };
  const local = Buffer.alloc(IOVEC_BYTES);
  const remote = Buffer.alloc(IOVEC_BYTES);
  const localWords = new BigUint64Array(local.buffer, local.byteOffset, IOVEC_BYTES / 8);
  const remoteWords = new BigUint64Array(remote.buffer, remote.byteOffset, IOVEC_BYTES / 8);
  let readInto: Buffer | undefined;
  return {
    noNewPrivileges: () => prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    filterWithListener: (program) => {
      const header = Buffer.alloc(PROGRAM_HEADER_BYTES);
      header.writeUInt16LE(program.length / INSTRUCTION_BYTES, 0);
      header.writeBigUInt64LE(addressOf(program), 8);
      return withPointer(seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER_WAIT_KILLABLE, header);
    },
    pidfdGetfd: (pidfd, fd) => syscall(PIDFD_GETFD, pidfd, fd, 0, 0, 0, 0),
    receive: (listener, notification) => ioctl(listener, IOCTL_RECV, notification),
    send: (listener, response) => ioctl(listener, IOCTL_SEND, response),
    isWaiting: (listener, id) => ioctl(listener, IOCTL_ID_VALID, id),
    addDescriptor: (listener, request) => ioctl(listener, IOCTL_ADDFD, request),
    wakeSynchronously: (listener) => ioctlValue(listener, IOCTL_SET_FLAGS, SYNC_WAKE_UP),
    readMemory: (pid, address, into, length) => {
      if (into !== readInto) {
        readInto = into;
        localWords[0] = addressOf(into);
      }
      remoteWords[0] = address;
      localWords[1] = remoteWords[1] = BigInt(length);
      return readv(pid, local, 1, remote, 1, 0);
    },
    poll: (descriptors, timeoutMs) => poll(descriptors, descriptors.length / POLLFD_BYTES, timeoutMs),
    eventfd: () => eventfd(0, EFD_CLOEXEC),
    openat: (folder, path, flags, mode) => openat(folder, pathOf(path), flags, mode),
    openat2: (folder, path, how) => openHow(OPENAT2, folder, pathOf(path), how, how.length),
    close,
    replace: (fd, by) => dup3(by, fd, DUP_CLOEXEC),
    read: (fd, into) => read(fd, into, into.length),
    pread: (fd, into, at) => pread(fd, into, into.length, at),
    write: (fd, from) => write(fd, from, from.length),
    readlinkat: (folder, path, into) => readlinkat(folder, pathOf(path), into, into.length),
    resetSignals: () => {
      for (let number = 1; number <= LAST_SIGNAL; number++) signal(number, null);
      sigprocmask(SIG_SETMASK, Buffer.alloc(SIGNAL_SET_BYTES), null);
    },
    statx: (path, follow, into) =>
      statx(statxNumber, AT_FDCWD, pathOf(path), follow ? 0 : AT_SYMLINK_NOFOLLOW, STATX_BASIC_AND_BIRTH, into),
    socketOption: (fd, name) => {
      optionLength.writeInt32LE(INT_BYTES, 0);
      const got = getsockopt(fd, SOL_SOCKET, name, option, optionLength);
      return got < 0 ? got : option.readInt32LE(0);
    },
    peerOf: (fd) => {
      const peer = Buffer.alloc(UCRED_BYTES);
      optionLength.writeInt32LE(UCRED_BYTES, 0);
      const got = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, optionLength);
      const pid = peer.readInt32LE(0);
      return got < 0 || pid < 1 ? undefined : { pid, uid: peer.readUInt32LE(INT_BYTES) };
    },
    pidfdOpen: (pid, isThread) => syscall(PIDFD_OPEN, pid, isThread ? PIDFD_THREAD : 0, 0, 0, 0, 0),
    isAlive: (pidfd) => toPidfd(PIDFD_SEND_SIGNAL, pidfd, 0, null, 0),
    keepOnlyStandardStreams: () => {
      syscall(CLOSE_RANGE, FIRST_OTHER, LAST_DESCRIPTOR, CLOSE_ON_EXEC, 0, 0, 0);
      // Node marks all that it was started with.
      for (let fd = 0; fd < FIRST_OTHER; fd++) fcntl(fd, F_SETFD, 0);
    },
    execve: (path, argv, envp) => {
      // Addresses keep nothing alive.
      const texts = [path, ...argv, ...envp].map(cString);
      kept.push(...texts);
      const list = (from: number, to: number): Buffer => {
        const pointers = Buffer.alloc((to - from + 1) * POINTER_BYTES);
        for (let index = from; index < to; index++)
          pointers.writeBigUInt64LE(addressOf(texts[index] ?? NUL), (index - from) * POINTER_BYTES);
        return pointers;
      };
      return execve(texts[0], list(1, 1 + argv.length), list(1 + argv.length, texts.length));
    },
    exit: (code) => void exitNow(code),
    syscall: (number, ...args) => syscall(number, ...args, ...Array.from({ length: 6 - args.length }, () => 0)),
    addressOf,
  };
}

export const POLLFD_BYTES = 8;
export const STATX_BYTES = 256;
const NUL = Buffer.alloc(1);
