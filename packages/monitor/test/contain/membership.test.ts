import { describe, expect, it } from 'vitest';
import { Membership } from '../../src/contain/membership.ts';
import { signaller } from '../../src/contain/signals.ts';
import { withTracers } from '../../src/contain/stillness.ts';
import { Stops } from '../../src/contain/stops.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import { type FakeProcess, FakeTable } from './fake-table.ts';

const ROOT = { pid: 10, start: 100, parent: 2 };
const CHILD = { pid: 11, start: 110, parent: 10 };
const GRANDCHILD = { pid: 12, start: 120, parent: 11 };
const STRANGER = { pid: 20, start: 90, parent: 1 };

function scanning(processes: readonly FakeProcess[], options: ConstructorParameters<typeof Membership>[2] = {}) {
  const table = new FakeTable(processes);
  const members = new Membership(new TrackedTree({ roots: [{ pid: 10, start: 100 }] }), table, options);
  return { table, members, pids: () => members.scan().map(({ pid }) => pid) };
}

describe('who belongs', () => {
  it('is what descends from the tree, and nobody else', () => {
    expect(scanning([ROOT, CHILD, GRANDCHILD, STRANGER]).pids()).toEqual([10, 11, 12]);
  });

  it('is not a process that has the pid of one that belonged, nor what that one started', () => {
    expect(scanning([{ ...ROOT, start: 101 }, CHILD]).pids()).toEqual([]);
  });

  it('is not a child that is older than its parent: the pid of the parent was another process before', () => {
    expect(scanning([ROOT, { ...CHILD, start: 99 }]).pids()).toEqual([10]);
  });

  it('is no zombie, but what a zombie started', () => {
    expect(scanning([{ ...ROOT, state: 'gone' }, CHILD]).pids()).toEqual([11]);
  });

  it('is one that was found before, also after its parents ended', () => {
    const { table, pids } = scanning([ROOT, CHILD, GRANDCHILD]);
    expect(pids()).toEqual([10, 11, 12]);
    table.processes.delete(10);
    table.processes.delete(11);
    table.processes.set(12, { ...GRANDCHILD, parent: 1 });
    expect(pids()).toEqual([12]);
    table.processes.set(12, { ...GRANDCHILD, start: 121, parent: 1 });
    expect(pids()).toEqual([]);
  });

  it('is an orphan that came to us, and one that carries the marker', () => {
    expect(scanning([ROOT, STRANGER], { adopted: () => [STRANGER] }).pids()).toEqual([10, 20]);
    const { members, pids } = scanning([ROOT, { ...STRANGER, marker: 'RUN=1' }, { pid: 21, start: 200, parent: 20 }], { marker: 'RUN=1' });
    expect(pids()).toEqual([10]);
    expect(members.scanAll().map(({ pid }) => pid)).toEqual([10, 20, 21]);
    // From then on it is known.
    expect(pids()).toEqual([10, 20, 21]);
  });

  it('is found although a hostile table goes in a circle', () => {
    expect(
      scanning([
        { ...ROOT, parent: 11 },
        { ...CHILD, start: 100 },
      ]).pids(),
    ).toEqual([10, 11]);
  });
});

describe('stopping', () => {
  function stopping(processes: readonly FakeProcess[], deny: ReadonlySet<number> = new Set()) {
    const table = new FakeTable(processes);
    const members = new Membership(new TrackedTree({ roots: [{ pid: 10, start: 100 }] }), table, {});
    const sent: string[] = [];
    const kill = (pid: number, signal: string): void => {
      if (deny.has(pid)) throw Object.assign(new Error('kill'), { errno: -1 });
      sent.push(`${signal} ${pid}`);
      const now = table.processes.get(pid);
      if (now !== undefined && now.state !== 'waiting')
        table.processes.set(pid, { ...now, state: signal === 'SIGSTOP' ? 'stopped' : 'running' });
    };
    const stops = new Stops(signaller({ table, kill, self: 5 }), { look: withTracers(table) });
    return { table, sent, stops, scan: () => members.scan() };
  }

  it('lets go on exactly those it stopped', async () => {
    const { sent, stops, scan } = stopping([ROOT, { ...CHILD, state: 'stopped' }, GRANDCHILD]);
    expect((await stops.chase(scan)).running).toEqual([]);
    stops.release();
    stops.release();
    expect(sent).toEqual(['SIGSTOP 10', 'SIGSTOP 12', 'SIGCONT 10', 'SIGCONT 12']);
  });

  it('says who could not be stopped, and why, and lets nobody go on whom it did not reach', async () => {
    const { sent, stops, scan } = stopping([ROOT, { ...CHILD, state: 'waiting' }, GRANDCHILD], new Set([12]));
    const { running } = await stops.chase(scan);
    expect(running).toEqual([
      { pid: 11, start: 110, why: 'waiting' },
      { pid: 12, start: 120, why: 'denied' },
    ]);
    stops.release();
    expect(sent).toEqual(['SIGSTOP 10', 'SIGSTOP 11', 'SIGCONT 10', 'SIGCONT 11']);
  });

  it('sends no signal to go on to what has the pid of one that was stopped', async () => {
    const { table, sent, stops, scan } = stopping([ROOT, CHILD]);
    await stops.chase(scan);
    table.processes.set(11, { ...CHILD, start: 111 });
    stops.release();
    expect(sent).toEqual(['SIGSTOP 10', 'SIGSTOP 11', 'SIGCONT 10']);
  });

  it('stops again what was woken, and ends although it is woken each time', async () => {
    const { table, stops, scan } = stopping([ROOT, CHILD]);
    await stops.chase(scan);
    table.processes.set(11, CHILD);
    expect(stops.again(scan())).toEqual([{ pid: 11, start: 110, why: 'resists' }]);
    expect(table.read(11)?.state).toBe('stopped');
    const awake = (): ReturnType<typeof scan> => {
      table.processes.set(11, CHILD);
      return scan();
    };
    expect((await stops.chase(awake)).running).toEqual([{ pid: 11, start: 110, why: 'resists' }]);
  });

  it('gives up on a tree that is new at every look', async () => {
    const { table, stops, scan } = stopping([ROOT]);
    let next = 1_000;
    const growing = (): ReturnType<typeof scan> => {
      table.processes.set(++next, { pid: next, start: next, parent: 10 });
      return scan();
    };
    const { running } = await stops.chase(growing);
    expect(running).toHaveLength(1);
  });
});
