/**
 * Whether this host lets us hold the system calls of what we launch, and why not. Each need is tried, not concluded from a version:
 * containers, hardened hosts and emulators lack one or the other whatever their kernel calls itself.
 */
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { CountersignError } from '@countersign/core';
import type { KernelCalls } from '../native/kernel-calls.ts';
import { errorName, type Native, native, nativeMissing } from '../native/native.ts';
import { filterProgram, RET_USER_NOTIF } from './filter.ts';
import { launchThroughShim, SHIM } from './launch-shim.ts';
import { TargetMemory } from './memory.ts';
import { callNames, fails, NOTIFICATION_BYTES, parseNotification, RESPONSE_BYTES } from './notification.ts';
import { archTable } from './syscalls.ts';

/** What is asked of a host; tests give their own. Each may throw, which is a no with that reason. */
export interface KernelHost {
  readonly arch: string;
  readonly procRoot: string;
  readonly pid: number;
  native(): Native | undefined;
  nativeMissing(): string | undefined;
  hasShim(): boolean;
}

/**
 * Takes microseconds and changes nothing. It cannot see that somebody else listens to our system calls already, nor a security module
 * that keeps us out of another process: `tryKernelControl` does.
 *
 * @returns for people, one line: why not. Undefined: nothing is known to be missing.
 */
export function kernelControlMissing(host: KernelHost = thisHost()): string | undefined {
  try {
    const calls = host.native();
    if (calls === undefined) return host.nativeMissing() ?? 'koffi is missing';
    const seccomp = archTable(host.arch)?.numbers.get('seccomp');
    if (seccomp === undefined) return `system call numbers of ${host.arch} are not known`;
    for (const check of CHECKS) {
      const why = check({ ...host, calls, kernel: calls.kernel, seccomp });
      if (why !== undefined) return why;
    }
    return undefined;
  } catch (error) {
    return firstLine(error);
  }
}

/**
 * Really holds one call of a process started for it, reads what it is about to do, and refuses it: about a tenth of a second.
 *
 * @returns as `kernelControlMissing`
 */
export async function tryKernelControl(host: KernelHost = thisHost()): Promise<string | undefined> {
  const missing = kernelControlMissing(host);
  if (missing !== undefined) return missing;
  const calls = host.native();
  try {
    return calls === undefined ? host.nativeMissing() : await tried(calls, host.arch);
  } catch (error) {
    return CountersignError.is(error) && typeof error.details['reason'] === 'string' ? error.details['reason'] : firstLine(error);
  }
}

interface Checking extends KernelHost {
  readonly calls: Native;
  readonly kernel: KernelCalls;
  /** Number of `seccomp`. */
  readonly seccomp: number;
}

const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_GET_ACTION_AVAIL = 2;
const SECCOMP_GET_NOTIF_SIZES = 3;
const LISTENER_WAIT_KILLABLE = 0x8 | 0x20;
const DATA_BYTES = 64;
/** Of Yama: 2, only who has `CAP_SYS_PTRACE` reads another process; 3, nobody. */
const YAMA_ADMIN_ONLY = 2;
const YAMA_NOBODY = 3;
const CAP_SYS_PTRACE = 19n;

const CHECKS: readonly ((checking: Checking) => string | undefined)[] = [
  (host) => (host.hasShim() ? undefined : 'the file of the launch shim is missing: install @countersign/monitor again'),
  noNotifications,
  otherSizes,
  noKillableWait,
  noPidfdGetfd,
  noForeignMemory,
  yama,
];

function noNotifications({ kernel, seccomp }: Checking): string | undefined {
  const action = Buffer.alloc(4);
  action.writeUInt32LE(RET_USER_NOTIF);
  const result = kernel.syscall(seccomp, SECCOMP_GET_ACTION_AVAIL, 0, kernel.addressOf(action));
  return result < 0 ? `the kernel has no seccomp user notifications ${because(result, '5.0')}` : undefined;
}

function otherSizes({ kernel, seccomp }: Checking): string | undefined {
  const sizes = Buffer.alloc(6);
  const result = kernel.syscall(seccomp, SECCOMP_GET_NOTIF_SIZES, 0, kernel.addressOf(sizes));
  if (result < 0) return `the kernel does not tell the sizes of seccomp notifications (${errorName(result)})`;
  const told = [sizes.readUInt16LE(0), sizes.readUInt16LE(2), sizes.readUInt16LE(4)].join();
  const known = [NOTIFICATION_BYTES, RESPONSE_BYTES, DATA_BYTES].join();
  return told === known ? undefined : `seccomp notifications of this kernel have sizes ${told}, those we know are ${known}`;
}

