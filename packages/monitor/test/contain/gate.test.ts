/** Freezing behind the supervisor's gate: real filters, real processes. */

import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeControlGroup, moveInto, originReader } from '../../src/contain/control-group.ts';
import type { Told } from '../../src/kernel/supervisor-protocol.ts';
import { cProgram } from '../c-program.ts';
import { whyNot } from '../kernel/supervised.ts';
import { type Gated, gated } from './gated.ts';
import { hasControlGroups, table, until } from './workloads.ts';

const missing = whyNot();
if (missing !== undefined) console.warn(`SKIPPED: no gate, since ${missing}`);
const stampede = cProgram('contain/stampede');
if (stampede === undefined) console.warn('SKIPPED: no C compiler, so no process that waits for its vforked child');
const canGroup = hasControlGroups();
if (!canGroup) console.warn('SKIPPED: no cgroup v2 that may be written here, so its freezer is not tried over a held call');

const shell = (script: string, more: Partial<Parameters<typeof gated>[0]> = {}): Promise<Gated> =>
  gated({ program: '/bin/sh', args: ['-c', script], ...more });
const isHeld = ({ held }: Told): boolean => held !== undefined;
/** Waits for a person, then tells whether it was let. */
const BASHRC = 'exec 2> /dev/null; mkdir -p "$HOME"; if echo alias >> "$HOME/.bashrc"; then : > let; else : > refused; fi; sleep 300';

async function holding(script = BASHRC): Promise<Gated & { readonly held: number }> {
  const work = await shell(script);
  const { held = 0 } = await work.until(isHeld);
  return { ...work, held };
}

const isPipe = ({ action }: Told['observation']): boolean => action.kind === 'read' && action.path.endsWith('/pipe');
const did = ({ workspace }: Gated, name: string): boolean => existsSync(join(workspace, name));
const letterOf = (work: Gated): string | undefined => table.read(work.id.pid)?.state;

