import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type KernelHost, kernelControlMissing, tryKernelControl } from '../../src/kernel/available.ts';
import type { KernelCalls } from '../../src/native/kernel-calls.ts';
import { loadNative, type Native, native } from '../../src/native/native.ts';
import { FakeProc } from '../fake-proc.ts';

const [EPERM, EACCES, EFAULT, EBUSY, EINVAL, ENOSYS, EOPNOTSUPP] = [-1, -13, -14, -16, -22, -38, -95];
const SECCOMP = [317, 277];

let proc: FakeProc;
beforeEach(() => {
  proc = new FakeProc();
  mkdirSync(join(proc.root, 'sys/kernel/yama'), { recursive: true });
  mkdirSync(join(proc.root, 'self'), { recursive: true });
});
afterEach(() => proc.close());

/** A kernel that has all of it, as far as it is asked. */
class FakeKernel {
  action = 0;
  sizes = 0;
  told: readonly number[] = [80, 24, 64];
  filter = EFAULT;
  pidfd = 100;
  copy = 101;
  memory: 'right' | 'wrong' | number = 'right';
  readonly closed: number[] = [];
  readonly #buffers: Buffer[] = [];

  readonly native = (): Native => {
    const kernel: Partial<KernelCalls> = {
      addressOf: (buffer) => BigInt(this.#buffers.push(buffer) - 1),
      syscall: (number, operation, _flags, address) => {
        if (!SECCOMP.includes(number)) return ENOSYS;
        if (operation === 2) return this.action;
        if (operation === 1) return this.filter;
        const buffer = this.#buffers[Number(address)];
        this.told.forEach((size, index) => buffer?.writeUInt16LE(size, index * 2));
        return this.sizes;
      },
      pidfdGetfd: () => this.copy,
      readMemory: (_pid, address, into) => {
        if (typeof this.memory === 'number') return this.memory;
        if (this.memory === 'right') this.#buffers[Number(address)]?.copy(into);
        return into.length;
      },
    };
    return {
      kernel: kernel as KernelCalls,
      pidfdOpen: () => this.pidfd,
      close: (fd: number) => this.closed.push(fd),
    } as Partial<Native> as Native;
  };
}

function missing(set: (kernel: FakeKernel) => void = () => {}, over: Partial<KernelHost> = {}): string | undefined {
  const kernel = new FakeKernel();
  set(kernel);
  return kernelControlMissing(host({ native: kernel.native, ...over }));
}

function host(over: Partial<KernelHost>): KernelHost {
  return {
    arch: 'x64',
    procRoot: proc.root,
    pid: 1,
    native: () => undefined,
    nativeMissing: () => undefined,
    hasShim: () => true,
    ...over,
  };
}

const noKoffi = (platform: string, arch: string): Partial<KernelHost> => ({
  native: () => undefined,
  nativeMissing: () =>
    loadNative({
      platform,
      arch,
      load: () => {
        throw new Error('Cannot find module');
      },
    }).reason,
});

const yama = (scope: number, capabilities = '0000000000000000'): void => {
  writeFileSync(join(proc.root, 'sys/kernel/yama/ptrace_scope'), `${scope}\n`);
  writeFileSync(join(proc.root, 'self/status'), `Name:\tx\nCapEff:\t${capabilities}\n`);
};

describe('what a host lacks', () => {
  it('is nothing on a kernel that has all of it, and every descriptor is closed', () => {
    const kernel = new FakeKernel();
    expect(kernelControlMissing(host({ native: kernel.native }))).toBeUndefined();
    expect(kernel.closed).toEqual([101, 100]);
  });

  it.each<readonly [string, Partial<KernelHost>, string]>([
    ['macOS', noKoffi('darwin', 'arm64'), 'kernel sensors need linux, this is darwin'],
    ['no koffi', noKoffi('linux', 'x64'), 'koffi is not installed or does not load here: npm install koffi'],
    ['another processor, koffi says it', noKoffi('linux', 'riscv64'), 'system call numbers of riscv64 are not known'],
    ['another processor', { arch: 's390x' }, 'system call numbers of s390x are not known'],
    ['a name that every object has', { arch: 'constructor' }, 'system call numbers of constructor are not known'],
    ['no shim', { hasShim: () => false }, 'the file of the launch shim is missing: install @countersign/monitor again'],
  ])('%s', (_, over, why) => {
    expect(missing(undefined, over)).toBe(why);
  });

  it.each<[string, (kernel: FakeKernel) => void, string]>([
    ['no seccomp', (k) => (k.action = ENOSYS), 'the kernel has no seccomp user notifications (ENOSYS): needs Linux 5.0'],
    ['no notifications', (k) => (k.action = EOPNOTSUPP), 'the kernel has no seccomp user notifications (ENOTSUP): needs Linux 5.0'],
    ['no sizes', (k) => (k.sizes = EINVAL), 'the kernel does not tell the sizes of seccomp notifications (EINVAL)'],
    ['larger ones', (k) => (k.told = [88, 24, 64]), 'seccomp notifications of this kernel have sizes 88,24,64, those we know are 80,24,64'],
    [
      'smaller ones',
      (k) => (k.told = [80, 16, 64]),
      'seccomp notifications of this kernel have sizes 80,16,64, those we know are 80,24,64',
    ],
    [
      'no killable wait',
      (k) => (k.filter = EINVAL),
      'the kernel has no killable wait for seccomp notifications (EINVAL): needs Linux 5.19',
    ],
    [
      'filters forbidden',
      (k) => (k.filter = EACCES),
      'the kernel has no killable wait for seccomp notifications (EACCES): this host or container forbids it',
    ],
    ['no pidfd', (k) => (k.pidfd = ENOSYS), 'the kernel has no pidfd (ENOSYS): needs Linux 5.3'],
    [
      'no pidfd_getfd',
      (k) => (k.copy = ENOSYS),
      'descriptors of other processes cannot be taken over (ENOSYS): a filter above this process forbids it, as in containers and in a tree that is watched already',
    ],
    [
      'a container forbids it',
      (k) => (k.copy = EPERM),
      'descriptors of other processes cannot be taken over (EPERM): a filter above this process forbids it, as in containers and in a tree that is watched already',
    ],
    ['no memory', (k) => (k.memory = EPERM), 'memory of other processes cannot be read here (EPERM)'],
    ['made-up memory', (k) => (k.memory = 'wrong'), 'memory of other processes is read wrongly here'],
  ])('%s', (_, set, why) => {
    expect(missing(set)).toBe(why);
  });

  it('a pidfd that was opened is closed where its descriptors cannot be taken over', () => {
    const kernel = new FakeKernel();
    kernel.copy = EPERM;
    kernelControlMissing(host({ native: kernel.native }));
    expect(kernel.closed).toEqual([100]);
  });

  it('what throws is a no with that reason, its first line', () => {
    const native = (): Native => {
      throw new Error(`broken\n${'x'.repeat(1_000)}`);
    };
    expect(missing(undefined, { native })).toBe('broken');
  });
});

describe('Yama', () => {
  const ONLY_PTRACE = '0000000000080000';
  const ALL_BUT_PTRACE = '000001fffff7ffff';

  it.each([
    [0, undefined, undefined],
    [1, undefined, undefined],
    [2, undefined, 'only root may read other processes on this host: set kernel.yama.ptrace_scope to 1 or 0'],
    [2, ALL_BUT_PTRACE, 'only root may read other processes on this host: set kernel.yama.ptrace_scope to 1 or 0'],
    [2, ONLY_PTRACE, undefined],
    [2, 'not a number', 'only root may read other processes on this host: set kernel.yama.ptrace_scope to 1 or 0'],
    [3, ONLY_PTRACE, 'no process may read another on this host (kernel.yama.ptrace_scope is 3)'],
  ])('scope %s, capabilities %s', (scope, capabilities, why) => {
    yama(scope, capabilities);
    expect(missing()).toBe(why);
  });
});

describe('really tried', () => {
  it('what a cheap look finds missing is not tried', async () => {
    await expect(tryKernelControl(host(noKoffi('darwin', 'arm64')))).resolves.toBe('kernel sensors need linux, this is darwin');
  });

  it('a call of this host is held, read and refused', async (context) => {
    const why = kernelControlMissing();
    if (why !== undefined) return context.skip(`kernel control: ${why}`);
    await expect(tryKernelControl()).resolves.toBeUndefined();
  });

  it('a listener that cannot be taken over is the reason', async (context) => {
    const [why, calls] = [kernelControlMissing(), native()];
    if (why !== undefined || calls === undefined) return context.skip(`kernel control: ${why}`);
    // As where a security module keeps processes apart.
    const spy = vi.spyOn(calls, 'pidfdOpen').mockReturnValue(EBUSY);
    onTestFinished(() => spy.mockRestore());
    await expect(tryKernelControl(host({ native: new FakeKernel().native, arch: process.arch }))).resolves.toMatch(/taken over \(EBUSY\)$/);
  });
});
