/** Changed SQLite ledgers: none is taken for the original unless it says the same. */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { generateKey } from '../../src/index.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, ORIGIN, tempDirectory } from '../fixtures/ledger.ts';
import { forged, type Loose } from '../verify/forge.ts';
import { APPROVERS } from '../verify/scenario.ts';
import { mutantCount, smallLedger } from './ledger.ts';
import { type Mutant, mutateBytes } from './mutators.ts';
import { Random } from './random.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };
const STATUSES = ['valid', 'invalid', 'unproven', 'unreadable'];
const TIMEOUT_MS = 1_800_000;

let path: string;
let bytes: Buffer;
let original: Evidence;
let evidence: readonly Range[];
beforeAll(async () => {
  path = await smallLedger();
  bytes = readFileSync(path);
  original = evidenceOf(path);
  evidence = rangesOf(path, bytes);
});

type Row = readonly (string | number | null)[];

interface Evidence {
  readonly entries: readonly Row[];
  readonly checkpoints: readonly Row[];
  readonly openings: readonly Row[];
}

/** What stands in the tables of evidence, read by SQLite alone. */
function evidenceOf(file: string): Evidence {
  const database = new Sqlite(file, { readonly: true });
  try {
    const all = (sql: string): Row[] => database.prepare<[], Row>(sql).raw().all();
    return {
      entries: all('SELECT seq, leaf, body FROM entries ORDER BY seq'),
      checkpoints: all('SELECT size, note FROM checkpoints ORDER BY size'),
      openings: all('SELECT seq, key, sections FROM openings ORDER BY seq').filter((row) => !row.includes(null)),
    };
  } finally {
    database.close();
  }
}