describe.skipIf(missing)('freezing by gate', () => {
  it('stops all of a tree, lets it go on, and ends it', async () => {
    const work = await shell('i=0; while [ $i -lt 20 ]; do sleep 300 & i=$((i+1)); done; wait');
    await until(() => work.alive().length === 21);
    expect(await work.freezer.freeze()).toMatchObject({ grade: 'gate', processes: 21, running: [] });
    expect(work.alive().every(({ state }) => state === 'stopped')).toBe(true);
    await work.freezer.resume();
    await until(() => work.alive().every(({ state }) => state === 'running'));
    expect(await work.freezer.kill()).toMatchObject({ grade: 'gate', killed: 21, left: [] });
    expect(work.alive()).toEqual([]);
  });

  it('is the same when it is done twice', async () => {
    const work = await shell('sleep 300 & sleep 300 & wait');
    await until(() => work.alive().length === 3);
    await work.freezer.freeze();
    expect(await work.freezer.freeze()).toMatchObject({ processes: 3, running: [] });
    await work.freezer.resume();
    await work.freezer.resume();
    await until(() => work.alive().every(({ state }) => state === 'running'));
    expect(await work.freezer.kill()).toMatchObject({ left: [] });
    expect(await work.freezer.freeze()).toMatchObject({ processes: 0, running: [] });
  });

  it('nothing opens, deletes or starts anything once the gate is shut, though nothing is stopped yet; then it does', async () => {
    const work = await shell('i=0; while :; do : > n$i; rm -f n$((i/2)); i=$((i+1)); done');
    const files = (): string => readdirSync(work.workspace).join(' ');
    await until(() => did(work, 'n20'));
    expect(await work.supervisor.shutGate()).toBe(true);
    const [before, seen] = [files(), work.told.length];
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([files(), work.told.length]).toEqual([before, seen]);
    expect(work.alive().some(({ state }) => state === 'stopped')).toBe(false);
    work.supervisor.openGate();
    await until(() => files() !== before);
  });

  it('what waits for a person is still, though no signal stops it there, and goes on when it was let and the gate is open', async () => {
    const work = await holding();
    expect(await work.freezer.freeze()).toMatchObject({ grade: 'gate', processes: 1, running: [] });
    // The stop signal takes it out of one kind of wait and into another: it looks as if it ran, for a moment.
    await until(() => letterOf(work) === 'waiting');
    work.supervisor.answer(work.held, 'continue');
    // The supervisor has seen it, and still nothing goes on.
    await work.supervisor.shutGate();
    expect(letterOf(work)).toBe('waiting');
    expect((await work.freezer.freeze()).running).toEqual([]);
    expect(existsSync(join(work.home, '.bashrc'))).toBe(false);
    await work.freezer.resume();
    await until(() => did(work, 'let'));
    expect(existsSync(join(work.home, '.bashrc'))).toBe(true);
    // Asked once: the stop that waited for it broke nothing off.
    expect(work.told.filter(isHeld)).toHaveLength(1);
  });

  it('what was refused while it is frozen returns, and gets no further until it is let go on', async () => {
    const work = await holding();
    await work.freezer.freeze();
    work.supervisor.answer(work.held, 'refuse');
    await until(() => letterOf(work) === 'stopped');
    expect(did(work, 'refused')).toBe(false);
    expect((await work.freezer.freeze()).running).toEqual([]);
    await work.freezer.resume();
    await until(() => did(work, 'refused'));
    expect(existsSync(join(work.home, '.bashrc'))).toBe(false);
  });

  it('shuts by itself at what it holds, before anybody hears of it', async () => {
    const work = await shell(`(sleep 0.2; ${BASHRC}) & while :; do : > on; rm -f on; done`, {
      start: { shutsGate: true },
      onTold: ({ held }, supervisor) => {
        if (held !== undefined) void supervisor.shutGate();
      },
    });
    await work.until(isHeld);
    await work.supervisor.shutGate();
    // In the order in which they were made: nobody made another one.
    expect(work.told.findIndex(isHeld)).toBe(work.told.length - 1);
    const seen = work.told.length;
    work.supervisor.openGate();
    await until(() => work.told.length > seen);
  });

  it('that shut by itself opens for an answer that came without a freeze', async () => {
    const work = await shell(`(sleep 0.1; ${BASHRC}) & while :; do : > on; rm -f on; done`, {
      start: { shutsGate: true },
      onTold: ({ held }, supervisor) => {
        if (held !== undefined) supervisor.answer(held, 'continue');
      },
    });
    await until(() => did(work, 'let'));
    const seen = work.told.length;
    await until(() => work.told.length > seen);
  });

  it('whoever waits for the other end of a pipe is still, whether the kernel opens or we do', async () => {
    for (const trapReads of ['deny-list', 'broker'] as const) {
      const work = await shell('mkfifo pipe; : > there; read line < pipe; : > "$line"; sleep 300', { trapReads });
      await until(() => did(work, 'there'));
      // On its way from there on: a look at where it is would be one too many.
      await until(() => ['waiting', 'running'].includes(letterOf(work) ?? '') && work.told.some(({ observation }) => isPipe(observation)));
      expect(await work.freezer.freeze()).toMatchObject({ grade: 'gate', running: [] });
      const other = openSync(join(work.workspace, 'pipe'), 'r+');
      writeSync(other, 'came\n');
      expect(did(work, 'came')).toBe(false);
      await work.freezer.resume();
      await until(() => did(work, 'came'));
      closeSync(other);
    }
  });

  it('a held thread stops no other of its process from being looked at', async () => {
    const work = await gated({
      program: process.execPath,
      args: ['-e', "require('node:fs').writeFile(process.env.HOME + '/.bashrc', 'alias', () => {}); for (;;);"],
    });
    await work.until(isHeld);
    expect((await work.freezer.freeze()).running).toEqual([]);
    const states = table.threads(work.id.pid).map(({ state }) => state);
    expect(states.filter((state) => state === 'waiting')).toHaveLength(1);
    expect(states.filter((state) => state !== 'waiting' && state !== 'stopped')).toEqual([]);
  });

  it('what waits at the gate, what is held and what runs is ended alike', async () => {
    const work = await holding(`(${BASHRC}) & (while :; do : > a; done) & while :; do echo; done > /dev/null`);
    await work.supervisor.shutGate();
    const { left, grade } = await work.freezer.kill();
    expect({ left, grade }).toEqual({ left: [], grade: 'gate' });
    expect(work.alive()).toEqual([]);
    expect(existsSync(join(work.home, '.bashrc'))).toBe(false);
  });

  it('one that is held is ended alone, and the others go on', async () => {
    const work = await shell(`sh -c '${BASHRC}' & while :; do : > on; rm on; sleep 0.01; done`);
    const { observation } = await work.until(isHeld);
    await work.freezer.freeze();
    const { actor } = observation;
    if (actor === undefined) throw new Error('nobody is known to be held');
    expect(await work.freezer.killOnly([actor])).toMatchObject({ grade: 'gate', killed: 1, left: [] });
    expect(letterOf(work)).toBe('stopped');
    await work.freezer.resume();
    await until(() => did(work, 'on'));
    await until(() => !did(work, 'on'));
  });

  it('is told and stopped again, whoever woke it', async () => {
    const resisted: number[] = [];
    const work = await shell('while :; do :; done', { freezing: { onResist: (those) => resisted.push(...those.map(({ pid }) => pid)) } });
    await work.freezer.freeze();
    process.kill(work.id.pid, 'SIGCONT');
    await until(() => resisted.includes(work.id.pid));
    await until(() => letterOf(work) === 'stopped');
  });

  it.skipIf(stampede === undefined)('one that waits for its vforked child is still, while that is held', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-gate-'));
    // The name of a program that gives rights.
    const sudo = join(folder, 'sudo');
    writeFileSync(sudo, '#!/bin/sh\n', { mode: 0o755 });
    const work = await gated({ program: stampede ?? '', args: ['runs', sudo] });
    await work.until(isHeld);
    await until(() => letterOf(work) === 'waiting');
    expect(await work.freezer.freeze()).toMatchObject({ processes: 2, running: [] });
    await work.freezer.resume();
    for (const { held } of work.told) if (held !== undefined) work.supervisor.answer(held, 'continue');
    expect(await work.ended).toEqual({ code: 0 });
  });

  it.skipIf(stampede === undefined)('holds a thousand that all open at once, and lets each go on', async () => {
    const work = await gated({ program: stampede ?? '', args: ['opens', '1000'], trapReads: 'deny-list' });
    await until(() => table.children(work.id.pid).length === 1_000);
    expect(await work.freezer.freeze()).toMatchObject({ grade: 'gate', processes: 1_001, running: [] });
    const seen = work.told.length;
    await work.freezer.resume();
    await until(() => work.told.length > seen);
    expect(await work.freezer.kill()).toMatchObject({ killed: 1_001, left: [] });
    expect(work.alive()).toEqual([]);
  });
});

