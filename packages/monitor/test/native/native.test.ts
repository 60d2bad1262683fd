import { closeSync } from 'node:fs';
import * as real from 'koffi';
import { describe, expect, it } from 'vitest';
import { errorName, loadNative, native, nativeMissing } from '../../src/native/native.ts';

describe('what is missing is said, never thrown', () => {
  const never = (): never => {
    throw new Error('must not be loaded');
  };

  it.each(['darwin', 'win32', 'freebsd'])('on %s, without a look at koffi', (platform) => {
    expect(loadNative({ platform, arch: 'x64', load: never })).toEqual({ reason: `kernel sensors need linux, this is ${platform}` });
  });

  it.each(['ia32', 'riscv64', 'constructor', '__proto__'])('on the architecture %s', (arch) => {
    expect(loadNative({ platform: 'linux', arch, load: never }).reason).toBe(`system call numbers of ${arch} are not known`);
  });

  it('without koffi', () => {
    const load = (): never => {
      throw new Error("Cannot find module 'koffi'");
    };
    expect(loadNative({ platform: 'linux', arch: 'x64', load }).reason).toMatch(/^koffi is not installed/);
  });

  it('where the C library lacks a function', () => {
    const load = (): typeof real => ({
      ...real,
      load: () => ({
        ...real.load(null),
        func: (name: string) => {
          if (name === 'inotify_init1') throw new Error(`Cannot find function '${name}'`);
          return Object.assign(() => 0, { async: () => 0, info: { name: '', arguments: [], result: real.types.int } });
        },
      }),
    });
    expect(loadNative({ platform: 'linux', arch: 'x64', load })).toEqual({
      reason: 'the C library of this host lacks a function that is needed',
    });
  });

  it('and there is either bindings or a reason', () => {
    expect(native() === undefined).toBe(nativeMissing() !== undefined);
  });
});

it('names what the kernel answers', () => {
  expect(errorName(-3)).toBe('ESRCH');
  expect(errorName(-105)).toBe('ENOBUFS');
  expect(errorName(-99_999)).toMatch(/99999/);
});

describe.skipIf(native() === undefined)(`on this host (${nativeMissing() ?? 'here'})`, () => {
  const calls = native();
  if (calls === undefined) return;

  it('answers with the negated errno', () => {
    expect(errorName(calls.pidfdOpen(2 ** 22 + 1))).toBe('ESRCH');
    expect(errorName(calls.pidfdOpen(-1))).toBe('EINVAL');
    expect(errorName(calls.pidfdSignal(-1, 0))).toBe('EBADF');
    expect(errorName(calls.socket(99, 1, 0))).toBe('EAFNOSUPPORT');
    expect(errorName(calls.read(-1, Buffer.alloc(1)))).toBe('EBADF');
    expect(errorName(calls.inotifyAdd(-1, '/', 1))).toBe('EBADF');
  });

  it('waits for no child that is not ours', () => {
    expect(errorName(calls.waitpid(1).pid)).toBe('ECHILD');
  });

  it('reads nothing where there is nothing to read, and does not wait', () => {
    const fd = calls.inotifyInit();
    try {
      expect(errorName(calls.read(fd, Buffer.alloc(64)))).toBe('EAGAIN');
    } finally {
      closeSync(fd);
    }
  });
});
