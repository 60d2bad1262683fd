import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResourceAction } from '../../src/activity.ts';
import { IoTotal } from '../../src/resources/io-total.ts';
import { MAX_TREE_PROCESSES, type TreeReading } from '../../src/resources/tree-figures.ts';
import type { Sensor } from '../../src/sensor.ts';
import { resourceSensor } from '../../src/sensors/resources.ts';
import { procReader } from '../../src/tree/proc-fs.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import { FakeProc } from '../fake-proc.ts';

const ROOT = { pid: 100, start: 1_000, parent: 50 };
const io = (read: number, write: number): string => `read_bytes: ${read}\nwrite_bytes: ${write}\n`;

describe('the sensor', () => {
  let proc: FakeProc;
  let tree: TrackedTree;
  let sensor: Sensor;
  let found: ResourceAction[];
  let steadyMs: number;
  let usage: () => Promise<TreeReading>;
  let tick: () => void;

  beforeEach(() => {
    proc = new FakeProc();
    proc.put({ ...ROOT, threads: 11, fds: [{ fd: 0, target: '/dev/null' }], io: io(500, 50) });
    tree = new TrackedTree({ roots: [ROOT] });
    found = [];
    steadyMs = 0;
    usage = () => Promise.resolve({ rssBytes: 4_096, cpuMs: new Map([[100, 200]]) });
    sensor = resourceSensor({
      reader: procReader({ root: proc.root }),
      usage: () => usage(),
      timing: {
        now: () => 1_700_000_000_000,
        steady: () => steadyMs,
        after: (ms, run) => {
          tick = () => {
            steadyMs += ms;
            run();
          };
          return () => {
            tick = () => {};
          };
        },
        turn: () => Promise.resolve(),
      },
    });
  });
  afterEach(async () => {
    await sensor.stop();
    proc.close();
  });

  const start = (): Promise<void> =>
    sensor.start({
      tree,
      emit: ({ action, actor }) => {
        expect(actor).toBeUndefined();
        if (action.kind === 'resource') found.push(action);
      },
      died: () => {},
    });
  const next = async (): Promise<ResourceAction | undefined> => {
    tick();
    await new Promise(setImmediate);
    return found.at(-1);
  };

  it('adds up the tree, and has no share of a processor before the second reading', async () => {
    tree.forked(100, { pid: 101, start: 1_001 });
    proc.put({
      pid: 101,
      start: 1_001,
      threads: 1,
      fds: [
        { fd: 0, target: '/a' },
        { fd: 1, target: '/b' },
      ],
      io: io(7, 0),
    });
    await start();
    expect(found).toStrictEqual([{ kind: 'resource', processes: 2, threads: 12, fds: 3, read_bytes: 0, write_bytes: 0, rss_bytes: 4_096 }]);
    usage = () =>
      Promise.resolve({
        rssBytes: 8_192,
        cpuMs: new Map([
          [100, 450],
          [101, 250],
        ]),
      });
    writeFileSync(proc.path(100, 'io'), io(1_500, 50));
    expect(await next()).toStrictEqual({
      kind: 'resource',
      processes: 2,
      cpu_percent: 50,
      rss_bytes: 8_192,
      threads: 12,
      fds: 3,
      read_bytes: 1_000,
      write_bytes: 0,
    });
  });

  it('a process that ended since it was listed is not missed; one whose descriptors nobody may count leaves no count', async () => {
    tree.forked(100, { pid: 101, start: 1_001 });
    await start();
    expect(found[0]).toMatchObject({ processes: 2, threads: 11, fds: 1 });
    proc.put({ pid: 101, start: 1_001 });
    rmSync(proc.path(101, 'fd'), { recursive: true });
    symlinkSync('fd', proc.path(101, 'fd'));
    const figures = await next();
    expect(figures).toMatchObject({ threads: 12 });
    expect(figures).not.toHaveProperty('fds');
  });

  it('a stranger with the pid of a member is not counted', async () => {
    proc.put({ pid: 100, start: 9_000, threads: 64, io: io(1e9, 1e9) });
    await start();
    expect(found[0]).not.toHaveProperty('threads');
  });

  it.each<[string, () => Promise<TreeReading>]>([
    ['rejects', () => Promise.reject(new Error('no'))],
    ['finds nobody', () => Promise.resolve({ rssBytes: 0, cpuMs: new Map() })],
  ])('usage that %s is lost and reported as nothing', async (_, broken) => {
    usage = broken;
    await start();
    expect([found, sensor.stats()]).toStrictEqual([[], { seen: 0, lost: 1 }]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 0.5])('memory of %d is left out', async (rssBytes) => {
    usage = () => Promise.resolve({ rssBytes, cpuMs: new Map([[100, 1]]) });
    await start();
    expect(found[0]).not.toHaveProperty('rss_bytes');
  });

  it('a reading that hangs costs one, and those due meanwhile are lost', async () => {
    await start();
    const { promise, resolve } = Promise.withResolvers<TreeReading>();
    usage = () => promise;
    await next();
    await next();
    await next();
    expect(sensor.stats()).toStrictEqual({ seen: 1, lost: 2 });
    resolve({ rssBytes: 1, cpuMs: new Map([[100, 300]]) });
    await new Promise(setImmediate);
    expect(sensor.stats()).toStrictEqual({ seen: 2, lost: 2 });
  });

  it('of a tree that is too large only its size is told', async () => {
    for (let pid = 1_000; tree.size <= MAX_TREE_PROCESSES; pid++) tree.forked(100, { pid, start: 2_000 });
    await start();
    expect(found).toStrictEqual([{ kind: 'resource', processes: MAX_TREE_PROCESSES + 1 }]);
    expect(sensor.stats().lost).toBe(1);
  });

  it('tells nothing of a tree without members, nor after it was stopped', async () => {
    tree.exited(ROOT);
    await start();
    await sensor.stop();
    tree.addRoot(ROOT);
    expect(await next()).toBeUndefined();
    expect(sensor.stats()).toStrictEqual({ seen: 0, lost: 0 });
  });

  it.each([99, 60_001, 1.5, Number.NaN])('refuses an interval of %d', (intervalMs) => {
    expect(() => resourceSensor({ intervalMs })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

describe('bytes to and from storage', () => {
  const reading = (pid: number, readBytes: number, parent = 1, start = 1): Parameters<IoTotal['add']>[0][number] => ({
    pid,
    start,
    parent,
    io: { readBytes, writeBytes: 2 * readBytes },
  });

  it('count from the first reading for those that were there, from 0 for those that came', () => {
    const total = new IoTotal();
    expect(total.add([reading(1, 1_000)])).toStrictEqual({ readBytes: 0, writeBytes: 0 });
    expect(total.add([reading(1, 1_100), reading(2, 50, 1)])).toStrictEqual({ readBytes: 150, writeBytes: 300 });
  });

  it('are not counted twice when a parent takes over what its child used', () => {
    const total = new IoTotal();
    total.add([reading(1, 0)]);
    total.add([reading(1, 0), reading(2, 500, 1)]);
    expect(total.add([reading(1, 520)]).readBytes).toBe(520);
    expect(total.add([reading(1, 530)]).readBytes).toBe(530);
  });

  it('nor is what the child had used before the session', () => {
    const total = new IoTotal();
    total.add([reading(1, 0), reading(2, 500, 1)]);
    expect(total.add([reading(1, 510)]).readBytes).toBe(10);
  });

  it('stay when it ends with nobody of the tree waiting for it, and when its parent ends with it', () => {
    const total = new IoTotal();
    total.add([]);
    total.add([reading(1, 100), reading(2, 50, 1), reading(3, 7, 99)]);
    expect(total.add([reading(1, 100), reading(2, 50, 1)]).readBytes).toBe(157);
    expect(total.add([]).readBytes).toBe(157);
  });

  it('never fall, and a pid that is used again is another process', () => {
    const total = new IoTotal();
    total.add([]);
    total.add([reading(1, 100)]);
    expect(total.add([reading(1, 40, 1, 2)]).readBytes).toBe(140);
    expect(total.add([reading(1, 30, 1, 2)]).readBytes).toBe(140);
  });
});

describe.skipIf(process.platform !== 'linux')('a real process', () => {
  it('has figures of every kind', async () => {
    const child = spawn(process.execPath, ['-e', "console.log('up'); setInterval(() => {}, 1e6)"], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await once(child.stdout, 'data');
      const pid = child.pid ?? 0;
      const tree = new TrackedTree({ roots: [{ pid, start: procReader().stat(pid)?.start ?? 0 }] });
      const found: ResourceAction[] = [];
      const sensor = resourceSensor();
      await sensor.start({ tree, emit: ({ action }) => action.kind === 'resource' && found.push(action), died: () => {} });
      await sensor.stop();
      expect(found[0]).toMatchObject({ processes: 1, rss_bytes: expect.any(Number), threads: expect.any(Number), fds: expect.any(Number) });
      expect(found[0]?.rss_bytes).toBeGreaterThan(1_000_000);
      expect(found[0]?.fds).toBeGreaterThan(2);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
