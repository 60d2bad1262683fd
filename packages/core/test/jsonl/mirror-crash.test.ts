import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { linesOf, partsOf } from './made.ts';

const WORKER = new URL('../fixtures/crash-worker.ts', import.meta.url);
const KILLS = 20;
const CALLS = '100000';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Guarded calls under load, their ledger mirrored, until it is killed. */
async function started(ledger: string, mirror: string, session: string): Promise<ChildProcess> {
  const child = fork(WORKER, [ledger, `${ledger}.effects`, Buffer.from(LEDGER_PEM).toString('base64'), session, CALLS, mirror], {
    execArgv: ['--conditions=@countersign/source', '--no-warnings'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.push(child);
  await new Promise<void>((done, fail) => {
    child.once('message', () => done());
    child.once('exit', (code) => fail(new Error(`the worker died early with ${code}`)));
  });
  return child;
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

const killed = (child: ChildProcess): Promise<void> =>
  new Promise((done) => {
    child.once('exit', () => done());
    child.kill('SIGKILL');
  });

it(`kill -9, ${KILLS} times, two processes on one ledger and one mirror: whole lines are the ledger's, and the next writer completes it`, {
  timeout: 300_000,
}, async () => {
  const directory = tempDirectory();
  const ledger = join(directory, 'ledger.db');
  const mirror = join(directory, 'out', 'mirror.jsonl');
  mkdirSync(dirname(mirror));
  let seen = 0;
  for (let kill = 0; kill < KILLS; kill += 2) {
    const pair = await Promise.all([started(ledger, mirror, `a${kill}`), started(ledger, mirror, `b${kill}`)]);
    for (const child of pair) {
      // Turns of the mirror are under way, and any moment of them will do.
      const before = sizeOf(mirror);
      await vi.waitFor(() => expect(sizeOf(mirror)).toBeGreaterThan(before), 20_000);
      await new Promise((done) => setTimeout(done, Math.random() * 150));
      await killed(child);
    }
    const { bodies } = partsOf(ledger);
    const written = readFileSync(mirror, 'utf8');
    const whole = written.slice(0, written.lastIndexOf('\n') + 1);
    expect(linesOf(bodies).startsWith(whole)).toBe(true);
    expect(whole.length).toBeGreaterThanOrEqual(seen);
    seen = whole.length;
    const report = await verifyLedger(mirror, { publicKeys: [LEDGER_VKEY] });
    expect(report.problems).toEqual([]);
    expect(['valid', 'unproven']).toContain(report.status);
  }
  expect(seen).toBeGreaterThan(10_000);

  const errors: unknown[] = [];
  const store = openLedger(ledger, { mirror: { path: mirror, onError: (error) => void errors.push(error) } });
  const guard = guardOn(store);
  await guard.run({ tool: { name: 'read' }, args: {} }, () => 1);
  await guard.close();
  await store.close();
  expect(errors).toEqual([]);
  const { bodies, note } = partsOf(ledger);
  expect(readFileSync(mirror, 'utf8')).toBe(linesOf(bodies));
  expect(readFileSync(`${mirror}.checkpoint`, 'utf8')).toBe(note);
  expect(await verifyLedger(mirror, { publicKeys: [LEDGER_VKEY], against: note })).toMatchObject({ status: 'valid', end: 'proven' });
  expect((await verifyLedger(ledger, { publicKeys: [LEDGER_VKEY] })).problems).toEqual([]);
});
