/** What is hard to stop, and what there is no control group for. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeControlGroup, moveInto, originReader } from '../../src/contain/control-group.ts';
import type { FreezeGrade, Freezer } from '../../src/contain/freezer.ts';
import { freezerFor } from '../../src/contain/freezer-for.ts';
import type { ProcessTree } from '../../src/tree/process-tree.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import { cProgram } from '../c-program.ts';
import { hasControlGroups, launch, sleepers, table, until } from './workloads.ts';

const canGroup = hasControlGroups();
const GRADES: readonly FreezeGrade[] = canGroup ? ['signal', 'cgroup'] : ['signal'];
const wedge = cProgram('contain/wedge');
if (wedge === undefined) console.warn('SKIPPED: no C compiler, so no process that is hard to stop');

function freezer(tree: ProcessTree, grade: FreezeGrade): Freezer {
  const made = freezerFor(tree, grade === 'signal' ? { grade } : {});
  onTestFinished(async () => {
    await made.kill();
    await made.close();
  });
  return made;
}

describe.skipIf(wedge === undefined)('hard to stop', () => {
  const command = wedge ?? '';

  // By signal these are races that a busy machine loses now and then (the guide's limits say so): what must hold is that they can be won.
  it.each(GRADES)('two that wake each other for ever are still (%s)', { retry: 4 }, async (grade) => {
    const work = launch(command, ['wakers']);
    await until(() => work.alive().length === 2);
    const one = freezer(work.tree, grade);
    expect((await one.freeze()).running).toEqual([]);
    expect(await one.kill()).toMatchObject({ killed: 2, left: [] });
  });

  async function traced() {
    const tracer = spawn(command, ['tracer'], { stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void tracer.kill('SIGKILL'));
    const [line] = (await once(tracer.stdout, 'data')) as [Buffer];
    const status = table.read(Number(line));
    if (status === undefined) throw new Error('no traced process');
    const id = { pid: status.pid, start: status.start };
    onTestFinished(() => {
      if (table.read(id.pid)?.start === id.start) process.kill(id.pid, 'SIGKILL');
    });
    return { id, tree: new TrackedTree({ roots: [id] }) };
  }

  it('one whose debugger keeps the signal from it is told as running, and ended all the same', async () => {
    const { id, tree } = await traced();
    const one = freezer(tree, 'signal');
    // It is seen on its way, or in the debugger's hands: that one runs, and decides.
    expect((await one.freeze()).running).toEqual([{ ...id, why: expect.stringMatching(/^(resists|traced)$/) }]);
    expect(await one.kill()).toMatchObject({ killed: 1, left: [] });
  });

  it.skipIf(!canGroup)('no debugger keeps it from a control group', async () => {
    const { tree } = await traced();
    const one = freezer(tree, 'cgroup');
    expect(await one.freeze()).toMatchObject({ grade: 'cgroup', running: [] });
    expect(await one.kill()).toMatchObject({ killed: 1, left: [] });
  });

  it.each(GRADES)('one that waits in the kernel is told as waiting, or is still, and is ended (%s)', async (grade) => {
    const work = launch(command, ['vfork']);
    await until(() => work.alive().some(({ state }) => state === 'waiting') && work.alive().length === 2);
    const one = freezer(work.tree, grade);
    const { running } = await one.freeze();
    // A signal waits for it there; the kernel's own freezer does not need to.
    expect(running).toEqual(grade === 'signal' ? [{ ...work.id, why: 'waiting' }] : []);
    await one.resume();
    expect(await one.kill()).toMatchObject({ killed: 2, left: [] });
    expect(work.alive()).toEqual([]);
  });
});

describe.skipIf(!canGroup)('control groups', () => {
  it('of threads are passed by: the group is made further up', async () => {
    const outer = makeControlGroup(process.pid);
    if (outer === undefined) throw new Error('no control group');
    const threaded = join(outer.folder, 'threaded');
    mkdirSync(threaded);
    onTestFinished(() => {
      rmdirSync(threaded);
      rmdirSync(outer.folder);
    });
    const work = await sleepers(2);
    writeFileSync(join(threaded, 'cgroup.type'), 'threaded');
    for (const { pid } of work.alive()) expect(moveInto(threaded, pid)).toBe('moved');
    const one = freezer(work.tree, 'cgroup');
    expect(await one.freeze()).toMatchObject({ grade: 'cgroup', processes: 3, running: [] });
    expect(await one.kill()).toMatchObject({ killed: 3, left: [] });
  });

  it('that somebody thawed are frozen again, and it is told', async () => {
    const work = await sleepers(2);
    const resisted: string[] = [];
    const one = freezerFor(work.tree, { onResist: (processes) => resisted.push(...processes.map(({ why }) => why)) });
    onTestFinished(() => one.close());
    await one.freeze();
    const folder = groupOf(work.id.pid);
    writeFileSync(join(folder, 'cgroup.freeze'), '0');
    await until(() => resisted.length > 0);
    expect(new Set(resisted)).toEqual(new Set(['resists']));
    expect((await one.freeze()).running).toEqual([]);
    expect(await one.kill()).toMatchObject({ left: [] });
  });

  it('that somebody left are no way out: it is moved back, or stopped, and told', async () => {
    const work = await sleepers(2);
    const resisted: number[] = [];
    const one = freezerFor(work.tree, { onResist: (processes) => resisted.push(...processes.map(({ pid }) => pid)) });
    onTestFinished(() => one.close());
    await one.freeze();
    const [escaped] = table.children(work.id.pid);
    if (escaped === undefined) throw new Error('no child');
    expect(moveInto(join(groupOf(work.id.pid), '..'), escaped)).toBe('moved');
    await until(() => resisted.includes(escaped));
    expect(groupOf(escaped)).toBe(groupOf(work.id.pid));
    expect(await one.kill()).toMatchObject({ killed: 3, left: [] });
  });

  it('are given back: what runs goes to where it was, and nothing of ours stays', async () => {
    const work = await sleepers(2);
    const before = groupOf(work.id.pid);
    const one = freezerFor(work.tree);
    expect(groupOf(work.id.pid)).not.toBe(before);
    await one.freeze();
    await one.resume();
    const made = groupOf(work.id.pid);
    await one.close();
    expect(work.alive().map(({ pid }) => groupOf(pid))).toEqual([before, before, before]);
    expect(() => rmdirSync(made)).toThrow('ENOENT');
  });

  it('that were taken away leave signals', async () => {
    const work = await sleepers(2);
    const one = freezerFor(work.tree);
    onTestFinished(() => one.close());
    const made = groupOf(work.id.pid);
    for (const { pid } of work.alive()) moveInto(join(made, '..'), pid);
    await until(() => {
      try {
        rmdirSync(made);
      } catch (error) {
        return error instanceof Error && 'code' in error && error.code === 'ENOENT';
      }
      return true;
    });
    expect(await one.freeze()).toMatchObject({ grade: 'signal', processes: 3, running: [] });
    expect(work.alive().every(({ state }) => state === 'stopped')).toBe(true);
    expect(await one.kill()).toMatchObject({ killed: 3, left: [] });
  });
});

describe('as an ordinary user', () => {
  it('has grade signal here, says who is not ours to stop, and still ends the others', async (context) => {
    if (process.getuid?.() !== 0) return context.skip('needs root, to have another user');
    const other = launch('sleep', ['300']);
    const script = fileURLToPath(new URL('./other-user-child.ts', import.meta.url));
    const args = ['--conditions=@countersign/source', '--no-warnings', script, String(other.id.pid), String(other.id.start)];
    const ran = await promisify(execFile)(process.execPath, args, {
      uid: 65_534,
      gid: 65_534,
      cwd: '/',
      env: { PATH: process.env['PATH'] },
    }).catch((error: unknown) => String(error));
    if (typeof ran === 'string') return context.skip(`another user cannot run this: ${ran.slice(0, 200)}`);
    expect(JSON.parse(ran.stdout)).toEqual({
      grade: 'signal',
      running: [{ ...other.id, why: 'denied' }],
      left: [{ ...other.id, why: 'denied' }],
      own: 'ended',
    });
    expect(other.alive()).toHaveLength(1);
  });
});

function groupOf(pid: number): string {
  const folder = originReader()(pid);
  if (folder === undefined) throw new Error('no control group');
  return folder;
}
