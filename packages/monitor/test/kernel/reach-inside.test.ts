/** What members of a tree try at the warden and at each other, in real trees: each call is really made. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { arch, pid as self } from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { kernelControlMissing } from '../../src/kernel/available.ts';
import { wardenProcess } from '../../src/kernel/processes.ts';
import type { Told } from '../../src/kernel/supervisor-protocol.ts';
import { cProgram } from '../c-program.ts';
import { type Supervised, type SupervisedOptions, supervised } from './supervised.ts';

let running: Supervised | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

const missing = kernelControlMissing();
const lacks =
  missing !== undefined
    ? `kernel control: ${missing}`
    : cProgram('kernel/reach') === undefined
      ? 'no C compiler for the workload'
      : undefined;

async function run(options: Omit<SupervisedOptions, 'program'> & { readonly program?: string | undefined }) {
  running = await supervised({ ...options, program: options.program ?? cProgram('kernel/reach') ?? '' });
  const output = await running.output;
  const end = await running.ended;
  await running.supervisor.stop();
  const results = new Map(
    output
      .trimEnd()
      .split('\n')
      .map((line) => line.split(': ') as [string, string]),
  );
  return { output, end, results, told: running.told };
}

const reaches = (told: readonly Told[]) =>
  told.flatMap(({ observation: { action }, judged }) =>
    action.kind === 'memory' ? [{ ...action, level: judged?.level, rule: judged?.rule }] : [],
  );

describe.each(['enforce_kill', 'audit_only'] as const)('at the warden, %s', (mode) => {
  it('nothing arrives', async (context) => {
    if (lacks !== undefined) return context.skip(lacks);
    const thread =
      readdirSync(`/proc/${self}/task`)
        .map(Number)
        .find((tid) => tid !== self) ?? self;
    const arrived: string[] = [];
    const listener = (): void => void arrived.push('SIGURG');
    process.on('SIGURG', listener);
    try {
      const { end, results, told } = await run({ args: [self, thread, wardenProcess().wardenGroup].map(String), mode });
      expect(end).toEqual({ code: 0 });
      expect(Object.fromEntries(results)).toMatchObject({
        'kill 0': 'done',
        kill: 'EPERM',
        'kill thread': 'EPERM',
        'kill group': 'EPERM',
        'kill own group': 'EPERM',
        'kill all': 'EPERM',
        tkill: 'EPERM',
        tgkill: 'EPERM',
        sigqueue: 'EPERM',
        'sigqueue thread': 'EPERM',
        F_SETOWN: 'EPERM',
        'F_SETOWN thread': 'EPERM',
        'F_SETOWN group': 'EPERM',
        F_SETOWN_EX: 'EPERM',
        'F_SETOWN self': 'done',
        F_SETSIG: 'done',
        FIOSETOWN: 'EPERM',
        SIOCSPGRP: 'EPERM',
        pidfd_open: 'EPERM',
        'pidfd_send_signal folder': 'EPERM',
        'pidfd_getfd folder': 'EPERM',
        'prlimit read': 'done',
        prlimit: 'EPERM',
        'prlimit thread': 'EPERM',
        sched_setaffinity: 'EPERM',
        'sched_setaffinity thread': 'EPERM',
        sched_setscheduler: 'EPERM',
        sched_setparam: 'EPERM',
        setpriority: 'EPERM',
        'setpriority group': 'EPERM',
        'setpriority user': 'EPERM',
        ioprio_set: 'EPERM',
        'ptrace me': 'EPERM',
        'perf_event_open all': 'EPERM',
        setpgid: 'EPERM',
      });
      // Newer kernels only.
      for (const call of ['pidfd_send_signal peer', 'pidfd_getfd peer']) expect(results.get(call) ?? 'EPERM').toBe('EPERM');
      for (const call of ['ptrace attach', 'ptrace seize thread', 'process_vm_readv', 'process_vm_writev thread', 'perf_event_open'])
        expect([call, results.get(call)]).toEqual([call, 'EPERM']);
      const seen = reaches(told);
      expect(new Set(seen.map(({ target }) => target))).toEqual(new Set([self]));
      expect(new Set(seen.filter(({ by }) => by === 'signal' || by === 'control').map(({ level, rule }) => `${rule} ${level}`))).toEqual(
        new Set(['own-process KILL']),
      );
      expect(new Set(seen.filter(({ by }) => by === 'group' || by === 'handle').map(({ level, rule }) => `${rule} ${level}`))).toEqual(
        new Set(['own-process FLAG']),
      );
      await new Promise((resolve) => setImmediate(resolve));
      expect(arrived).toEqual([]);
    } finally {
      process.off('SIGURG', listener);
    }
  });
});

describe('the files of the warden in /proc', () => {
  it('its memory, environment and descriptors, by any of its threads, and what would change it', async (context) => {
    if (lacks !== undefined) return context.skip(lacks);
    const before = readFileSync('/proc/self/oom_score_adj', 'latin1');
    const thread = readdirSync(`/proc/${self}/task`).find((tid) => Number(tid) !== self) ?? String(self);
    const attempts = [
      `head -c 1 /proc/${thread}/mem`,
      `head -c 1 /proc/${self}/task/${thread}/mem`,
      `cat /proc/${self}/environ`,
      `cat /proc/${thread}/fd/0`,
      `echo 900 > /proc/${self}/oom_score_adj`,
      `echo 1 > /proc/${self}/clear_refs`,
    ];
    const lines = attempts.map((attempt) => `{ ${attempt}; } 2>/dev/null && echo done || echo refused`).join('\n');
    const { output, told } = await run({ program: '/bin/sh', args: ['-c', lines] });
    expect(output.trimEnd().split('\n')).toEqual(attempts.map(() => 'refused'));
    const judged = told.flatMap(({ judged }) => (judged === undefined ? [] : [`${judged.rule} ${judged.level}`]));
    expect(judged).toEqual(attempts.map(() => 'own-process KILL'));
    expect(readFileSync('/proc/self/oom_score_adj', 'latin1')).toBe(before);
  });
});

describe('within the tree', () => {
  it('members signal, trace, write and slow down each other', async (context) => {
    if (lacks !== undefined) return context.skip(lacks);
    const { results, told, end } = await run({ args: ['inside'] });
    expect(end).toEqual({ code: 0 });
    expect(Object.fromEntries(results)).toEqual({
      'inside write': 'done',
      'inside read': 'done',
      'inside attach': 'done',
      'inside peek': 'done',
      'inside detach': 'done',
      'inside renice': 'done',
      'inside stop group': 'done',
      'inside continue': 'done',
      'inside child': '7',
      'inside trace me': '0',
    });
    // Told, since what was read there is done by another process than it seems; and let happen.
    expect(reaches(told).map(({ level }) => level)).toEqual([undefined, undefined, undefined]);
  });

  it('what never happens in a tree does not', async (context) => {
    if (lacks !== undefined) return context.skip(lacks);
    const { results, end } = await run({ args: [] });
    expect(end).toEqual({ code: 0 });
    expect(Object.fromEntries(results)).toEqual({
      'unshare user': 'EPERM',
      'unshare mount': 'EPERM',
      mount: 'EPERM',
      chroot: 'EPERM',
      clone3: 'ENOSYS',
      io_uring_setup: 'ENOSYS',
      userfaultfd: 'EPERM',
      open_by_handle_at: 'EPERM',
      keyctl: 'EPERM',
      bpf: 'EPERM',
      'mknod device': 'EPERM',
      'mknod pipe': 'done',
      'packet socket': 'EPERM',
      vsock: 'EPERM',
      sctp: 'EPROTONOSUPPORT',
      'dumpable off': 'EPERM',
      'dumpable on': 'done',
      PR_SET_MM: 'EPERM',
      TIOCSTI: 'EPERM',
      'seccomp listener': 'EBUSY',
    });
  });
});

describe('through other interfaces of the kernel', () => {
  const foreign = arch === 'x64' ? cProgram('kernel/foreign') : undefined;
  const i386 =
    arch === 'x64' ? cProgram('kernel/i386', ['-m32', '-static', '-nostdlib', '-ffreestanding', '-fno-pie', '-no-pie']) : undefined;
  const lacksX64 = lacks ?? (foreign === undefined ? 'needs x86-64 and a C compiler' : undefined);
  // Without a filter it runs: so it can here at all.
  const runsI386 = i386 !== undefined && spawnSync(i386).stdout?.toString() === 'alive\n';
  const lacksI386 = lacksX64 ?? (runsI386 ? undefined : 'needs a kernel and a C compiler for i386');

  it('x32 is not there', async (context) => {
    if (lacksX64 !== undefined) return context.skip(lacksX64);
    expect(await run({ program: foreign, args: ['x32'] })).toMatchObject({ output: 'ENOSYS\nENOSYS\n', end: { code: 0 } });
  });

  it('a call of i386 ends the process that makes it', async (context) => {
    if (lacksI386 !== undefined) return context.skip(lacksI386);
    expect(await run({ program: foreign, args: ['int80'] })).toMatchObject({ output: '', end: { signal: 'SIGSYS' } });
  });

  it('so does a whole program of i386, at its first call', async (context) => {
    if (lacksI386 !== undefined) return context.skip(lacksI386);
    expect(await run({ program: i386 })).toMatchObject({ output: '', end: { signal: 'SIGSYS' } });
  });
});
