import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_MEMBERS, type SeenProcess, TrackedTree, type TreeChange } from '../../src/tree/tracked-tree.ts';

const ROOT: SeenProcess = { pid: 100, start: 1_000, parent: 50, exe: '/usr/bin/node', argv: ['node', 'agent.js'], cwd: '/job' };

let tree: TrackedTree;
let changes: TreeChange[];

beforeEach(() => {
  tree = new TrackedTree({ roots: [ROOT], marker: 'run-1', adopter: 50 });
  changes = [];
  tree.onChange((change) => changes.push(change));
});

describe('who belongs', () => {
  it('a child, a grandchild, and neither parent nor sibling of the root', () => {
    expect(tree.seen({ pid: 101, start: 1_001, parent: 100 })).toMatchObject({ pid: 101 });
    expect(tree.seen({ pid: 102, start: 1_002, parent: 101 })).toMatchObject({ pid: 102 });
    expect(tree.seen({ pid: 50, start: 10, parent: 1 })).toBeUndefined();
    expect(tree.seen({ pid: 103, start: 1_003, parent: 51 })).toBeUndefined();
    expect(tree.members().map(({ pid }) => pid)).toStrictEqual([100, 101, 102]);
  });

  it('stays when its parent ended and another process is its parent now', () => {
    tree.forked(100, { pid: 101, start: 1_001 });
    tree.exited({ pid: 100, start: 1_000 });
    expect(tree.seen({ pid: 101, start: 1_001, parent: 1 })).toMatchObject({ pid: 101, parent: 1 });
  });

  it('a process whose parent was never seen, by the marker of this run and no other', () => {
    expect(tree.seen({ pid: 300, start: 2_000, parent: 1, markers: { run: 'run-1' } })).toMatchObject({ pid: 300 });
    expect(tree.seen({ pid: 301, start: 2_000, parent: 1, markers: { run: 'run-2' } })).toBeUndefined();
    expect(tree.seen({ pid: 302, start: 2_000, parent: 1, markers: { call: 'run-1' } })).toBeUndefined();
    expect(changes).toMatchObject([{ kind: 'joined', by: 'marker', process: { pid: 300 } }]);
  });

  it('no process by a marker when the tree has none', () => {
    const attached = new TrackedTree({ roots: [ROOT] });
    expect(attached.seen({ pid: 300, start: 2_000, parent: 1, markers: { run: 'undefined' } })).toBeUndefined();
    expect(attached.seen({ pid: 301, start: 2_000, parent: 1, markers: {} })).toBeUndefined();
    expect(attached.seen({ pid: 302, start: 2_000 })).toBeUndefined();
  });

  it('an orphan that was left to the subreaper, and not what the subreaper started itself', () => {
    const ended = tree.disown(400);
    expect(tree.seen({ pid: 400, start: 2_000, parent: 50 })).toBeUndefined();
    expect(tree.seen({ pid: 401, start: 2_000, parent: 50 })).toMatchObject({ pid: 401 });
    ended();
    expect(tree.seen({ pid: 400, start: 3_000, parent: 50 })).toMatchObject({ pid: 400 });
  });

  it('not the child of a process that has the pid of a member and is younger than its child', () => {
    tree.forked(100, { pid: 101, start: 5_000 });
    expect(tree.seen({ pid: 102, start: 4_999, parent: 101 })).toBeUndefined();
  });
});

describe('pid reuse', () => {
  it('is the end of one process, and a stranger', () => {
    tree.forked(100, { pid: 101, start: 1_001 });
    changes = [];
    expect(tree.seen({ pid: 101, start: 9_000, parent: 1, exe: '/usr/bin/ssh' })).toBeUndefined();
    expect(tree.has({ pid: 101, start: 1_001 })).toBe(false);
    expect(tree.has({ pid: 101, start: 9_000 })).toBe(false);
    expect(tree.get(101)).toBeUndefined();
    expect(changes).toMatchObject([{ kind: 'left', how: 'replaced', process: { pid: 101, start: 1_001 } }]);
  });

  it('of a root does not make a root of the stranger', () => {
    expect(tree.seen({ pid: 100, start: 9_000, parent: 1 })).toBeUndefined();
    expect(tree.members()).toStrictEqual([]);
    expect(tree.seen({ pid: 101, start: 9_001, parent: 100 })).toBeUndefined();
  });

  it('by another child of the tree is an end and a beginning', () => {
    tree.forked(100, { pid: 101, start: 1_001 });
    changes = [];
    expect(tree.forked(100, { pid: 101, start: 9_000 })).toMatchObject({ pid: 101, start: 9_000 });
    expect(changes.map(({ kind }) => kind)).toStrictEqual(['left', 'joined']);
  });

  it('an end of the process before is none of this one', () => {
    expect(tree.exited({ pid: 100, start: 999 }, { code: 0 })).toBeUndefined();
    expect(tree.has(ROOT)).toBe(true);
    expect(changes).toStrictEqual([]);
  });
});

