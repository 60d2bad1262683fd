import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FreezeGrade, Freezer, FreezerOptions } from '../../src/contain/freezer.ts';
import { freezerFor } from '../../src/contain/freezer-for.ts';
import type { ProcessTree } from '../../src/tree/process-tree.ts';
import { cProgram } from '../c-program.ts';
import { hasControlGroups, launch, launchGated, sleepers, table, until, type Workload } from './workloads.ts';

const canGroup = hasControlGroups();
const GRADES: readonly FreezeGrade[] = canGroup ? ['signal', 'cgroup'] : ['signal'];
if (!canGroup) console.warn('SKIPPED: no cgroup v2 that may be written here, so only grade signal is tried');

function freezer(tree: ProcessTree, grade: FreezeGrade, options: FreezerOptions = {}): Freezer {
  const made = freezerFor(tree, grade === 'signal' ? { ...options, grade } : options);
  expect(made.grade).toBe(grade);
  onTestFinished(async () => {
    await made.kill();
    await made.close();
  });
  return made;
}

/** CPU time a process has used, in ticks: the only proof of running that no freezer hides. */
async function isCounting(counts: () => number): Promise<boolean> {
  const before = counts();
  await new Promise((resolve) => setTimeout(resolve, 60));
  return counts() !== before;
}

describe.each(GRADES)('freezing by %s', (grade) => {
  it('stops all of a tree, lets it go on, and ends it', async () => {
    const work = await sleepers(20);
    const one = freezer(work.tree, grade);
    const frozen = await one.freeze();
    expect(frozen).toMatchObject({ grade, processes: 21, running: [] });
    if (grade === 'signal') expect(work.alive().every(({ state }) => state === 'stopped')).toBe(true);
    await one.resume();
    await until(() => work.alive().every(({ state }) => state === 'running'));
    const killed = await one.kill();
    expect(killed).toMatchObject({ grade, killed: 21, left: [] });
    expect(work.alive()).toEqual([]);
  });

  it('is the same when it is done twice', async () => {
    const work = await sleepers(3);
    const one = freezer(work.tree, grade);
    await one.freeze();
    expect(await one.freeze()).toMatchObject({ processes: 4, running: [] });
    await one.resume();
    await one.resume();
    await until(() => work.alive().every(({ state }) => state === 'running'));
    expect(await one.kill()).toMatchObject({ left: [] });
    expect(await one.kill()).toMatchObject({ killed: 0, left: [] });
    expect(await one.freeze()).toMatchObject({ processes: 0, running: [] });
  });

  it('stops a process that counts, and what it does is still until it goes on', async () => {
    const work = launch(process.execPath, ['-e', 'for (;;);']);
    const one = freezer(work.tree, grade);
    await until(() => cpuTicks(work) > 5);
    await one.freeze();
    expect(await isCounting(() => cpuTicks(work))).toBe(false);
    await one.resume();
    const then = cpuTicks(work);
    await until(() => cpuTicks(work) > then + 3);
  });

  it('finds what forked twice and left its session before anybody looked', async () => {
    const work = launch('/bin/sh', ['-c', 'setsid sh -c "setsid sleep 300 & exit" & sleep 300 & wait']);
    await until(() => work.alive().filter(({ pid }) => table.children(pid).length === 0).length >= 2);
    // The tree knows the root alone; the daemon has another parent by now, and only its environment tells.
    const one = freezer(work.tree, grade, { marker: work.marker });
    await until(
      () => !work.alive().some(({ parent }) => parent !== 1 && parent !== process.pid && parent !== work.id.pid && !table.read(parent)),
    );
    expect((await one.freeze()).running).toEqual([]);
    expect(await one.kill()).toMatchObject({ left: [] });
    expect(work.alive()).toEqual([]);
  });

  it('takes the evidence while all are frozen, and before anything ends', async () => {
    const work = await sleepers(5);
    const seen: number[] = [];
    const one = freezer(work.tree, grade, {
      onFrozen: (processes) => {
        seen.push(processes.length, work.alive().length);
      },
    });
    expect(await one.kill()).not.toHaveProperty('evidence_failed');
    expect(seen).toEqual([6, 6]);
    expect(work.alive()).toEqual([]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('disk full');
      },
    ],
    ['rejects', () => Promise.reject(new Error('disk full'))],
  ])('ends all when taking evidence %s, and says so', async (_, onFrozen) => {
    const work = await sleepers(2);
    expect(await freezer(work.tree, grade, { onFrozen }).kill()).toMatchObject({ evidence_failed: true, killed: 3, left: [] });
    expect(work.alive()).toEqual([]);
  });

  it('ends one alone while the others stay frozen', async () => {
    const work = await sleepers(4);
    const one = freezer(work.tree, grade);
    await one.freeze();
    const [victim] = table.children(work.id.pid).flatMap((pid) => table.read(pid) ?? []);
    if (victim === undefined) throw new Error('no child');
    expect(await one.killOnly([victim])).toMatchObject({ killed: 1, left: [] });
    expect(table.read(victim.pid)?.state ?? 'gone').toBe('gone');
    expect(work.alive()).toHaveLength(4);
    expect(await one.killOnly([victim])).toMatchObject({ killed: 0, left: [] });
  });

  it('ends no stranger, whoever asks', async () => {
    const [work, other] = [await sleepers(1), await sleepers(1)];
    const one = freezer(work.tree, grade);
    expect(
      await one.killOnly([other.id, { pid: process.pid, start: table.read(process.pid)?.start ?? 0 }, { pid: 1, start: 0 }]),
    ).toMatchObject({
      killed: 0,
      left: [],
    });
    expect(other.alive()).toHaveLength(2);
  });

  it('ends nobody whose pid is another process since it was frozen', async () => {
    const work = await sleepers(1);
    const one = freezer(work.tree, grade);
    await one.freeze();
    const [child] = table.children(work.id.pid).flatMap((pid) => table.read(pid) ?? []);
    if (child === undefined) throw new Error('no child');
    expect(await one.killOnly([{ pid: child.pid, start: child.start + 1 }])).toMatchObject({ killed: 0 });
    expect(table.read(child.pid)?.state).not.toBe('gone');
  });

  it('does not stop or end itself when a tree says that it belongs', async () => {
    const self = table.read(process.pid);
    if (self === undefined) throw new Error('cannot read itself');
    const work = await sleepers(1);
    work.tree.addRoot({ pid: self.pid, start: self.start });
    const one = freezer(work.tree, grade === 'cgroup' ? 'cgroup' : 'signal');
    const { running } = await one.freeze();
    expect(running).toContainEqual({ pid: self.pid, start: self.start, why: 'spared' });
    expect((await one.kill()).left).toContainEqual({ pid: self.pid, start: self.start, why: 'spared' });
    expect(work.alive()).toEqual([]);
  });

  it('ends a tree of 200 that starts others while it is ended', async () => {
    const work = launch('/bin/sh', ['-c', 'i=0; while [ $i -lt 200 ]; do sh -c "sleep 300 & wait" & i=$((i+1)); done; wait']);
    await until(() => work.alive().length > 50);
    expect((await freezer(work.tree, grade).kill()).left).toEqual([]);
    expect(work.alive()).toEqual([]);
  });

  it('reads names with newlines and parentheses as one process each', async () => {
    const script =
      "process.title='x) R 1 1\\n7 (y'; require('node:child_process').spawn('sleep', ['300'], {argv0: 'a\\n) Z 1'}); setInterval(()=>{},1e3)";
    const work = launch(process.execPath, ['-e', script]);
    await until(() => work.alive().length === 2);
    expect(await freezer(work.tree, grade).kill()).toMatchObject({ killed: 2, left: [] });
  });
});

