import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Trapped } from '../../src/kernel/notification.ts';
import { descends, ofWholeProcess, type Processes, processesOf } from '../../src/kernel/processes.ts';
import { reachOf } from '../../src/kernel/reach.ts';
import type { CallName } from '../../src/kernel/syscalls.ts';
import { FakeProc } from '../fake-proc.ts';

const WARDEN = 100;
const WARDEN_THREAD = 107;
const GROUP = 90;
const CALLER = 200;
const SIGKILL = 9n;
const ENOSYS = 38;

/** The warden has a second thread; the caller is its child, and in its group. 300 is a stranger, of a group of its own. */
const groups = new Map([
  [WARDEN, GROUP],
  [CALLER, GROUP],
  [201, 201],
  [300, 300],
]);
const parents = new Map([
  [WARDEN, 50],
  [CALLER, WARDEN],
  [201, CALLER],
  [202, 201],
  [300, 1],
]);
const processes: Processes = {
  warden: WARDEN,
  wardenGroup: GROUP,
  processOf: (thread) => (thread === WARDEN_THREAD ? WARDEN : parents.has(thread) ? thread : undefined),
  groupOf: (thread) => groups.get(thread),
  parentOf: (thread) => parents.get(thread),
  processOfDescriptor: (thread, fd) =>
    thread === CALLER
      ? new Map([
          [5, WARDEN],
          [6, 300],
        ]).get(fd)
      : undefined,
};

function reach(call: CallName, args: readonly (number | bigint)[], tid = CALLER) {
  const whole = Array.from({ length: 6 }, (_, index) => BigInt.asUintN(64, BigInt(args[index] ?? 0)));
  return reachOf({ id: 1n, tid, call, args: whole } satisfies Trapped, processes);
}

const refused = (by: string | undefined) => ({
  kind: 'never',
  actions: [{ kind: 'memory', target: WARDEN, ...(by !== undefined && { by }) }],
});

describe('at the warden', () => {
  it.each<[CallName, readonly (number | bigint)[], string | undefined]>([
    ['kill', [WARDEN, SIGKILL], 'signal'],
    ['kill', [WARDEN_THREAD, SIGKILL], 'signal'],
    // Registers have 64 bits, the kernel looks at 32.
    ['kill', [(7n << 32n) | BigInt(WARDEN), SIGKILL], 'signal'],
    ['kill', [-1, SIGKILL], 'signal'],
    ['kill', [0xffff_ffffn, SIGKILL], 'signal'],
    ['kill', [0, SIGKILL], 'group'],
    ['kill', [-GROUP, SIGKILL], 'group'],
    ['tkill', [WARDEN, SIGKILL], 'signal'],
    ['tkill', [WARDEN_THREAD, SIGKILL], 'signal'],
    ['tgkill', [WARDEN, WARDEN_THREAD, SIGKILL], 'signal'],
    ['rt_sigqueueinfo', [WARDEN_THREAD, SIGKILL, 1], 'signal'],
    ['rt_tgsigqueueinfo', [WARDEN, WARDEN, SIGKILL, 1], 'signal'],
    ['fcntl', [3, 8, WARDEN], 'signal'],
    ['fcntl', [3, 8, WARDEN_THREAD], 'signal'],
    ['fcntl', [3, 8, -GROUP], 'group'],
    ['pidfd_open', [WARDEN], 'handle'],
    ['pidfd_open', [WARDEN_THREAD, 0x80], 'handle'],
    ['pidfd_send_signal', [5, SIGKILL], 'signal'],
    ['pidfd_getfd', [5, 12], undefined],
    ['prlimit64', [WARDEN, 0, 1], 'control'],
    ['prlimit64', [WARDEN_THREAD, 0, 1n << 40n], 'control'],
    ['sched_setaffinity', [WARDEN, 8, 1], 'control'],
    ['sched_setscheduler', [WARDEN_THREAD, 5, 1], 'control'],
    ['sched_setparam', [WARDEN, 1], 'control'],
    ['sched_setattr', [WARDEN, 1], 'control'],
    ['setpriority', [0, WARDEN, 19], 'control'],
    ['setpriority', [0, WARDEN_THREAD, 19], 'control'],
    ['setpriority', [1, 0, 19], 'group'],
    ['setpriority', [1, GROUP, 19], 'group'],
    ['setpriority', [2, 0, 19], 'group'],
    ['ioprio_set', [1, WARDEN, 0x6007], 'control'],
    ['ioprio_set', [2, 0, 0x6007], 'group'],
    ['ioprio_set', [3, 0, 0x6007], 'group'],
  ])('%s(%s) is refused and told: %s', (call, args, by) => {
    expect(reach(call, args)).toMatchObject(refused(by));
  });

  it('ptrace, its memory and how it runs are refused in every mode, by any of its threads', () => {
    for (const target of [WARDEN, WARDEN_THREAD]) {
      for (const call of ['process_vm_readv', 'process_vm_writev'] as const)
        expect(reach(call, [target])).toMatchObject(refused(undefined));
      for (const request of [16, 0x4206]) expect(reach('ptrace', [request, target])).toMatchObject(refused(undefined));
      expect(reach('perf_event_open', [1, target, -1])).toMatchObject(refused(undefined));
    }
  });

  it('into others it is judged, by the number of the whole process', () => {
    for (const [call, args] of [
      ['process_vm_readv', [300]],
      ['process_vm_writev', [201]],
      ['ptrace', [16, 300]],
      ['perf_event_open', [1, 300]],
    ] as const)
      expect(reach(call, args)).toEqual({ kind: 'act', actions: [{ kind: 'memory', target: args[1] ?? args[0] }] });
    expect(reach('process_vm_readv', [999])).toEqual({ kind: 'act', actions: [{ kind: 'memory', target: 999 }] });
  });

  it('a child of the warden cannot make it its tracer, a grandchild may be traced by its parent', () => {
    expect(reach('ptrace', [0])).toMatchObject({ kind: 'never' });
    expect(reach('ptrace', [0], 201)).toEqual({ kind: 'plain' });
  });
});

