/**
 * Verifying a whole ledger: bodies, canonical form, shapes, tree, tiles, calls, approvals, budgets, checkpoint.
 *
 * The ledger holds decisions with a budget, and their outcomes, of about 630 bytes. Bounded figures are about entries: the
 * clear text that lies beside them (openings) is left out, as after an export for an auditor. The figure with openings
 * stands beside them: they are salted hashes of each argument, and cost several times what the entry does.
 *
 * "naive loop" is what one would write first: iterate, JSON.parse, the npm package `canonicalize`, createHash, compare. Under
 * its figure stands the same loop with our own canonical form and one-shot hash, which are faster.
 * "scan + bulk SHA-256" reads the bodies in chunks of 2000 and hashes each chunk as one text: the floor.
 */
import { spawnSync } from 'node:child_process';
import { createHash, hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { verifyLedger } from '@countersign/core/sqlite';
import Sqlite from 'better-sqlite3';
import referenceCanonicalize from 'canonicalize';
import { canonicalize } from '../packages/core/src/ledger/canonical.ts';
import { atLeast, atMost, type Claim, printed } from './figure.ts';
import { type RoundOptions, timeRatio } from './measure.ts';
import { type LargeLedger, largeLedger } from './verify-ledgers.ts';

const ENTRIES = 60_000;
const FOR_THREADS = 400_000;
const MILLION = 1_000_000;
const NEW_OF_MILLION = MILLION / 100;
const SCAN_ROWS = 2000;
/** The whole ledger once a slice. Until the fifth time V8 still makes the code of a verification of so few entries. */
const WHOLE: RoundOptions = { rounds: 7, warmUpRounds: 5, slices: 1, count: 1 };

const naive = 'complete verify on one thread / naive loop, entries per second';
const ownNaive = 'complete verify on one thread / naive loop with our canonical form, entries per second';
const floor = 'complete verify on one thread / scan + bulk sha256 of the same bytes';
const openings = 'complete verify with openings on one thread / scan + bulk sha256 of the bodies';
const threads = 'complete verify, 2 threads / 1 thread, entries per second';
const openingThreads = 'complete verify with openings, 2 threads / 1 thread, entries per second';
const memory = 'complete verify of 1,000,000 entries, peak memory';
const since = 'verify --since of the last 1 % of 1,000,000 entries / complete verify';

export const verifyClaims: readonly Claim[] = [
  { name: naive, measure: async () => atLeast(naive, await overLoop(naiveLoop), 3.5) },
  { name: ownNaive, measure: async () => printed(ownNaive, await overLoop(ownLoop)) },
  { name: floor, measure: async () => atMost(floor, await overFloor(false), 5) },
  { name: openings, measure: async () => printed(openings, await overFloor(true)) },
  { name: threads, measure: async () => (hasCores(threads) ? atLeast(threads, await twoThreads(FOR_THREADS, false), 1.3) : undefined) },
  {
    name: openingThreads,
    measure: async () => (hasCores(openingThreads) ? printed(openingThreads, await twoThreads(ENTRIES, true)) : undefined),
  },
  { name: memory, measure: () => Promise.resolve(atMost(memory, peakMemory(million().path), 300, 'MB')) },
  { name: since, measure: async () => atMost(since, await onlyNew(), 0.05) },
];

const made = new Map<string, LargeLedger>();

function ledger(entries: number, withOpenings: boolean): LargeLedger {
  const name = `${entries} ${String(withOpenings)}`;
  const known = made.get(name) ?? largeLedger(entries, { openings: withOpenings, since: entries - entries / 100 });
  made.set(name, known);
  return known;
}

function million(): LargeLedger {
  return ledger(MILLION, false);
}

async function verified(path: string, options: { readonly threads: number; readonly since?: string }): Promise<void> {
  const { status } = await verifyLedger(path, options);
  if (status !== 'valid') throw new Error(`the ledger made here is ${status}`);
}

/** Entries per second over those of a loop. */
async function overLoop(loop: (path: string) => void): Promise<number> {
  const { path } = ledger(ENTRIES, false);
  return timeRatio(
    () => loop(path),
    async () => verified(path, { threads: 1 }),
    WHOLE,
  );
}

async function overFloor(withOpenings: boolean): Promise<number> {
  const { path } = ledger(ENTRIES, withOpenings);
  return timeRatio(
    async () => verified(path, { threads: 1 }),
    () => scanAndHash(path),
    WHOLE,
  );
}

async function twoThreads(entries: number, withOpenings: boolean): Promise<number> {
  const { path } = ledger(entries, withOpenings);
  return timeRatio(
    async () => verified(path, { threads: 1 }),
    async () => verified(path, { threads: 2 }),
    { ...WHOLE, rounds: 5, warmUpRounds: 1 },
  );
}

function hasCores(name: string): boolean {
  if (availableParallelism() >= 2) return true;
  process.stderr.write(`LEFT OUT: ${name}: this machine has one core\n`);
  return false;
}

function peakMemory(path: string): number {
  const child = fileURLToPath(new URL('./verify-child.ts', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=@countersign/source', '--no-warnings', child, path, '1'], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  if (status !== 0) throw new Error(`the child that verifies failed: ${stderr}`);
  return Number(stdout);
}

async function onlyNew(): Promise<number> {
  const { path, since: checkpoint } = million();
  const size = Number(checkpoint.split('\n')[1]);
  if (size !== MILLION - NEW_OF_MILLION) throw new Error(`the checkpoint is of ${size} entries`);
  return timeRatio(
    async () => verified(path, { threads: 1, since: checkpoint }),
    async () => verified(path, { threads: 1 }),
    { ...WHOLE, rounds: 5, warmUpRounds: 1 },
  );
}

function scanAndHash(path: string): void {
  withRows(path, (database) => {
    const read = database.prepare<[number, number], string>('SELECT body FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq').pluck();
    for (let from = 0; ; from += SCAN_ROWS) {
      const bodies = read.all(from, from + SCAN_ROWS);
      if (bodies.length === 0) return;
      hash('sha256', bodies.join(''));
    }
  });
}

function naiveLoop(path: string): void {
  compareAll(path, (body) => {
    const text = referenceCanonicalize(JSON.parse(body)) ?? '';
    return createHash('sha256').update(`\0${text}`).digest('hex');
  });
}

function ownLoop(path: string): void {
  compareAll(path, (body) => hash('sha256', `\0${canonicalize(JSON.parse(body))}`, 'hex'));
}

function compareAll(path: string, leafOf: (body: string) => string): void {
  withRows(path, (database) => {
    const rows = database.prepare<[], [string, string]>('SELECT body, leaf FROM entries ORDER BY seq').raw();
    for (const [body, leaf] of rows.iterate()) if (leafOf(body) !== leaf) throw new Error('a leaf differs');
  });
}

function withRows(path: string, read: (database: Sqlite.Database) => void): void {
  const database = new Sqlite(path, { readonly: true });
  read(database);
  database.close();
}
