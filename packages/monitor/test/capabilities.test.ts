import { mkdirSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type CapabilityHost, type CapabilityName, capabilityLines, hostCapabilities, triedCapabilities } from '../src/capabilities.ts';
import { loadNative, type Native } from '../src/native/native.ts';
import { procPoll } from '../src/sensors/proc-poll.ts';
import { procReader } from '../src/tree/proc-fs.ts';
import { TrackedTree } from '../src/tree/tracked-tree.ts';
import { FakeProc } from './fake-proc.ts';

const EPERM = -1;
const ENOSYS = -38;
const EMFILE = -24;

let proc: FakeProc;

beforeEach(() => {
  proc = new FakeProc();
  proc.put({ pid: 1, start: 1, parent: 0 });
  mkdirSync(join(proc.root, 'self/ns'), { recursive: true });
  symlinkSync('user:[4026531837]', join(proc.root, 'self/ns/user'));
  symlinkSync('pid:[4026531836]', join(proc.root, 'self/ns/pid'));
});
afterEach(() => proc.close());

/** What a system call gives that worked: a descriptor that may be closed. */
const opened = (): number => {
  // One is opened for each, as each is closed.

  return openSync(proc.root, 'r');
};

const system = (over: Partial<Native> = {}): Native =>
  ({ socket: opened, bind: () => 0, inotifyInit: opened, pidfdOpen: opened, ...over }) as Native;

const host = (over: Partial<CapabilityHost> = {}): CapabilityHost => ({
  platform: 'linux',
  procRoot: proc.root,
  native: () => system(),
  nativeMissing: () => undefined,
  canMakeControlGroup: () => true,
  hasProgram: () => true,
  seccompMissing: () => undefined,
  landlockMissing: () => undefined,
  sandboxMissing: () => undefined,
  fanotifyMissing: () => undefined,
  ...over,
});

const without = (over: Partial<CapabilityHost>): readonly string[] =>
  hostCapabilities(host(over)).capabilities.flatMap(({ name, available }) => (available ? [] : [name]));

const whyNot = (name: CapabilityName, over: Partial<CapabilityHost>): string | undefined =>
  hostCapabilities(host(over)).capabilities.find((each) => each.name === name)?.why;

/** Of all that goes through koffi. */
const nothingNative = (why: string) => ({ seccompMissing: () => why, landlockMissing: () => why, fanotifyMissing: () => why });

/** No koffi, as the loader itself says it. */
const NO_KOFFI = {
  ...nothingNative('koffi is not installed or does not load here: npm install koffi'),
  native: () => undefined,
  nativeMissing: () =>
    loadNative({
      platform: 'linux',
      arch: 'x64',
      load: () => {
        throw new Error('Cannot find module koffi');
      },
    }).reason,
} as const;

const MACOS: Partial<CapabilityHost> = {
  platform: 'darwin',
  procRoot: '/nowhere/proc',
  native: () => undefined,
  nativeMissing: () =>
    loadNative({
      platform: 'darwin',
      arch: 'arm64',
      load: () => {
        throw new Error('unused');
      },
    }).reason,
  canMakeControlGroup: () => false,
  ...nothingNative('only Linux has it'),
};

/** A container that forbids it. */
const NO_SECCOMP = {
  seccompMissing: () => 'the kernel has no killable wait for seccomp notifications (EPERM): this host or container forbids it',
};
const NO_NAMESPACES = {
  ...NO_SECCOMP,
  sandboxMissing: () => 'a program that does nothing could not be started in it: user namespaces may not be allowed here',
};

