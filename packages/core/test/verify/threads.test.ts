import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import Sqlite from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../src/sqlite/index.ts';
import type { ScanWorker } from '../../src/verify/scan-lane.ts';
import type { ScanMessage, ScanRequest, ScanTask } from '../../src/verify/scan-messages.ts';
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

/** Real threads, small ranges, all judged by them. */
const real = { rangeRows: 64, helps: false };

it('real threads give the report of one', async () => {
  for (const file of [path, large]) {
    const report = await verifyLedger(file, { ...OPTIONS, threads: 1 });
    expect(report).toMatchObject({ status: 'valid', integrity: 'intact' });
    for (const threads of [2, 3]) expect(await verifyWith(file, { ...OPTIONS, threads }, real)).toEqual(report);
  }
});

it('this thread is one of those asked for', async () => {
  const started = async (threads: number): Promise<number> => {
    let count = 0;
    const start = (task: ScanTask): ScanWorker => {
      count++;
      return hereInstead(task);
    };
    await verifyWith(large, { ...OPTIONS, threads }, { start, rangeRows: 64 });
    return count;
  };
  expect([await started(2), await started(3)]).toEqual([1, 2]);
});

describe('between two threads', () => {
  /** What a thread was asked for and what it answered, by range. @param delay - turns until it gets a request. */
  const watched =
    (delay: number, asked: ScanRequest[], answered: number[]) =>
    (task: ScanTask): ScanWorker => {
      const worker = hereInstead(task);
      return {
        ...worker,
        on: (event: string, listener: never) =>
          worker.on(event as 'message', (message: ScanMessage) => {
            if (message?.kind === 'part') answered.push(message.next);
            (listener as (message: ScanMessage) => void)(message);
          }),
        postMessage: (request) => {
          asked.push(request);
          let turns = delay;
          const wait = (): void => void (turns-- > 0 ? setImmediate(wait) : worker.postMessage(request));
          wait();
        },
      };
    };

  it.each([1, 2, 5, 20])('rows are shared, whichever is faster: answers %d turns late', async (delay) => {
    const report = await verifyLedger(large, { ...OPTIONS, threads: 1 });
    const [asked, answered]: [ScanRequest[], number[]] = [[], []];
    const start = watched(delay, asked, answered);
    expect(await verifyWith(large, { ...OPTIONS, threads: 2 }, { start, rangeRows: 16 })).toEqual(report);
    const ranges = asked.filter((request) => request !== 'end');
    const positions = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
    expect(positions).toBeGreaterThanOrEqual(4 * 16);
    expect(positions).toBeLessThan(report.entries);
    expect(asked.at(-1)).toBe('end');
    expect(answered).toHaveLength(ranges.length);
  });

  it('none that wait are held without end', async () => {
    const asked: ScanRequest[] = [];
    // It never answers, and is given up: until then this thread judged two ranges, and was asked for no more than four.
    const start = watched(Number.POSITIVE_INFINITY, asked, []);
    const report = await verifyLedger(large, { ...OPTIONS, threads: 1 });
    const progress: number[] = [];
    const onProgress = (done: number): void => void progress.push(done);
    expect(await verifyWith(large, { ...OPTIONS, threads: 2, onProgress }, { start, rangeRows: 16, silenceMs: 50 })).toEqual(report);
    expect(asked).toHaveLength(4);
    expect(progress.at(-1)).toBe(report.entries);
  });

  it('a page that cannot be read is told where it stands, whoever comes upon it first', async () => {
    const damaged = tampered(large, (database) => database.pragma('wal_checkpoint(TRUNCATE)'));
    const database = new Sqlite(damaged, { readonly: true });
    const bodies = database.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all();
    const pageBytes = Number(database.pragma('page_size', { simple: true }));
    database.close();
    const file = readFileSync(damaged);
    const page = Math.floor(file.indexOf(bodies[700] as string) / pageBytes) * pageBytes;
    writeFileSync(damaged, file.fill(0, page, page + 8));
    const report = await verifyLedger(damaged, { ...OPTIONS, threads: 1 });
    expect(report.problems).toContainEqual(
      expect.objectContaining({ code: 'DATABASE_DAMAGED', message: expect.stringMatching(/after entry 6\d\d/) }),
    );
    // Rows are read 64 at once, and of those none when one cannot be: ranges begin where they do.
    for (const delay of [0, 1, 5, 20]) {
      const start = watched(delay, [], []);
      expect(await verifyWith(damaged, { ...OPTIONS, threads: 2 }, { start, rangeRows: 64 })).toEqual(report);
    }
  });

  it('positions that lie far apart are read here, and end', async () => {
    const sparse = tampered(large, (database) => database.exec('UPDATE entries SET seq = seq + 50000 WHERE seq >= 700'));
    const report = await verifyLedger(sparse, { ...OPTIONS, threads: 1 });
    expect(report).toMatchObject({ status: 'invalid' });
    for (const helps of [true, false])
      expect(await verifyWith(sparse, { ...OPTIONS, threads: 2 }, { start: hereInstead, rangeRows: 16, helps })).toEqual(report);
  });
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
        parentPort.on('message', ({ to }) => parentPort.postMessage({ kind: 'part', packed: { numbers: [], strings: [], leaves: '', calls: '', decisions: '', others: [] }, next: to }))`),
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
          postMessage: (request: ScanRequest) => {
            if (++answers > 3) for (const exit of exits) exit();
            else worker.postMessage(request);
          },
          terminate: () => worker.terminate(),
        };
      },
    ],
  ])('%s leaves its work to be done here', async (_name, start) => {
    for (const file of [large, edited(large, `UPDATE openings SET sections = '{}' WHERE seq = 700`)]) {
      const report = await verifyLedger(file, { ...OPTIONS, threads: 1 });
      for (const helps of [false, true])
        expect(await verifyWith(file, { ...OPTIONS, threads: 2 }, { start, rangeRows: 64, silenceMs: 300, helps })).toEqual(report);
    }
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
  expect(await verifyWith(live, { ...OPTIONS, threads: 2 }, { start, rangeRows: 4, helps: false })).toEqual(before);
  expect(erased).toBe(true);
  await store.close();
});

it.each([0, 17, 1.5, Number.NaN])('%d threads are refused', async (threads) => {
  await expect(verifyLedger(path, { threads })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
});