/** Flags are looked at before the program: with none given, a kernel that knows them says it cannot be read. */
function noKillableWait({ kernel, seccomp }: Checking): string | undefined {
  const result = kernel.syscall(seccomp, SECCOMP_SET_MODE_FILTER, LISTENER_WAIT_KILLABLE, 0);
  return result === -constants.errno.EFAULT
    ? undefined
    : `the kernel has no killable wait for seccomp notifications ${because(result, '5.19')}`;
}

function noPidfdGetfd({ calls, kernel, pid }: Checking): string | undefined {
  const pidfd = calls.pidfdOpen(pid);
  if (pidfd < 0) return `the kernel has no pidfd ${because(pidfd, '5.3')}`;
  try {
    // Of ourselves: a copy of the descriptor we have just got.
    const copy = kernel.pidfdGetfd(pidfd, pidfd);
    // Older than what was found before: where it is missing, somebody takes it away.
    if (copy < 0) return `descriptors of other processes cannot be taken over (${errorName(copy)}): ${TAKEN_AWAY}`;
    calls.close(copy);
    return undefined;
  } finally {
    calls.close(pidfd);
  }
}

/** Some containers refuse the call itself. */
function noForeignMemory({ kernel, pid }: Checking): string | undefined {
  const source = Buffer.from('seen');
  const into = Buffer.alloc(source.length);
  const got = kernel.readMemory(pid, kernel.addressOf(source), into, into.length);
  if (got < 0) return `memory of other processes cannot be read here (${errorName(got)})`;
  return into.equals(source) ? undefined : 'memory of other processes is read wrongly here';
}

function yama({ procRoot }: Checking): string | undefined {
  const file = join(procRoot, 'sys/kernel/yama/ptrace_scope');
  const scope = existsSync(file) ? Number(readFileSync(file, 'latin1')) : 0;
  if (scope >= YAMA_NOBODY) return 'no process may read another on this host (kernel.yama.ptrace_scope is 3)';
  if (scope < YAMA_ADMIN_ONLY) return undefined;
  const effective = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(readFileSync(join(procRoot, 'self/status'), 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_PTRACE) & 1n) === 1n
    ? undefined
    : 'only root may read other processes on this host: set kernel.yama.ptrace_scope to 1 or 0';
}

function because(result: number, since: string): string {
  const { EPERM, EACCES } = constants.errno;
  return `(${errorName(result)}): ${result === -EPERM || result === -EACCES ? 'this host or container forbids it' : `needs Linux ${since}`}`;
}

const TAKEN_AWAY = 'a filter above this process forbids it, as in containers and in a tree that is watched already';

const TRY_MS = 10_000;

async function tried(calls: Native, arch: string): Promise<string | undefined> {
  const { kernel } = calls;
  const agent = await launchThroughShim({
    program: process.execPath,
    args: [],
    cwd: '/',
    env: {},
    stdio: 'pipe',
    filter: filterProgram(arch, [{ call: 'execve', does: 'trap' }]),
  });
  const { listener = -1 } = agent;
  try {
    const isReady = new Promise<boolean>((done) => {
      const stop = calls.onReadable(listener, () => over(true));
      const late = setTimeout(() => over(false), TRY_MS);
      const over = (isReady: boolean): void => {
        stop();
        clearTimeout(late);
        done(isReady);
      };
      void agent.ended.then(() => over(false));
    });
    agent.go();
    if (!(await isReady)) return 'the kernel told nothing of a call it should hold';
    const notification = Buffer.alloc(NOTIFICATION_BYTES);
    const got = kernel.receive(listener, notification);
    if (got < 0) return `a held call could not be received (${errorName(got)})`;
    const trapped = parseNotification(notification, callNames(arch));
    if (trapped?.call !== 'execve') return 'the kernel held another call than it was told to';
    const program = new TargetMemory(kernel).path(trapped.tid, trapped.args[0] ?? 0n);
    const sent = kernel.send(listener, fails(Buffer.alloc(RESPONSE_BYTES), trapped.id, constants.errno.EPERM));
    if (typeof program === 'string')
      return 'memory of a process that was started for it could not be read: something keeps processes apart here';
    if (program.toString() !== process.execPath) return 'memory of another process is read wrongly here';
    return sent < 0 ? `a held call could not be answered (${errorName(sent)})` : undefined;
  } finally {
    calls.close(listener);
    agent.child.kill('SIGKILL');
    await agent.ended;
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : 'it failed').split('\n', 1)[0]?.slice(0, MAX_REASON_LENGTH) ?? '';
}

const MAX_REASON_LENGTH = 200;

function thisHost(): KernelHost {
  return {
    arch: process.arch,
    procRoot: '/proc',
    pid: process.pid,
    native,
    nativeMissing,
    hasShim: () => existsSync(SHIM),
  };
}