describe('the level and the grade', () => {
  it.each<[string, Partial<CapabilityHost>, string | undefined, string]>([
    ['everything there', {}, 'L2', 'gate'],
    ['no koffi', NO_KOFFI, 'L0', 'cgroup'],
    ['no koffi, no control group', { ...NO_KOFFI, canMakeControlGroup: () => false }, 'L0', 'signal'],
    ['no listener for system calls', NO_SECCOMP, 'L1', 'cgroup'],
    ['no connector and no listener, but inotify', { ...NO_SECCOMP, native: () => system({ bind: () => EPERM }) }, 'L1', 'cgroup'],
    ['none of the three', { ...NO_SECCOMP, native: () => system({ bind: () => EPERM, inotifyInit: () => EMFILE }) }, 'L0', 'cgroup'],
    ['a listener, but no events', { native: () => system({ bind: () => EPERM, inotifyInit: () => EMFILE }) }, 'L2', 'gate'],
    ['no user namespaces', NO_NAMESPACES, 'L1', 'cgroup'],
    ['macOS', MACOS, 'L0', 'signal'],
    ['macOS without ps', { ...MACOS, hasProgram: () => false }, undefined, 'signal'],
    ['events and a listener without a /proc', { procRoot: '/nowhere/proc' }, 'L0', 'cgroup'],
  ])('with %s', (_, over, level, freeze) => {
    expect(hostCapabilities(host(over))).toMatchObject({ level, freeze });
  });

  it.each<[string, Partial<CapabilityHost>, string]>([
    ['everything there', {}, 'L1'],
    ['no events', { native: () => system({ bind: () => EPERM, inotifyInit: () => EMFILE }) }, 'L0'],
  ])('of attach no level says that anything is held, with %s', (_, over, attachLevel) => {
    expect(hostCapabilities(host(over))).toMatchObject({ level: 'L2', attachLevel });
  });

  it.each<[string, Partial<CapabilityHost>]>([
    ['no koffi', NO_KOFFI],
    ['no listener for system calls', NO_SECCOMP],
    ['no user namespaces', NO_NAMESPACES],
    ['no /proc', { procRoot: '/nowhere/proc' }],
    ['macOS', MACOS],
  ])('nothing claims that it prevents anything, with %s', (_, over) => {
    const { level, enforcement, capabilities } = hostCapabilities(host(over));
    expect(['L0', 'L1']).toContain(level);
    expect(Object.values(enforcement.actions).filter((hold) => hold === 'racy' || hold === 'exact')).toEqual([]);
    const lines = capabilityLines(hostCapabilities(host(over)));
    expect(lines[0]).toContain(`level ${level ?? ''}`);
    expect(lines[0]).toContain('prevents nothing');
    const [found, said] = [lines.slice(1, capabilities.length + 1), lines.slice(capabilities.length + 1)];
    expect(found.filter((line) => line.startsWith('yes')).join('\n')).not.toMatch(/prevent|refuse|block|protect/i);
    expect(said.join('\n')).not.toMatch(/holds|exact/);
    expect(said.join('\n')).toContain('run sees, and prevents nothing of:');
  });

  it('says of each kind of doing what run would hold, and what more there is', () => {
    const said = capabilityLines(hostCapabilities(host())).join('\n');
    expect(said).toMatch(/level L2 with run, .*racy.*; L1 with attach; freezes by gate/);
    expect(said).toMatch(/run holds before it happens, racy against hostile threads: programs, reading/);
    expect(said).toContain('contain: landlock');
    expect(said).not.toMatch(/is a sandbox/);
    const without = capabilityLines(hostCapabilities(host({ landlockMissing: () => 'x', sandboxMissing: () => 'y' }))).join('\n');
    expect(without).not.toMatch(/contain: /);
  });

  it('says so where processes cannot be seen at all', () => {
    expect(capabilityLines(hostCapabilities(host({ ...MACOS, hasProgram: () => false })))[0]).toBe(
      'darwin: processes cannot be seen; freezes by signal',
    );
  });
});

