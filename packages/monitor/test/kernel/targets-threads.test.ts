/** Threads of one process: what is read of it once holds for all of them, as long as it is the same process and the same program. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Targets } from '../../src/kernel/targets.ts';
import type { KernelCalls } from '../../src/native/kernel-calls.ts';
import type { ProcReader } from '../../src/tree/proc-fs.ts';

const ESRCH = 3;

/** Processes and their threads are what the test says. */
function host() {
  const root = mkdtempSync(join(tmpdir(), 'countersign-targets-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  /** By number: the witness that names the thread which has it now. */
  const alive = new Map<number, number>([[process.pid, 1]]);
  let witnesses = 100;
  const programs = new Map<number, string>();
  const read: number[] = [];
  let looked = (): void => {};
  const calls: Partial<KernelCalls> = {
    pidfdOpen: (tid) => alive.get(tid) ?? -ESRCH,
    isAlive: (witness) => ([...alive.values()].includes(witness) ? 0 : -ESRCH),
    openat: () => -ESRCH,
    statx: (path) => {
      const is = existsSync(String(path)) ? 0 : -ESRCH;
      looked();
      return is;
    },
    close: () => 0,
  };
  const reader: Partial<ProcReader> = {
    stat: (pid) => ({ pid, start: pid * 10, parent: 1 }) as ReturnType<ProcReader['stat']>,
    exe: (pid) => (read.push(pid), programs.get(pid)),
    argv: () => undefined,
    cwd: () => '/',
    markers: () => undefined,
  };
  return {
    targets: new Targets(calls as KernelCalls, { root, reader: reader as ProcReader }),
    end: (tid: number, pid = tid) => {
      alive.delete(tid);
      rmSync(join(root, `${pid}/task/${tid}`), { recursive: true, force: true });
    },
    /** Once it was looked whose thread somebody is. */
    onLook: (then: () => void) => (looked = then),
    /** What tells whose thread it is, the long way. */
    forgetStatus: (tid: number) => rmSync(join(root, `${tid}/status`)),
    programs,
    read,
    thread: (tid: number, pid: number, program = '/bin/one') => {
      alive.set(tid, ++witnesses);
      programs.set(pid, program);
      mkdirSync(join(root, String(tid)), { recursive: true });
      mkdirSync(join(root, `${pid}/task/${tid}`), { recursive: true });
      writeFileSync(join(root, String(tid), 'status'), `Name:\tx\nTgid:\t${pid}\n`);
    },
  };
}

it('the program is read once for all threads of a process, and they share its actor', () => {
  const { targets, read, thread } = host();
  for (const tid of [10, 11, 12]) thread(tid, 10);
  const all = [10, 11, 12].map((tid) => targets.of(tid));
  expect(read).toEqual([10]);
  expect(all.map((target) => target?.tid)).toEqual([10, 11, 12]);
  expect(new Set(all.map((target) => target?.actor)).size).toBe(1);
});

it('a process that got the number of one that ended is read anew', () => {
  const { targets, end, read, thread } = host();
  thread(10, 10);
  expect(targets.of(10)).toMatchObject({ exe: '/bin/one' });
  end(10);
  thread(11, 10, '/bin/other');
  expect(targets.of(11)).toMatchObject({ pid: 10, exe: '/bin/other' });
  expect(read).toEqual([10, 10]);
});

it('another process is not taken for it', () => {
  const { targets, thread } = host();
  thread(10, 10);
  thread(20, 20, '/bin/other');
  expect(targets.of(10)?.exe).toBe('/bin/one');
  expect(targets.of(20)?.exe).toBe('/bin/other');
});

it('a thread number that is of another process by now is not the thread that was known', () => {
  const { targets, end, thread } = host();
  thread(10, 10);
  thread(11, 10);
  for (const tid of [10, 11]) targets.of(tid);
  end(11);
  expect(targets.of(12)).toBeUndefined();
  thread(11, 30, '/bin/third');
  expect(targets.of(11)).toMatchObject({ pid: 30, exe: '/bin/third' });
  thread(13, 10);
  expect(targets.of(13)).toMatchObject({ pid: 10, exe: '/bin/one' });
});

it('once a thread may run another program, nothing that was known of any of them is used', () => {
  const { targets, programs, read, thread } = host();
  for (const tid of [10, 11]) thread(tid, 10);
  const known = targets.of(10);
  if (known === undefined) throw new Error('it is not there');
  targets.of(11);
  targets.executes(known);
  programs.set(10, '/bin/other');
  // While the other one may still be at it, what is read is not kept.
  expect(targets.of(11)?.exe).toBe('/bin/other');
  expect(targets.of(11)?.exe).toBe('/bin/other');
  expect(read).toEqual([10, 10, 10]);
  // It calls: it is done. From now on it is known again.
  expect(targets.of(10)?.exe).toBe('/bin/other');
  expect(targets.of(11)?.exe).toBe('/bin/other');
  expect(read).toEqual([10, 10, 10, 10]);
});

it('a new thread of whoever called last is found with one look', () => {
  const { targets, forgetStatus, read, thread } = host();
  thread(10, 10);
  targets.of(10);
  thread(11, 10);
  forgetStatus(11);
  expect(targets.of(11)).toMatchObject({ pid: 10, tid: 11, exe: '/bin/one' });
  expect(read).toEqual([10]);
});

it('one of another process is not found so, whoever called last', () => {
  const { targets, thread } = host();
  thread(10, 10);
  thread(20, 20, '/bin/other');
  for (const tid of [20, 10]) targets.of(tid);
  thread(21, 20, '/bin/other');
  expect(targets.of(21)).toMatchObject({ pid: 20, exe: '/bin/other' });
});

it('nor by a process that has its number from one that ended', () => {
  const { targets, end, read, thread } = host();
  thread(10, 10);
  targets.of(10);
  end(10);
  thread(10, 10, '/bin/other');
  thread(11, 10, '/bin/other');
  expect(targets.of(11)).toMatchObject({ pid: 10, exe: '/bin/other' });
  expect(read).toEqual([10, 10]);
});

it('one that ends while it is looked at is nobody, and whoever has its number then is somebody else', () => {
  const { targets, end, onLook, thread } = host();
  thread(10, 10);
  targets.of(10);
  thread(11, 10);
  onLook(() => {
    end(11, 10);
    thread(11, 30, '/bin/third');
  });
  expect(targets.of(11)).toBeUndefined();
  onLook(() => {});
  expect(targets.of(11)).toMatchObject({ pid: 30, exe: '/bin/third' });
});

it('nor is one told by a thread that ended while it was looked', () => {
  const { targets, end, onLook, read, thread } = host();
  thread(10, 10);
  targets.of(10);
  thread(11, 10, '/bin/other');
  onLook(() => end(10));
  expect(targets.of(11)).toMatchObject({ pid: 10, exe: '/bin/other' });
  expect(read).toEqual([10, 10]);
});

it('a process that may run another program is not known by its threads', () => {
  const { targets, programs, thread } = host();
  thread(10, 10);
  const known = targets.of(10);
  if (known === undefined) throw new Error('it is not there');
  targets.executes(known);
  programs.set(10, '/bin/other');
  thread(11, 10, '/bin/other');
  expect(targets.of(11)).toMatchObject({ exe: '/bin/other' });
});