describe('by signal', () => {
  it('leaves stopped what somebody else had stopped', async () => {
    const work = await sleepers(2);
    const [stopped] = table.children(work.id.pid);
    if (stopped === undefined) throw new Error('no child');
    process.kill(stopped, 'SIGSTOP');
    await until(() => table.read(stopped)?.state === 'stopped');
    const one = freezer(work.tree, 'signal');
    await one.freeze();
    await one.resume();
    await until(() => work.alive().filter(({ state }) => state === 'running').length === 2);
    expect(table.read(stopped)?.state).toBe('stopped');
  });

  it('stops again what is woken, and tells', async () => {
    const work = await sleepers(2);
    const [woken] = table.children(work.id.pid);
    if (woken === undefined) throw new Error('no child');
    const resisted: number[] = [];
    const one = freezer(work.tree, 'signal', { onResist: (processes) => resisted.push(...processes.map(({ pid }) => pid)) });
    await one.freeze();
    process.kill(woken, 'SIGCONT');
    await until(() => resisted.includes(woken));
    await until(() => table.read(woken)?.state === 'stopped');
  });

  it('ends a process whose first thread ended and left another', async (context) => {
    const python =
      'import threading,time,ctypes\nthreading.Thread(target=lambda: time.sleep(300)).start()\nctypes.CDLL(None).pthread_exit(None)';
    const work = launch('/usr/bin/env', ['python3', '-c', python]);
    const looksDead = (): boolean => /\) Z /.test(readStat(work.id.pid));
    const deadline = performance.now() + 10_000;
    while (!looksDead() && work.root.exitCode === null && work.root.signalCode === null && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5));
    if (!looksDead() || work.root.exitCode !== null) return context.skip('no python3 that can end its first thread alone');
    expect(table.read(work.id.pid)?.state).toBe('running');
    expect(await freezer(work.tree, 'signal').kill()).toMatchObject({ killed: 1, left: [] });
  });
});

describe.skipIf(!canGroup)('by control group', () => {
  it('nothing of ten chains that fork, leave their session and end every 2 ms goes on, and nothing is left', async (context) => {
    const rabbit = cProgram('contain/rabbit');
    if (rabbit === undefined) return context.skip('no C compiler for the workload');
    for (let run = 0; run < 3; run++) {
      const work = launchGated(rabbit, ['10', '20', '2000', '1']);
      const one = freezer(work.tree, 'cgroup');
      work.open();
      // The root never asks for its children: the first of each chain stays behind as a zombie.
      await until(() => table.children(work.id.pid).filter((pid) => table.read(pid)?.state === 'gone').length === 10);
      const { processes, running, grade } = await one.freeze();
      expect({ grade, running }).toEqual({ grade: 'cgroup', running: [] });
      const still = work.alive().map(({ pid }) => pid);
      expect(still.length).toBeGreaterThanOrEqual(11);
      expect(processes).toBe(still.length);
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect(work.alive().map(({ pid }) => pid)).toEqual(still);
      expect(await one.kill()).toMatchObject({ grade: 'cgroup', killed: still.length, left: [] });
      expect(work.alive()).toEqual([]);
    }
  });
});

function cpuTicks({ id }: Workload): number {
  const stat = readStat(id.pid);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return '';
  }
}