describe('goes on', () => {
  it.each<[CallName, readonly (number | bigint)[], number]>([
    // Whether it is there: as children ask of whoever started them.
    ['kill', [WARDEN, 0], CALLER],
    ['kill', [-1, 0], CALLER],
    ['kill', [0, 0], CALLER],
    ['tkill', [WARDEN_THREAD, 0], CALLER],
    ['tgkill', [WARDEN, WARDEN, 0], CALLER],
    ['kill', [201, SIGKILL], CALLER],
    ['kill', [300, SIGKILL], CALLER],
    ['kill', [999, SIGKILL], CALLER],
    ['kill', [-201, SIGKILL], CALLER],
    ['kill', [0, SIGKILL], 201],
    ['kill', [-0x8000_0000, SIGKILL], CALLER],
    ['fcntl', [3, 8, 0], CALLER],
    ['fcntl', [3, 8, CALLER], CALLER],
    ['fcntl', [3, 8, -201], CALLER],
    ['pidfd_open', [201], CALLER],
    ['prlimit64', [WARDEN, 7, 0, 1], CALLER],
    ['prlimit64', [201, 7, 1, 0], CALLER],
    ['setpriority', [0, 0, 5], CALLER],
    ['setpriority', [0, 201, 5], CALLER],
    ['setpriority', [1, 0, 5], 201],
    ['ioprio_set', [1, 0, 1], CALLER],
    // What continues what was begun by a request that was judged.
    ['ptrace', [7, 201], CALLER],
  ])('%s(%s) of %i', (call, args, tid) => {
    expect(reach(call, args, tid)).toEqual({ kind: 'plain' });
  });

  it('a group of a process that ended meanwhile is nobody we know: it is not ours', () => {
    expect(reach('kill', [0, SIGKILL], 888)).toEqual({ kind: 'plain' });
  });
});

describe('by a descriptor', () => {
  it.each([6, 7])('descriptor %i fails as on a kernel without it: another thread could change what it means', (fd) => {
    expect(reach('pidfd_send_signal', [fd, SIGKILL])).toMatchObject({ kind: 'never', errno: ENOSYS });
    expect(reach('pidfd_getfd', [fd, 1])).toMatchObject({ kind: 'never', errno: ENOSYS });
  });

  it('asking by one whether the warden is there is no attack, and fails too', () => {
    const answer = reach('pidfd_send_signal', [5, 0]);
    expect(answer).toMatchObject({ kind: 'never', errno: ENOSYS });
    expect(answer).not.toHaveProperty('actions');
  });
});

