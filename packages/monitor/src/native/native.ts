/**
 * The few system calls that Node does not have, through koffi. The only file that loads it, and only when first asked: it is an
 * optional peer, and without it the monitor sees less and signals after a check instead of through a descriptor.
 *
 * Every function answers like the kernel: zero or more is a result, less than zero is the negated errno (`errorName`).
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import type * as Koffi from 'koffi';
import { callsOf } from './calls-of.ts';
import { type FanotifyCalls, fanotifyBindings } from './fanotify-calls.ts';
import { type FileCalls, fileBindings } from './file-calls.ts';
import { type KernelCalls, kernelBindings } from './kernel-calls.ts';
import { type TerminalCalls, terminalBindings } from './terminal-calls.ts';

export interface Native {
  /** A descriptor that means this very process, also after it ended. */
  pidfdOpen(pid: number): number;
  pidfdSignal(pidfd: number, signal: number): number;
  /** Orphans below this process become its children from now on. */
  becomeSubreaper(): number;
  /** Of this one child; never waits. `pid` is 0 while it runs. The status is the raw one of wait(2). */
  waitpid(pid: number): { readonly pid: number; readonly status: number };
  /** For descriptors that come from here: in a thread, Node warns of those it did not open. */
  close(fd: number): number;
  /** Lets the calling thread go before others, where that is allowed. */
  raisePriority(): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer): number;
  setsockopt(fd: number, level: number, name: number, value: Buffer): number;
  send(fd: number, message: Buffer): number;
  /** Received or read into the whole of `into`; how many bytes that were. */
  recv(fd: number, into: Buffer): number;
  read(fd: number, into: Buffer): number;
  inotifyInit(): number;
  inotifyAdd(fd: number, path: string, mask: number): number;
  inotifyRemove(fd: number, watch: number): number;
  /** Calls back whenever the descriptor is readable, on this thread's loop, until the returned function ends it. Keeps nothing alive. */
  onReadable(fd: number, callback: () => void): () => void;
  readonly kernel: KernelCalls;
  readonly fanotify: FanotifyCalls;
  readonly files: FileCalls;
  readonly terminal: TerminalCalls;
}

/** What loading needs to know of its surroundings; tests give their own. */
export interface NativeHost {
  readonly platform: string;
  readonly arch: string;
  readonly load: () => typeof Koffi;
}

export type NativeLoaded =
  | { readonly native: Native; readonly reason?: undefined }
  | { readonly native?: undefined; readonly reason: string };

let loaded: NativeLoaded | undefined;

/** Undefined where there is none: `nativeMissing()` says why. Loads once. */
export function native(): Native | undefined {
  return here().native;
}

/** Why `native()` is undefined, for people; undefined where it is not. */
export function nativeMissing(): string | undefined {
  return here().reason;
}

function here(): NativeLoaded {
  loaded ??= loadNative({ platform: process.platform, arch: process.arch, load: () => createRequire(import.meta.url)('koffi') });
  return loaded;
}

/** Never throws. */
export function loadNative({ platform, arch, load }: NativeHost): NativeLoaded {
  if (platform !== 'linux') return { reason: `kernel sensors need linux, this is ${platform}` };
  const numbers = SYSCALLS.get(arch);
  if (numbers === undefined) return { reason: `system call numbers of ${arch} are not known` };
  let koffi: typeof Koffi;
  try {
    koffi = load();
  } catch {
    return { reason: 'koffi is not installed or does not load here: npm install koffi' };
  }
  try {
    return { native: bindings(koffi, numbers, arch) };
  } catch {
    return { reason: 'the C library of this host lacks a function that is needed' };
  }
}

const ERROR_NAMES: ReadonlyMap<number, string> = new Map(
  // Some numbers have two names; the first one listed is the usual one.
  Object.entries(constants.errno)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/** `ESRCH` for -3. */
export function errorName(result: number): string {
  return ERROR_NAMES.get(-result) ?? `errno ${-result}`;
}

interface SyscallNumbers {
  readonly pidfdSendSignal: number;
  readonly pidfdOpen: number;
}

/** Calls added since Linux 5.0 have one number on all architectures; what is older goes through the C library. */
const SINCE_5_0: SyscallNumbers = { pidfdSendSignal: 424, pidfdOpen: 434 };
const SYSCALLS: ReadonlyMap<string, SyscallNumbers> = new Map([
  ['x64', SINCE_5_0],
  ['arm64', SINCE_5_0],
]);

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const PRIO_PROCESS = 0;
const CALLING_THREAD = 0;
const HURRIED = -10;
const IN_NONBLOCK_CLOEXEC = 0o2004000;
const STATUS_BYTES = 4;

function bindings(koffi: typeof Koffi, numbers: SyscallNumbers, arch: string): Native {
  const fn = callsOf(koffi);
  const syscall = fn('syscall', 'long', ['long', 'long', 'long', 'long', 'long']);
  const prctl = fn('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
  const waitpid = fn('waitpid', 'int', ['int', 'void *', 'int']);
  const close = fn('close', 'int', ['int']);
  const setpriority = fn('setpriority', 'int', ['int', 'uint', 'int']);
  const socket = fn('socket', 'int', ['int', 'int', 'int']);
  const bind = fn('bind', 'int', ['int', 'void *', 'uint']);
  const setsockopt = fn('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint']);
  const send = fn('send', 'long', ['int', 'void *', 'size_t', 'int']);
  const recv = fn('recv', 'long', ['int', 'void *', 'size_t', 'int']);
  const read = fn('read', 'long', ['int', 'void *', 'size_t']);
  const inotifyInit = fn('inotify_init1', 'int', ['int']);
  const inotifyAdd = fn('inotify_add_watch', 'int', ['int', 'str', 'uint32_t']);
  const inotifyRemove = fn('inotify_rm_watch', 'int', ['int', 'int']);
  return {
    pidfdOpen: (pid) => syscall(numbers.pidfdOpen, pid, 0, 0, 0),
    pidfdSignal: (pidfd, signal) => syscall(numbers.pidfdSendSignal, pidfd, signal, 0, 0),
    becomeSubreaper: () => prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
    waitpid: (pid) => {
      const status = Buffer.alloc(STATUS_BYTES);
      return { pid: waitpid(pid, status, WNOHANG), status: status.readInt32LE(0) };
    },
    close,
    raisePriority: () => setpriority(PRIO_PROCESS, CALLING_THREAD, HURRIED),
    socket,
    bind: (fd, address) => bind(fd, address, address.length),
    setsockopt: (fd, level, name, value) => setsockopt(fd, level, name, value, value.length),
    send: (fd, message) => send(fd, message, message.length, 0),
    recv: (fd, into) => recv(fd, into, into.length, 0),
    read: (fd, into) => read(fd, into, into.length),
    inotifyInit: () => inotifyInit(IN_NONBLOCK_CLOEXEC),
    inotifyAdd,
    inotifyRemove,
    kernel: kernelBindings(koffi, arch),
    fanotify: fanotifyBindings(koffi),
    files: fileBindings(koffi, arch),
    terminal: terminalBindings(koffi),
    onReadable: (fd, callback) => {
      const handle = koffi.node.poll(fd, { readable: true }, callback);
      handle.unref();
      return () => handle.close();
    },
  };
}