describe('each that is missing says why', () => {
  it('nothing is missing on a host that has all', () => {
    expect(without({})).toStrictEqual([]);
  });

  it('without koffi: all that needs it, and nothing else', () => {
    expect(without(NO_KOFFI)).toStrictEqual(['native', 'connector', 'inotify', 'pidfd', 'seccomp-notify', 'landlock', 'fanotify']);
    expect(whyNot('native', NO_KOFFI)).toBe('koffi is not installed or does not load here: npm install koffi');
  });

  it('on macOS', () => {
    expect(without(MACOS)).toStrictEqual([
      'proc',
      'native',
      'connector',
      'inotify',
      'pidfd',
      'seccomp-notify',
      'landlock',
      'fanotify',
      'cgroup',
      'user-namespaces',
    ]);
    expect(whyNot('native', MACOS)).toBe('kernel sensors need linux, this is darwin');
  });

  it.each<[CapabilityName, Partial<Native>, RegExp]>([
    ['connector', { socket: () => -93 }, /EPROTONOSUPPORT/],
    ['connector', { bind: () => EPERM }, /root only \(EPERM\)/],
    ['inotify', { inotifyInit: () => EMFILE }, /EMFILE/],
    ['pidfd', { pidfdOpen: () => ENOSYS }, /ENOSYS/],
  ])('%s, when the kernel refuses', (name, over, why) => {
    expect(whyNot(name, { native: () => system(over) })).toMatch(why);
  });

  it.each(['user', 'pid'])('connector, in a %s namespace of its own, where the kernel would keep silent', (kind) => {
    rmSync(join(proc.root, 'self/ns', kind));
    symlinkSync(`${kind}:[4026532999]`, join(proc.root, 'self/ns', kind));
    expect(whyNot('connector', {})).toContain(`${kind} namespace of its own`);
  });

  it.each([
    ['user/max_user_namespaces', '0\n', 'the kernel allows none'],
    ['kernel/unprivileged_userns_clone', '0\n', 'the kernel allows them to root only'],
    ['kernel/apparmor_restrict_unprivileged_userns', '1\n', 'AppArmor allows them to chosen programs only'],
  ])('user namespaces, by %s', (name, value, why) => {
    const path = join(proc.root, 'sys', name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, value);
    expect(whyNot('user-namespaces', {})).toBe(why);
  });

  it.each<[CapabilityName, Partial<CapabilityHost>]>([
    [
      'native',
      {
        native: () => {
          throw new Error('segfault\nsecond line');
        },
      },
    ],
    [
      'cgroup',
      {
        canMakeControlGroup: () => {
          throw new Error('x'.repeat(1_000));
        },
      },
    ],
    [
      'ps',
      {
        hasProgram: () => {
          throw new Error('');
        },
      },
    ],
  ])('%s, when asking for it throws: one bounded line', (name, over) => {
    const { capabilities } = hostCapabilities(host(over));
    const found = capabilities.find((each) => each.name === name);
    expect(found?.available).toBe(false);
    expect(found?.why).not.toContain('\n');
    expect(found?.why?.length).toBeLessThanOrEqual(200);
  });
});

describe.skipIf(process.platform !== 'linux')('this host, after trying', () => {
  it('says the same as before, or why not: what is tried can only take away', async () => {
    const [before, after] = [hostCapabilities(), await triedCapabilities()];
    const those = ({ capabilities }: typeof before) => capabilities.filter(({ available }) => available).map(({ name }) => name);
    expect(those(before)).toEqual(expect.arrayContaining(those(after)));
    const tried = after.capabilities.find(({ name }) => name === 'seccomp-notify');
    if (tried?.available !== true) console.warn(`SKIPPED: kernel control is not shown here: ${tried?.why}`);
    expect(after.level === 'L2').toBe(tried?.available === true);
  });
});

describe('a host that has next to nothing', () => {
  it('starts its poll', async () => {
    const tree = new TrackedTree({ roots: [{ pid: 1, start: 1 }] });
    const poll = procPoll({ tree, reader: procReader({ root: proc.root }) });
    await poll.start({ tree, emit: () => {}, died: () => {} });
    expect(poll.level).toBe('L0');
    await poll.stop();
  });
});

describe('this host', () => {
  it('is told of by the program of the guide', async () => {
    const said = vi.spyOn(console, 'log').mockImplementation(() => {});
    onTestFinished(() => said.mockRestore());
    await import('./guide-capabilities.ts');
    expect(said.mock.calls[0]?.[0]).toMatch(/^\w+: level L[012] with run, /);
  });

  it('is asked without harm', () => {
    const before = descriptors();
    const found = hostCapabilities();
    expect(descriptors()).toBe(before);
    expect(found.capabilities.map(({ name }) => name)).toContain('proc');
    if (process.platform === 'linux') expect(found.capabilities.find(({ name }) => name === 'proc')).toMatchObject({ available: true });
  });

  const descriptors = (): number | undefined => (process.platform === 'linux' ? procReader().descriptorCount(process.pid) : undefined);
});