describe('others', () => {
  it('measuring every process, or those of a control group, is refused', () => {
    expect(reach('perf_event_open', [1, -1, 0])).toMatchObject({ kind: 'never' });
    expect(reach('perf_event_open', [1, 201, 0, -1, 4])).toMatchObject({ kind: 'never' });
  });

  it('what is no such call is not decided here', () => {
    for (const call of ['openat', 'execve', 'connect'] as const) expect(reach(call, [1, 2, 3])).toBeUndefined();
  });
});

describe('members of the tree', () => {
  it('descend from the warden, which is none itself', () => {
    expect([CALLER, 201, 202].map((pid) => descends(pid, processes))).toEqual([true, true, true]);
    expect([WARDEN, 300, 1, 0, -5, 999].map((pid) => descends(pid, processes))).toEqual([false, false, false, false, false, false]);
  });

  it('a table of parents that goes in circles ends', () => {
    expect(descends(7, { warden: WARDEN, parentOf: (pid) => (pid === 7 ? 8 : 7) })).toBe(false);
  });
});

describe('paths of /proc', () => {
  it.each([
    [`/proc/${WARDEN_THREAD}/mem`, `/proc/${WARDEN}/mem`],
    [`/proc/${WARDEN_THREAD}`, `/proc/${WARDEN}`],
    [`/proc/${WARDEN}/mem`, `/proc/${WARDEN}/mem`],
    ['/proc/999/mem', '/proc/999/mem'],
    ['/proc/107x/mem', '/proc/107x/mem'],
    ['/home/proc/107/mem', '/home/proc/107/mem'],
    ['/proc/self/mem', '/proc/self/mem'],
    ['/proc/99999999999999/mem', '/proc/99999999999999/mem'],
  ])('%s is %s', (path, whole) => {
    expect(ofWholeProcess(path, processes.processOf)).toBe(whole);
  });
});

describe('as /proc has them', () => {
  let proc: FakeProc;
  beforeEach(() => {
    proc = new FakeProc();
  });
  afterEach(() => proc.close());

  const put = (pid: number, status: string, stat: string): void => {
    mkdirSync(join(proc.root, `${pid}/fdinfo`), { recursive: true });
    mkdirSync(join(proc.root, `${pid}/fd`), { recursive: true });
    writeFileSync(join(proc.root, `${pid}/status`), status);
    writeFileSync(join(proc.root, `${pid}/stat`), stat);
  };

  it('whatever a process calls itself', () => {
    put(12, 'Name:\tx) S 1 1\\nTgid:\\t1\nTgid:\t10\nPPid:\t9\n', '12 (x) S 1 1 (\n) R 1 77 66 5\n) S 9 8 7 0 -1');
    const found = processesOf(12, proc.root);
    expect([found.processOf(12), found.parentOf(12), found.groupOf(12), found.wardenGroup]).toEqual([10, 9, 8, 8]);
  });

  it('a descriptor is a process by what the kernel says of it, or as a folder of /proc', () => {
    put(12, 'Tgid:\t12\n', '12 (x) S 9 8 7');
    writeFileSync(join(proc.root, '12/fdinfo/3'), 'pos:\t0\nflags:\t02000002\nPid:\t100\nNSpid:\t100\n');
    writeFileSync(join(proc.root, '12/fdinfo/4'), 'pos:\t0\n');
    symlinkSync('/proc/100', join(proc.root, '12/fd/4'));
    writeFileSync(join(proc.root, '12/fdinfo/5'), 'pos:\t0\nPid:\t-1\n');
    symlinkSync('anon_inode:[pidfd]', join(proc.root, '12/fd/5'));
    symlinkSync('/home/proc/100', join(proc.root, '12/fd/6'));
    const found = processesOf(12, proc.root);
    expect([3, 4, 5, 6, 7, -1].map((fd) => found.processOfDescriptor(12, fd))).toEqual([
      100,
      100,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('nobody is nobody', () => {
    const found = processesOf(12, proc.root);
    expect([found.processOf(13), found.parentOf(13), found.groupOf(13), found.processOfDescriptor(13, 0)]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
