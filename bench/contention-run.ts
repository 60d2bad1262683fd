/** Run by `contention.ts`, with and without a delay on fsync: all rounds, printed as one JSON object. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { verifyLedger } from '@countersign/core/sqlite';
import { benchStore, freshPath, removeFixtures } from './fixtures.ts';
import { median } from './measure.ts';

export interface Contention {
  /** Longest wait with our retry / with SQLite's busy handler, the median of the rounds. */
  readonly waits: number;
  readonly forks: number;
  readonly losses: number;
  readonly ownMs: readonly number[];
  readonly sqliteMs: readonly number[];
}

const PROCESSES = 8;
const ROUNDS = 5;
const FOR_MS = 2000;

const ownMs: number[] = [];
const sqliteMs: number[] = [];
let forks = 0;
let losses = 0;
for (let round = 0; round < ROUNDS; round++) {
  sqliteMs.push(await contend('sqlite'));
  ownMs.push(await contend('own'));
}
removeFixtures();
const waits = median(ownMs.map((ms, i) => ms / (sqliteMs[i] as number)));
process.stdout.write(JSON.stringify({ waits, forks, losses, ownMs, sqliteMs } satisfies Contention));

/** @returns the longest wait of any append of any process. */
async function contend(waiting: 'own' | 'sqlite'): Promise<number> {
  const path = freshPath('shared.db');
  await benchStore('none', path).close();
  const children = Array.from({ length: PROCESSES }, () => start(path, waiting));
  await Promise.all(children.map((child) => once(child, 'message')));
  const exits = children.map((child) => once(child, 'exit'));
  const answers = children.map(async (child) => (await once(child, 'message'))[0] as { appended: number; longestMs: number });
  for (const child of children) child.send('go');
  const told = await Promise.all(answers);
  await Promise.all(exits);

  const { status, problems, entries } = await verifyLedger(path);
  if (status !== 'valid' || problems.length > 0) forks++;
  const appended = told.reduce((sum, each) => sum + each.appended, 0);
  losses += Math.abs(appended - entries);
  return Math.max(...told.map((each) => each.longestMs));
}

function start(path: string, waiting: string): ChildProcess {
  const file = fileURLToPath(new URL('./contention-child.ts', import.meta.url));
  return fork(file, [path, waiting, String(FOR_MS)], { execArgv: ['--conditions=@countersign/source', '--no-warnings'] });
}
