import { fork } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import { parseEntry } from '../../src/ledger/body.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const WORKER = new URL('../fixtures/crash-worker.ts', import.meta.url);
const KILLS = 50;
const AT_ONCE = 2;

interface Worker {
  readonly ready: Promise<void>;
  readonly exited: Promise<void>;
  kill(): void;
}

const children: ReturnType<typeof fork>[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function startWorker(path: string, effects: string, session: string, calls?: number): Worker {
  const child = fork(
    WORKER,
    [path, effects, Buffer.from(LEDGER_PEM).toString('base64'), session, ...(calls === undefined ? [] : [String(calls)])],
    {
      execArgv: ['--conditions=@countersign/source', '--no-warnings'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  );
  children.push(child);
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  const ready = new Promise<void>((done, fail) => {
    child.once('message', () => done());
    child.once('exit', (code) => fail(new Error(`the worker died early with ${code}`)));
  });
  return { ready, exited, kill: () => void child.kill('SIGKILL') };
}

function entriesOf(path: string): readonly Entry[] {
  const reader = new Sqlite(path, { readonly: true });
  const entries = reader.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all().map(parseEntry);
  reader.close();
  return entries;
}

/** Every tool that ran has its decision; every decision of a dead writer without an outcome is named by a recovery entry, once. */
async function checkLedger(path: string, effects: string): Promise<void> {
  const entries = entriesOf(path);
  const allowed = new Set(entries.flatMap((entry) => (entry.kind === 'decision' && entry.effect === 'allow' ? [entry.call] : [])));
  const ran = existsSync(effects)
    ? readFileSync(effects, 'utf8')
        .split('\n')
        .filter((line) => line.length === 32)
    : [];
  expect(ran.filter((callId) => !allowed.has(callId))).toEqual([]);
  expect(new Set(ran).size).toBe(ran.length);

  const settled = new Set(entries.flatMap((entry) => (entry.kind === 'outcome' ? [entry.decision.of] : [])));
  const recovered = entries.flatMap((entry) => (entry.kind === 'recovery' ? (entry.open ?? []).map((ref) => ref.of) : []));
  const open = entries.flatMap((entry, index) =>
    entry.kind === 'decision' && entry.effect === 'allow' && !settled.has(index) ? [index] : [],
  );
  expect(recovered.toSorted((a, b) => a - b)).toEqual(open);

  const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
  expect(report.problems).toEqual([]);
  expect(report).toMatchObject({ status: 'valid', integrity: 'intact', authorship: 'proven' });
}

describe('kill -9', () => {
  it(`in the middle of guarded calls, ${KILLS} times: no tool ran without a durable decision, the ledger opens and verifies`, {
    timeout: 300_000,
  }, async () => {
    for (let lane = 0; lane < KILLS; lane += 10) {
      const directory = tempDirectory();
      const path = join(directory, 'ledger.db');
      const effects = join(directory, 'effects');
      for (let kill = 0; kill < 10; kill += AT_ONCE) {
        const workers = Array.from({ length: AT_ONCE }, (_, i) => startWorker(path, effects, `s${kill + i}`));
        await Promise.all(workers.map((worker) => worker.ready));
        for (const worker of workers) {
          // Any moment will do: in a commit, between commit and tool, in the tool, before the outcome.
          await new Promise((done) => setTimeout(done, Math.random() * 40));
          worker.kill();
          await worker.exited;
        }
      }
      const store = openLedger(path);
      await guardOn(store).run({ tool: { name: 'read' }, args: {} }, () => 1);
      await new Promise((done) => setTimeout(done, 30));
      await store.close();
      await checkLedger(path, effects);
    }
  });

  it('8 processes on one file, one of them killed: no fork, no loss, and only its decisions are marked', { timeout: 300_000 }, async () => {
    const directory = tempDirectory();
    const path = join(directory, 'ledger.db');
    const effects = join(directory, 'effects');
    await openLedger(path).close();
    const victim = startWorker(path, effects, 'victim');
    const others = Array.from({ length: 7 }, (_, i) => startWorker(path, effects, `s${i}`, 60));
    await Promise.all([victim, ...others].map((worker) => worker.ready));
    victim.kill();
    await Promise.all([victim, ...others].map((worker) => worker.exited));
    const store = openLedger(path);
    await store.close();

    const entries = entriesOf(path);
    const outcomes = entries.filter((entry) => entry.kind === 'outcome' && entry.session !== 'victim');
    expect(outcomes).toHaveLength(7 * 60);
    const recovered = entries.flatMap((entry) => (entry.kind === 'recovery' ? (entry.open ?? []) : []));
    for (const { of } of recovered) expect(entries[of]).toMatchObject({ kind: 'decision', session: 'victim' });
    await checkLedger(path, effects);
  });
});
