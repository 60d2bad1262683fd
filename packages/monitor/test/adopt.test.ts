/** The processes of a server that calls go to: whose figures a call gets, and what happens when they cannot be read. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it, vi } from 'vitest';
import { monitorOf } from '../src/monitor.ts';
import { processReadings } from '../src/resources/readings.ts';
import { descendants, MAX_TREE_PROCESSES } from '../src/resources/tree-figures.ts';
import { FakeReadings } from './fake-readings.ts';

const tree = (rssBytes: number, ...cpuMs: readonly (readonly [number, number])[]) => ({ rssBytes, cpuMs: new Map(cpuMs) });

it('calls of its server get what its tree used between samples, others what the guard did', async () => {
  const host = new FakeReadings();
  const monitor = monitorOf(host);
  monitor.adopt({ pid: 7, server: 'files' });
  const [call, other] = [monitor.begin('a', { server: 'files' }), monitor.begin('b', { server: 'mail' })];
  host.trees.set(7, tree(900, [7, 1_000], [8, 50]));
  await host.tick();
  // One process ended, one came: what it used so far it used meanwhile.
  host.trees.set(7, tree(700, [7, 1_400], [9, 30]));
  await host.tick();
  expect(call.end()).toStrictEqual({ cpu_ms: 430, rss_bytes: 900, samples: 2, scope: 'tree' });
  expect(other.end()).toMatchObject({ samples: 3, scope: 'process' });
});

it('one sample says nothing of CPU time, none nothing of the tree', async () => {
  const host = new FakeReadings();
  const monitor = monitorOf(host);
  monitor.adopt({ pid: 7, server: 'files' });
  expect(monitor.begin('short', { server: 'files' }).end()).toMatchObject({ scope: 'process' });
  host.trees.set(7, tree(900, [7, 1_000]));
  const call = monitor.begin('a', { server: 'files' });
  await host.tick();
  expect(call.end()).toStrictEqual({ rss_bytes: 900, samples: 1, scope: 'tree' });
});

it('a tree that is gone, or half gone, gives no figures', async () => {
  const host = new FakeReadings();
  const monitor = monitorOf(host);
  host.trees.set(7, tree(900, [7, 1_000]));
  monitor.adopt({ pid: 7, server: 'files' });
  const ended = monitor.adopt({ pid: 8, server: 'files' });
  const call = monitor.begin('a', { server: 'files' });
  await host.tick();
  expect(monitor.stats()).toStrictEqual({ samples: 1, lost: 1 });
  ended();
  await host.tick();
  expect(call.end()).toMatchObject({ rss_bytes: 900, samples: 1, scope: 'tree' });
});

it('a process that ended is looked at no more', async () => {
  const host = new FakeReadings();
  const monitor = monitorOf(host);
  host.trees.set(7, tree(900, [7, 1_000]));
  monitor.adopt({ pid: 7, server: 'files' })();
  const call = monitor.begin('a', { server: 'files' });
  await host.tick();
  expect(call.end()).toMatchObject({ scope: 'process' });
});

it.each([0, -1, 1.5, Number.NaN])('pid %d is refused', (pid) => {
  expect(() => monitorOf(new FakeReadings()).adopt({ pid, server: 'x' })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
});

it('knows whose descendants are whose, and reads no tree without end', () => {
  const parents = new Map([
    [2, 1],
    [3, 2],
    [4, 3],
    [5, 1],
    [6, 6],
  ]);
  expect([...descendants(2, parents)]).toEqual([2, 3, 4]);
  const many = new Map(Array.from({ length: MAX_TREE_PROCESSES + 1 }, (_, i) => [i + 10, 2] as const));
  expect(() => descendants(2, many)).toThrow(/more than/);
});

it('sees what a real grandchild burns', { timeout: 60_000 }, async () => {
  const burn = 'console.log("on"); for (;;);';
  const program = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(burn)}], { stdio: ['ignore', 'inherit', 'inherit'] })`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const pid = child.pid ?? 0;
  try {
    await once(child.stdout, 'data');
    const host = new FakeReadings();
    const monitor = monitorOf(Object.assign(host, { tree: (root: number) => processReadings().tree(root) }));
    monitor.adopt({ pid, server: 'burner' });
    const call = monitor.begin('a', { server: 'burner' });
    const { samples } = monitor.stats();
    await host.tick();
    await vi.waitFor(() => expect(monitor.stats().samples).toBe(samples + 2), { timeout: 20_000 });
    // Until it has burned so much: the parent does nothing but wait.
    const before = (await processReadings().tree(pid)).cpuMs;
    const spent = (now: ReadonlyMap<number, number>): number => [...now].reduce((sum, [id, ms]) => sum + ms - (before.get(id) ?? 0), 0);
    while (spent((await processReadings().tree(pid)).cpuMs) < 200);
    await host.tick();
    await vi.waitFor(() => expect(monitor.stats().samples).toBe(samples + 4), { timeout: 20_000 });
    const figures = call.end();
    expect(figures).toMatchObject({ samples: 2, scope: 'tree' });
    expect(figures?.cpu_ms).toBeGreaterThanOrEqual(200);
    // Two Node processes.
    expect(figures?.rss_bytes).toBeGreaterThan(20_000_000);
  } finally {
    process.kill(-pid, 'SIGKILL');
  }
});