describe.skipIf(missing)('when nobody tends the gate any more', () => {
  it('nothing opens any more, what there is is stopped by signals, and the grade says so', async () => {
    const work = await shell('exec 2> /dev/null; i=0; while :; do echo > n$i; i=$((i+1)); done');
    await until(() => did(work, 'n5'));
    expect(work.freezer.grade).toBe('gate');
    await work.supervisor.stop();
    const before = readdirSync(work.workspace).length;
    expect(work.freezer.grade).toBe('signal');
    expect(await work.freezer.freeze()).toMatchObject({ grade: 'signal', processes: 1, running: [] });
    await work.freezer.resume();
    await until(() => letterOf(work) === 'running');
    expect(readdirSync(work.workspace)).toHaveLength(before);
    expect(await work.freezer.kill()).toMatchObject({ grade: 'signal', killed: 1, left: [] });
  });

  it('while a tree is frozen, it stays so, and what waited fails once it may go on', async () => {
    const work = await holding();
    await work.freezer.freeze();
    await work.supervisor.stop();
    expect(work.freezer.grade).toBe('signal');
    await until(() => letterOf(work) === 'stopped');
    expect(did(work, 'refused')).toBe(false);
    await work.freezer.resume();
    // Even to leave a sign of it would take a call that fails.
    expect(await work.ended).toMatchObject({ code: expect.any(Number) });
    expect([did(work, 'let'), did(work, 'refused'), existsSync(join(work.home, '.bashrc'))]).toEqual([false, false, false]);
  });
});

describe.skipIf(missing !== undefined || !canGroup)('the freezer of a control group', () => {
  async function grouped(work: Gated) {
    const home = originReader()(work.id.pid);
    const group = makeControlGroup(work.id.pid);
    if (group === undefined || home === undefined) throw new Error('no control group');
    onTestFinished(async () => {
      await until(() => {
        // Again each time: one that was moved may have left a child behind.
        for (const pid of group.pids()) moveInto(home, pid);
        return group.remove();
      });
    });
    for (const { pid } of work.alive()) expect(group.move(pid)).toBe('moved');
    return group;
  }

  it('does not get over a call that is held, which is why there is a gate, and ends it all the same', async () => {
    const work = await holding();
    const group = await grouped(work);
    group.freeze(true);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(group.isFrozen()).toBe(false);
    work.supervisor.answer(work.held, 'refuse');
    await until(() => group.isFrozen());
    expect(did(work, 'refused')).toBe(false);
    group.freeze(false);
    await until(() => did(work, 'refused'));
  });

  it('ends one that is held', async () => {
    const work = await holding();
    const group = await grouped(work);
    expect(group.kill()).toBe(true);
    await until(() => work.alive().length === 0);
    expect(existsSync(join(work.home, '.bashrc'))).toBe(false);
  });

  it('stops what waits at the gate, which nobody received', async () => {
    const work = await shell('i=0; while :; do : > n$i; i=$((i+1)); done');
    await until(() => did(work, 'n5'));
    const group = await grouped(work);
    await work.supervisor.shutGate();
    group.freeze(true);
    await until(() => group.isFrozen());
    group.freeze(false);
    const before = readdirSync(work.workspace).length;
    work.supervisor.openGate();
    await until(() => readdirSync(work.workspace).length > before);
  });
});