/** What a ledger that passed as valid says differently from the original. Openings may be withheld, never changed. */
function differences(file: string): { readonly changed: readonly string[]; readonly withheld: number } {
  const { entries, checkpoints, openings } = evidenceOf(file);
  const known = new Set(original.openings.map((row) => JSON.stringify(row)));
  const shown = openings.map((row) => JSON.stringify(row));
  return {
    changed: [
      ...(JSON.stringify(entries) === JSON.stringify(original.entries) ? [] : ['entries']),
      ...(JSON.stringify(checkpoints) === JSON.stringify(original.checkpoints) ? [] : ['checkpoints']),
      ...(shown.every((row) => known.has(row)) ? [] : ['openings']),
    ],
    withheld: known.size - new Set(shown).size,
  };
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Where in the file bodies, notes and openings stand: a change elsewhere mostly hits an index or nothing. */
function rangesOf(file: string, content: Buffer): readonly Range[] {
  const { entries, checkpoints, openings } = evidenceOf(file);
  const texts = [...entries, ...checkpoints, ...openings].flat().filter((text) => typeof text === 'string');
  return texts.flatMap((text) => {
    const from = content.indexOf(text);
    return from < 0 ? [] : [{ from, to: from + Buffer.byteLength(text) }];
  });
}

function mutateFile(random: Random): Mutant {
  if (random.below(4) === 0) return mutateBytes(bytes, random);
  const { from, to } = random.pick(evidence);
  // A few bytes before: the header of the record stands there.
  const start = Math.max(0, from - 16);
  const inner = mutateBytes(bytes.subarray(start, to), random);
  const filled = Buffer.concat([inner.bytes, Buffer.alloc(to - start)]).subarray(0, to - start);
  return { bytes: Buffer.concat([bytes.subarray(0, start), filled, bytes.subarray(to)]), what: `in the record at ${start}: ${inner.what}` };
}

describe('a changed SQLite file', () => {
  it(
    'is valid only when every entry, checkpoint and opening is the original',
    async () => {
      const file = join(tempDirectory(), 'mutant.db');
      const statuses = new Map<string, number>();
      const count = mutantCount(0.2);
      for (let seed = 1; seed <= count; seed++) {
        const mutant = mutateFile(new Random(seed));
        writeFileSync(file, mutant.bytes);
        const { status, warnings } = await verifyLedger(file, OPTIONS);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status === 'valid') {
          const { changed, withheld } = differences(file);
          expect(changed, `seed ${seed}: ${mutant.what}`).toEqual([]);
          if (withheld > 0) {
            expect(
              warnings.map(({ code }) => code),
              `seed ${seed}: ${mutant.what}`,
            ).toContain('OPENING_MISSING');
            expect((await verifyLedger(file, { ...OPTIONS, strict: true })).status, `seed ${seed}: ${mutant.what}`).not.toBe('valid');
          }
        }
        for (const end of ['-wal', '-shm', '-journal']) rmSync(`${file}${end}`, { force: true });
      }
      console.log(`${count} mutants of the SQLite file:`, Object.fromEntries(statuses));
      for (const status of statuses.keys()) expect(STATUSES).toContain(status);
      for (const status of ['valid', 'invalid', 'unreadable']) expect(statuses.get(status)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});

/** One statement somebody with SQL and no key could try; each changes what the evidence says. */
function tamperRows(database: Database, random: Random): string {
  const size = Number(database.prepare('SELECT count(*) FROM entries').pluck().get());
  const at = random.below(size);
  const other = (at + 1 + random.below(size - 1)) % size;
  const openings = database.prepare<[], number>('SELECT seq FROM openings ORDER BY seq').pluck().all();
  const opened = random.pick(openings);
  const otherOpened = random.pick(openings.filter((seq) => seq !== opened));
  const sql = random.pick([
    `DELETE FROM entries WHERE seq = ${at}`,
    `DELETE FROM entries WHERE seq >= ${at}`,
    `DELETE FROM openings WHERE seq >= ${opened}; UPDATE checkpoints SET note = note || 'x'`,
    `UPDATE entries SET body = (SELECT body FROM entries WHERE seq = ${other}) WHERE seq = ${at}`,
    `UPDATE entries SET (leaf, body) = (SELECT leaf, body FROM entries WHERE seq = ${other}) WHERE seq = ${at}`,
    `UPDATE entries SET leaf = (SELECT leaf FROM entries WHERE seq = ${other}) WHERE seq = ${at}`,
    `UPDATE entries SET seq = -1 WHERE seq = ${at}; UPDATE entries SET seq = ${at} WHERE seq = ${other};
     UPDATE entries SET seq = ${other} WHERE seq = -1`,
    `INSERT INTO entries SELECT ${size}, leaf, body FROM entries WHERE seq = ${at}`,
    `UPDATE entries SET seq = -seq - 2 WHERE seq >= ${at}; UPDATE entries SET seq = -seq - 1 WHERE seq < 0`,
    `UPDATE entries SET body = replace(body, '"allow"', '"deny"') WHERE seq IN (SELECT seq FROM entries WHERE body LIKE '%"allow"%' LIMIT 1)`,
    `UPDATE entries SET body = body || ' ' WHERE seq = ${at}`,
    `UPDATE entries SET body = CAST(CAST(body AS BLOB) || x'00' AS TEXT) WHERE seq = ${at}`,
    `UPDATE entries SET body = '' WHERE seq = ${at}`,
    `DELETE FROM checkpoints`,
    `UPDATE checkpoints SET size = size - 1`,
    `UPDATE checkpoints SET note = replace(note, char(10) || size || char(10), char(10) || (size - 1) || char(10)), size = size - 1;
     DELETE FROM entries WHERE seq = ${size - 1}`,
    `UPDATE checkpoints SET note = substr(note, 1, instr(note, char(10) || char(10)))`,
    `UPDATE openings SET key = '${'ab'.repeat(32)}' WHERE seq = ${opened}`,
    `UPDATE openings SET sections = '{}' WHERE seq = ${opened}; UPDATE openings SET sections = '{"x":1}' WHERE seq = ${opened}`,
    `UPDATE openings SET sections = replace(sections, '"', '''') WHERE seq = ${opened}`,
    `UPDATE openings SET (key, sections) = (SELECT key, sections FROM openings WHERE seq = ${otherOpened}) WHERE seq = ${opened}`,
    `INSERT INTO openings SELECT ${size + 3}, key, sections FROM openings WHERE seq = ${opened}`,
    `UPDATE meta SET value = 'other.example/log' WHERE key = 'origin'`,
  ]);
  database.exec(sql);
  return sql;
}

describe('changed rows', () => {
  it(
    'are never valid',
    async () => {
      const file = join(tempDirectory(), 'mutant.db');
      const count = mutantCount(0.03);
      for (let seed = 1; seed <= count; seed++) {
        copyFileSync(path, file);
        const database = new Sqlite(file);
        database.pragma('synchronous = OFF');
        const triggers = database.prepare<[], [string, string]>(`SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`).raw().all();
        for (const [name] of triggers) database.exec(`DROP TRIGGER ${name}`);
        const sql = tamperRows(database, new Random(seed));
        for (const [, trigger] of triggers) database.exec(trigger);
        database.close();
        const report = await verifyLedger(file, OPTIONS);
        expect(['invalid', 'unproven'], `seed ${seed}: ${sql} gave ${report.status}`).toContain(report.status);
        expect(report.status, `seed ${seed}: ${sql}`).toBe('invalid');
      }
    },
    TIMEOUT_MS,
  );

  it(
    'hashed and signed anew by another key, or by none, are never proven to be ours',
    async () => {
      const pem = generateKey(ORIGIN).privatePem;
      const count = mutantCount(0.02);
      for (let seed = 1; seed <= count; seed++) {
        const random = new Random(seed);
        const file = forged(path, (entries) => changeEntries(entries, random), { pem: random.below(2) === 0 ? pem : 'none' });
        const report = await verifyLedger(file, OPTIONS);
        expect(report, `seed ${seed}`).toMatchObject({ status: 'invalid', authorship: 'failed' });
        rmSync(file);
      }
    },
    TIMEOUT_MS,
  );
});

function changeEntries(entries: Loose[], random: Random): Loose[] {
  const at = random.below(entries.length);
  const other = random.below(entries.length);
  switch (random.below(5)) {
    case 0:
      return entries.toSpliced(at, 1);
    case 1:
      return entries.toSpliced(at, 0, { ...entries[other] });
    case 2:
      return entries.with(at, entries[other] as Loose).with(other, entries[at] as Loose);
    case 3:
      return entries.slice(0, 1 + at);
    default:
      return entries.with(at, { ...entries[at], at: random.next() });
  }
}
