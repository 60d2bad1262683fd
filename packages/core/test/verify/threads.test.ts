import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import Sqlite from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../src/sqlite/index.ts';
import type { ScanWorker } from '../../src/verify/scan.ts';
import type { ScanTask } from '../../src/verify/scan-messages.ts';
import { verifyWith } from '../../src/verify/verify.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { hereInstead } from './both.ts';
import { edited, tampered } from './forge.ts';
import { APPROVERS, call, guardOn, writeScenario } from './scenario.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

let path: string;
let large: string;
beforeAll(async () => {
  path = (await writeScenario()).path;
  large = join(tempDirectory(), 'large.db');
  const store = openLedger(large);
  const guard = guardOn(store);
  await Promise.all(Array.from({ length: 400 }, async (_, i) => guard.run(call('read', { i }), () => i)));
  await guard.close();
  await store.close();
});

/** Real threads, small ranges. */
const real = { rangeRows: 64 };

it('real threads give the report of one', async () => {
  for (const file of [path, large]) {
    const report = await verifyLedger(file, { ...OPTIONS, threads: 1 });
    expect(report).toMatchObject({ status: 'valid', integrity: 'intact' });
    for (const threads of [2, 3]) expect(await verifyWith(file, { ...OPTIONS, threads }, real)).toEqual(report);
  }
});

it('this thread is one of those asked for, unless it would mostly wait: with clear text beside the entries', async () => {
  const started = async (file: string, threads: number): Promise<number> => {
    let count = 0;
    const start = (task: ScanTask): ScanWorker => {
      count++;
      return hereInstead(task);
    };
    await verifyWith(file, { ...OPTIONS, threads }, { start, rangeRows: 64 });
    return count;
  };
  const bare = tampered(large, (database) => database.exec('DELETE FROM openings'));
  expect([await started(large, 2), await started(large, 3)]).toEqual([2, 3]);
  expect([await started(bare, 2), await started(bare, 3)]).toEqual([1, 2]);
});

it('real threads find what one finds', async () => {
  const changed = tampered(large, (database) => {
    database.exec(`UPDATE entries SET body = replace(body, 'allow', 'deny') WHERE seq IN (100, 300, 500)`);
    database.exec('DELETE FROM entries WHERE seq IN (200, 201)');
    database.exec(`UPDATE openings SET key = '${'a'.repeat(64)}' WHERE seq = 610`);
  });
  const report = await verifyLedger(changed, { ...OPTIONS, threads: 1 });
  expect(report).toMatchObject({ status: 'invalid', integrity: 'broken' });
  expect(await verifyWith(changed, { ...OPTIONS, threads: 2 }, real)).toEqual(report);
});

describe('a thread that', () => {
  const script = (code: string) => (): ScanWorker => new Worker(code, { eval: true });
  it.each<[string, (task: ScanTask) => ScanWorker]>([
    ['does not start', script('throw new Error("no")')],
    ['ends at once', script('process.exit(0)')],
    ['says nothing', script('setInterval(() => undefined, 1000)')],
    ['loops', script('for (;;);')],
    [
      'has another ledger before it',
      script(`const { parentPort } = require('node:worker_threads'); parentPort.postMessage({ kind: 'ready', ledgerId: 'x', size: 9999 });
        parentPort.on('message', () => parentPort.postMessage({ kind: 'end' }))`),
    ],
    [
      'dies half-way',
      (task) => {
        let answers = 0;
        const worker = hereInstead(task);
        const exits: (() => void)[] = [];
        return {
          on: (event: string, listener: never) => {
            if (event === 'exit') exits.push(listener);
            return worker.on(event as 'message', listener);
          },
          postMessage: () => {
            if (++answers > 3) for (const exit of exits) exit();
            else worker.postMessage('next');
          },
          terminate: () => worker.terminate(),
        };
      },
    ],
  ])('%s leaves its work to be done here', async (_name, start) => {
    for (const file of [large, edited(large, `UPDATE openings SET sections = '{}' WHERE seq = 700`)]) {
      const report = await verifyLedger(file, { ...OPTIONS, threads: 1 });
      expect(await verifyWith(file, { ...OPTIONS, threads: 2 }, { start, rangeRows: 64, silenceMs: 300 })).toEqual(report);
    }
  });

  it('ends before its part was read leaves that to be done here', async () => {
    // It says that it is done after its first range: what it did not read is read here.
    const short = (task: ScanTask): ScanWorker => hereInstead({ ...task, size: Math.min(task.size, 200) });
    const report = await verifyLedger(large, { ...OPTIONS, threads: 1 });
    expect(await verifyWith(large, { ...OPTIONS, threads: 2 }, { start: short, rangeRows: 64 })).toEqual(report);
  });
});

it('a later snapshot of a thread, in which clear text was erased, is no finding', async () => {
  const live = join(tempDirectory(), 'live.db');
  const store = openLedger(live);
  const guard = guardOn(store);
  for (let i = 0; i < 5; i++) await guard.run(call('read', { i }), () => i);
  // The last outcome would be written later on.
  await guard.close();
  const before = await verifyLedger(live, { ...OPTIONS, threads: 1 });
  expect(before).toMatchObject({ status: 'valid', warnings: [] });
  let erased = false;
  const start = (task: ScanTask): ScanWorker => {
    // Between our snapshot and the thread's.
    if (!erased) {
      erased = true;
      const other = new Sqlite(live);
      other.exec('DELETE FROM openings');
      other.exec(`UPDATE checkpoints SET note = note || ' '`);
      other.close();
    }
    return hereInstead(task);
  };
  expect(await verifyWith(live, { ...OPTIONS, threads: 2 }, { start, rangeRows: 4 })).toEqual(before);
  expect(erased).toBe(true);
  await store.close();
});

it.each([0, 17, 1.5, Number.NaN])('%d threads are refused', async (threads) => {
  await expect(verifyLedger(path, { threads })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
});
