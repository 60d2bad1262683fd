import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Action, Observation } from '../../src/activity.ts';
import type { Sensor } from '../../src/sensor.ts';
import { folderPoll } from '../../src/sensors/folder-poll.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';

let workspace: string;
let sensor: Sensor;
let found: Observation[];
let next: (() => void) | undefined;
let clock: number | undefined;
let due: PromiseWithResolvers<void>;

const at = (...names: readonly string[]): string => join(workspace, ...names);
const tree = new TrackedTree({ roots: [] });

beforeEach(() => {
  workspace = mkdtempSync(join(tmpdir(), 'countersign-folder-'));
  found = [];
  next = undefined;
  clock = undefined;
  due = Promise.withResolvers();
  sensor = folderPoll({
    workspace,
    timing: {
      now: () => clock ?? Date.now(),
      steady: () => 0,
      after: (_, run) => {
        next = run;
        due.resolve();
        return () => {
          next = undefined;
        };
      },
      turn: () => Promise.resolve(),
    },
  });
});
afterEach(async () => {
  await sensor.stop();
  rmSync(workspace, { recursive: true, force: true });
});

const start = (): Promise<void> => sensor.start({ tree, emit: (each) => found.push(each), died: () => {} });

async function look(): Promise<readonly Action[]> {
  found = [];
  due = Promise.withResolvers();
  next?.();
  await due.promise;
  // In the order of the listings, which is any.
  return found.map(({ action }) => action).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

describe('what is deleted', () => {
  it('of what was there, of what came later, and nothing for what stays', async () => {
    writeFileSync(at('old'), '');
    writeFileSync(at('kept'), '');
    await start();
    writeFileSync(at('new'), '');
    expect(await look()).toStrictEqual([]);
    rmSync(at('old'));
    rmSync(at('new'));
    const actions = await look();
    expect(actions).toStrictEqual([
      { kind: 'delete', path: at('new'), existed: false },
      { kind: 'delete', path: at('old'), existed: true },
    ]);
    expect(found.every(({ actor }) => actor === undefined)).toBe(true);
    expect(await look()).toStrictEqual([]);
  });

  it('with a whole folder, and in a folder that was made meanwhile', async () => {
    mkdirSync(at('a/b'), { recursive: true });
    for (const name of ['a/1', 'a/b/2']) writeFileSync(at(name), '');
    await start();
    mkdirSync(at('c'));
    writeFileSync(at('c/3'), '');
    await look();
    rmSync(at('a'), { recursive: true });
    rmSync(at('c/3'));
    expect(await look()).toStrictEqual([
      { kind: 'delete', path: at('a/1'), existed: true },
      { kind: 'delete', path: at('a/b/2'), existed: true },
      { kind: 'delete', path: at('c/3'), existed: false },
    ]);
  });

  it('is a deletion also when another file is made at once', async () => {
    writeFileSync(at('old'), '');
    await start();
    rmSync(at('old'));
    writeFileSync(at('other'), '');
    expect(await look()).toStrictEqual([{ kind: 'delete', path: at('old'), existed: true }]);
  });

  it('is seen when the time of the folder is put back', async () => {
    writeFileSync(at('old'), '');
    utimesSync(workspace, 1, 1);
    // By this clock its last change is long past.
    clock = Date.now() + 60_000;
    await start();
    expect(await look()).toStrictEqual([]);
    rmSync(at('old'));
    utimesSync(workspace, 1, 1);
    expect(await look()).toHaveLength(1);
  });

  it.each(['a\nb', '\u001b[2J', '__proto__'])('whatever it is called: %j', async (name) => {
    writeFileSync(at(name), '');
    await start();
    rmSync(at(name));
    expect(await look()).toMatchObject([{ path: at(name) }]);
  });
});

describe('what is no deletion', () => {
  it('a renaming, of a file and of a folder', async () => {
    mkdirSync(at('a'));
    for (const name of ['x', 'a/1']) writeFileSync(at(name), '');
    await start();
    renameSync(at('x'), at('y'));
    renameSync(at('a'), at('b'));
    expect(await look()).toStrictEqual([
      { kind: 'rename', path: at('a/1'), to: at('b/1'), existed: true },
      { kind: 'rename', path: at('x'), to: at('y'), existed: true },
    ]);
  });

  it('a file that is put in the place of another', async () => {
    writeFileSync(at('x'), 'old');
    await start();
    writeFileSync(at('x.tmp'), 'new');
    renameSync(at('x.tmp'), at('x'));
    expect(await look()).toStrictEqual([]);
  });

  it.each(['.git', 'node_modules'])('what happens in %s', async (folder) => {
    mkdirSync(at(folder));
    writeFileSync(at(folder, 'x'), '');
    await start();
    rmSync(at(folder, 'x'));
    expect(await look()).toStrictEqual([]);
  });

  it('what lies behind a link', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'countersign-elsewhere-'));
    writeFileSync(join(elsewhere, 'x'), '');
    symlinkSync(elsewhere, at('link'));
    await start();
    rmSync(elsewhere, { recursive: true });
    expect(await look()).toStrictEqual([]);
    rmSync(at('link'));
    expect(await look()).toMatchObject([{ kind: 'delete', path: at('link') }]);
  });
});

describe('beginning and end', () => {
  it('does not start without its workspace', async () => {
    const absent = folderPoll({ workspace: at('absent') });
    await expect(absent.start({ tree, emit: () => {}, died: () => {} })).rejects.toMatchObject({ code: 'MONITOR_UNAVAILABLE' });
  });

  it('says nothing after it was stopped', async () => {
    writeFileSync(at('x'), '');
    await start();
    await sensor.stop();
    rmSync(at('x'));
    next?.();
    expect(found).toStrictEqual([]);
  });
});