describe('what it runs', () => {
  it('a fork runs what its parent runs, and an exec is a change from that', () => {
    expect(tree.forked(100, { pid: 101, start: 1_001 })).toMatchObject({ exe: '/usr/bin/node', argv: ['node', 'agent.js'], cwd: '/job' });
    expect(tree.seen({ pid: 101, start: 1_001, parent: 100, exe: '/usr/bin/cat', argv: ['cat', 'a\nb'] })).toMatchObject({
      exe: '/usr/bin/cat',
    });
    expect(changes.map(({ kind }) => kind)).toStrictEqual(['joined', 'exec']);
    expect(changes[1]).toMatchObject({ process: { argv: ['cat', 'a\nb'] }, before: { exe: '/usr/bin/node' } });
  });

  it('seen first after its exec, joins and is told of both', () => {
    tree.seen({ pid: 101, start: 1_001, parent: 100, exe: '/usr/bin/cat', argv: ['cat'] });
    expect(changes).toMatchObject([
      { kind: 'joined', by: 'parent', process: { exe: '/usr/bin/cat' } },
      { kind: 'exec', process: { exe: '/usr/bin/cat' }, before: { exe: '/usr/bin/node' } },
    ]);
  });

  it.each<[string, Partial<SeenProcess>]>([
    ['the same again', { exe: '/usr/bin/node', argv: ['node', 'agent.js'] }],
    ['nothing readable', {}],
    ['another folder', { cwd: '/elsewhere' }],
  ])('%s is no exec and forgets nothing', (_, facts) => {
    tree.seen({ pid: 100, start: 1_000, parent: 50, ...facts });
    expect(changes).toStrictEqual([]);
    expect(tree.get(100)).toMatchObject({ exe: '/usr/bin/node', argv: ['node', 'agent.js'] });
  });

  it.each<[string, Partial<SeenProcess>]>([
    ['an argument more', { argv: ['node', 'agent.js', ''] }],
    ['an argument less', { argv: ['node'] }],
    ['other arguments', { argv: ['node', 'agent.js '] }],
    ['another program', { exe: '/usr/bin/node (deleted)' }],
  ])('%s is an exec', (_, facts) => {
    tree.seen({ pid: 100, start: 1_000, parent: 50, ...facts });
    expect(changes.map(({ kind }) => kind)).toStrictEqual(['exec']);
  });
});

describe('whose call it is', () => {
  it('its own marker, else the one of an ancestor, else none', () => {
    expect(tree.get(100)?.attribution).toStrictEqual({ method: 'none' });
    tree.seen({ pid: 101, start: 1_001, parent: 100, markers: { call: 'call-a' } });
    tree.seen({ pid: 102, start: 1_002, parent: 101, markers: {} });
    tree.forked(102, { pid: 103, start: 1_003 });
    tree.seen({ pid: 104, start: 1_004, parent: 103, markers: { call: 'call-b' } });
    expect(tree.get(101)?.attribution).toStrictEqual({ method: 'marker', call: 'call-a' });
    expect(tree.get(102)?.attribution).toStrictEqual({ method: 'tree', call: 'call-a' });
    expect(tree.get(103)?.attribution).toStrictEqual({ method: 'tree', call: 'call-a' });
    expect(tree.get(104)?.attribution).toStrictEqual({ method: 'marker', call: 'call-b' });
  });

  it('an exec that scrubs the environment does not shake the call off', () => {
    tree.seen({ pid: 101, start: 1_001, parent: 100, markers: { call: 'call-a' } });
    tree.seen({ pid: 101, start: 1_001, parent: 1, exe: '/usr/bin/env', markers: {} });
    expect(tree.get(101)?.attribution).toStrictEqual({ method: 'tree', call: 'call-a' });
  });

  it('an environment that cannot be read changes nothing', () => {
    tree.seen({ pid: 101, start: 1_001, parent: 100, markers: { call: 'call-a' } });
    tree.seen({ pid: 101, start: 1_001, parent: 100 });
    expect(tree.get(101)?.attribution).toStrictEqual({ method: 'marker', call: 'call-a' });
  });
});

describe('bounds', () => {
  it('counts what it has no room for, says so, and takes others when members end', () => {
    for (let pid = 1_000; tree.size < MAX_MEMBERS; pid++) tree.forked(100, { pid, start: 2_000 });
    changes = [];
    expect(tree.forked(100, { pid: 900_000, start: 2_000 })).toBeUndefined();
    expect(tree.addRoot({ pid: 900_001, start: 2_000 })).toBeUndefined();
    expect(changes).toStrictEqual([
      { kind: 'full', process: { pid: 900_000, start: 2_000 } },
      { kind: 'full', process: { pid: 900_001, start: 2_000 } },
    ]);
    expect([tree.size, tree.overflow()]).toStrictEqual([MAX_MEMBERS, 2]);
    tree.exited({ pid: 1_000 });
    expect(tree.seen({ pid: 900_000, start: 2_000, parent: 100 })).toMatchObject({ pid: 900_000 });
  });

  it('a listener that was ended hears nothing', () => {
    const heard: TreeChange[] = [];
    tree.onChange((change) => heard.push(change))();
    tree.exited({ pid: 100 }, { code: 3 });
    expect(heard).toStrictEqual([]);
    expect(changes).toMatchObject([{ kind: 'left', how: 'exit', end: { code: 3 } }]);
  });
});
