import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { tempDirectory } from '../fixtures/ledger.ts';
import { canonical, chained, decision, SCHEMA, scenario, writeLines, writeSqlite } from './writer.ts';

const entries = chained(scenario());

async function found(path: string): Promise<readonly (readonly [number, string])[]> {
  const { problems } = await verifyLedger(path);
  return problems.map(({ entry, code }) => [entry, code]);
}

const changed = (sql: string): string => writeSqlite(entries, (database) => void database.exec(sql));

describe('a database somebody changed', () => {
  it.each(entries.map((_entry, index) => index + 1))('columns and text of row %i', async (row) => {
    const last = row === entries.length;
    expect(await found(changed(`UPDATE ledger SET entry_hash = '${'0'.repeat(64)}' WHERE id = ${row}`))).toEqual([
      [row, 'COLUMN_MISMATCH'],
    ]);
    const otherPrev = changed(`UPDATE ledger SET prev_entry_hash = '${'0'.repeat(64)}' WHERE id = ${row}`);
    expect(await found(otherPrev)).toEqual([[row, 'COLUMN_MISMATCH']]);
    if (row > 1)
      expect(await found(changed(`UPDATE ledger SET prev_entry_hash = NULL WHERE id = ${row}`))).toEqual([[row, 'COLUMN_MISMATCH']]);
    expect(
      (await found(changed(`UPDATE ledger SET entry_json = replace(entry_json, 'agent:test', 'agent:tess') WHERE id = ${row}`)))[0],
    ).toEqual([row, 'ENTRY_HASH_MISMATCH']);
    expect((await found(changed(`UPDATE ledger SET entry_json = '' WHERE id = ${row}`)))[0]).toEqual([row, 'ENTRY_NOT_CANONICAL']);
    expect((await found(changed(`UPDATE ledger SET entry_json = CAST(entry_json AS BLOB) WHERE id = ${row}`)))[0]).toEqual([
      row,
      'ENTRY_UNREADABLE',
    ]);
    expect((await found(changed(`UPDATE ledger SET entry_json = entry_json || char(10) WHERE id = ${row}`)))[0]).toEqual([
      row,
      'ENTRY_NOT_CANONICAL',
    ]);
    if (!last) expect((await found(changed(`DELETE FROM ledger WHERE id = ${row}`)))[0]).toEqual([row, 'CHAIN_BROKEN']);
    if (!last) {
      const swap = `UPDATE ledger SET id = -1 WHERE id = ${row}; UPDATE ledger SET id = ${row} WHERE id = ${row + 1}; UPDATE ledger SET id = ${row + 1} WHERE id = -1`;
      expect((await found(changed(swap)))[0]).toEqual([row, 'CHAIN_BROKEN']);
    }
    const twice = `UPDATE ledger SET id = -id; UPDATE ledger SET id = -2 * id; INSERT INTO ledger SELECT ${2 * row + 1}, entry_json, entry_hash, prev_entry_hash FROM ledger WHERE id = ${2 * row}`;
    expect((await found(changed(twice)))[0]).toEqual([row + 1, 'CHAIN_BROKEN']);
  });

  it('rows cut off at the end, or chained anew over a gap, are told by their ids', async () => {
    const cut = await verifyLedger(changed('DELETE FROM ledger WHERE id > 12'));
    expect(cut).toMatchObject({ status: 'valid', entries: 12, end: 'unproven', warnings: [{ entry: 0, code: 'ROWS_REMOVED' }] });
    expect(await verifyLedger(changed('DELETE FROM ledger WHERE id > 12'), { strict: true })).toMatchObject({ status: 'invalid' });
    expect((await verifyLedger(changed('DELETE FROM ledger'))).warnings).toMatchObject([{ entry: 0, code: 'ROWS_REMOVED' }]);
    const gap = await verifyLedger(changed('UPDATE ledger SET id = id + 10 WHERE id > 5'));
    expect(gap).toMatchObject({ status: 'valid', warnings: [{ entry: 6, code: 'ROWS_REMOVED' }, {}] });
  });

  it('a text that is not valid UTF-8 is not the text it looks like', async () => {
    const path = writeSqlite(chained([decision({ kwargs: { a: 'x\ufffdy' } })]));
    expect(await found(path)).toEqual([]);
    const database = new Sqlite(path);
    database.exec("UPDATE ledger SET entry_json = CAST(replace(CAST(entry_json AS BLOB), x'efbfbd', x'ff') AS TEXT)");
    database.close();
    expect(await found(path)).toEqual([[1, 'ENTRY_UNREADABLE']]);
  });

  it('an entry larger than any is not loaded', async () => {
    const path = changed('UPDATE ledger SET entry_json = CAST(zeroblob(20000000) AS TEXT) WHERE id = 2');
    expect((await found(path))[0]).toEqual([2, 'ENTRY_UNREADABLE']);
  });
});

describe('a schema that is not the predecessor’s', () => {
  it.each<[string, string]>([
    ['a view in place of the table', 'ALTER TABLE ledger RENAME TO real; CREATE VIEW ledger AS SELECT * FROM real'],
    [
      'a view that never ends',
      'DROP TABLE ledger; CREATE VIEW ledger AS WITH RECURSIVE r(id, entry_json, entry_hash, prev_entry_hash) AS (SELECT 1, 2, 3, 4 UNION ALL SELECT id + 1, 2, 3, 4 FROM r) SELECT * FROM r',
    ],
    [
      'a column made up when it is read',
      `DROP TABLE ledger; CREATE TABLE ledger (id INTEGER PRIMARY KEY, entry_json TEXT AS ('{}'), entry_hash TEXT, prev_entry_hash TEXT)`,
    ],
    ['an index', 'CREATE INDEX i ON ledger (entry_hash)'],
    ['an index under a neighbour’s name', 'CREATE TABLE approvals (x); CREATE INDEX i ON ledger (entry_json)'],
    [
      'a unique column',
      'DROP TABLE ledger; CREATE TABLE ledger (id INTEGER PRIMARY KEY, entry_json TEXT UNIQUE, entry_hash TEXT, prev_entry_hash TEXT)',
    ],
    [
      'a table without rowid',
      'DROP TABLE ledger; CREATE TABLE ledger (id INTEGER PRIMARY KEY, entry_json TEXT, entry_hash TEXT, prev_entry_hash TEXT) WITHOUT ROWID',
    ],
    ['a virtual table', 'CREATE VIRTUAL TABLE v USING fts5(x)'],
    ['another table of that name', 'DROP TABLE ledger; CREATE TABLE ledger (id, entry_json, entry_hash, prev_entry_hash)'],
  ])('%s is not read', async (_what, sql) => {
    const report = await verifyLedger(changed(sql));
    expect(report).toMatchObject({ status: 'unreadable', entries: 0, problems: [{ entry: 0, code: 'LEDGER_UNREADABLE' }] });
  });

  it.each([
    ['a trigger', 'CREATE TRIGGER t AFTER INSERT ON ledger BEGIN DELETE FROM ledger; END'],
    ['a view', 'CREATE VIEW v AS SELECT 1'],
    ['a table', 'CREATE TABLE other (x)'],
  ])('%s beside it is told and never run', async (_what, sql) => {
    const report = await verifyLedger(changed(sql));
    expect(report).toMatchObject({ status: 'invalid', entries: 14, integrity: 'intact', problems: [{ entry: 0, code: 'SCHEMA_DIFFERS' }] });
  });

  it('stores of approvals and budgets of the predecessor may share the file', async () => {
    const sql = `CREATE TABLE approvals (
                    request_id TEXT PRIMARY KEY, state TEXT NOT NULL, expires_at TEXT);
      CREATE INDEX idx_approvals_pending_expires
                ON approvals (state, expires_at)
                WHERE state = 'pending';
      CREATE TABLE pending (request_id TEXT PRIMARY KEY); CREATE TABLE committed (request_id TEXT PRIMARY KEY)`;
    expect(await verifyLedger(changed(sql))).toMatchObject({ status: 'valid', problems: [] });
  });

  it('without AUTOINCREMENT it is read too', async () => {
    const schema = 'CREATE TABLE ledger(id INTEGER PRIMARY KEY, entry_json TEXT, entry_hash TEXT, prev_entry_hash TEXT)';
    expect(await verifyLedger(writeSqlite(entries, undefined, schema))).toMatchObject({ status: 'valid', entries: 14 });
  });

  it('a damaged file ends in a report', async () => {
    const path = writeSqlite(chained(Array.from({ length: 200 }, () => decision())));
    const bytes = readFileSync(path);
    for (const size of [4096, 8192, bytes.length - 4096]) {
      const { status } = await verifyLedger(
        await import('./writer.ts').then(({ writeLines }) => writeLines(bytes.subarray(0, size), 'cut.sqlite')),
      );
      expect(status).toMatch(/^(?:unreadable|invalid)$/);
    }
    bytes.fill(0xff, 8192, 12_288);
    expect((await verifyLedger(writeLines(bytes, 'cut.sqlite'))).status).toMatch(/^(?:unreadable|invalid)$/);
  });
});

describe('verify changes nothing', () => {
  it('of a live ledger with its WAL, whose entries are read, and of a closed one', async () => {
    const folder = tempDirectory();
    const live = new Sqlite(join(folder, 'live.sqlite'));
    live.pragma('journal_mode = WAL');
    live.exec(SCHEMA);
    const insert = live.prepare('INSERT INTO ledger (entry_json, entry_hash, prev_entry_hash) VALUES (?, ?, ?)');
    for (const entry of entries) insert.run(canonical(entry), entry['entry_hash'], entry['prev_entry_hash']);
    const bytes = (): readonly Buffer[] => ['', '-wal'].map((suffix) => readFileSync(`${live.name}${suffix}`));
    const before = bytes();
    expect(await verifyLedger(live.name)).toMatchObject({ status: 'valid', format: 'sudoagent-v2', entries: 14 });
    expect(bytes()).toEqual(before);
    // As after a crash: the rows are in the WAL alone.
    const crashed = join(folder, 'crash', 'crashed.sqlite');
    mkdirSync(dirname(crashed));
    for (const suffix of ['', '-wal']) copyFileSync(`${live.name}${suffix}`, `${crashed}${suffix}`);
    expect(await verifyLedger(crashed)).toMatchObject({ status: 'valid', entries: 14 });
    expect(readFileSync(`${crashed}-wal`)).toEqual(before[1]);
    live.close();
    const closed = readFileSync(live.name);
    expect(await verifyLedger(live.name)).toMatchObject({ status: 'valid', entries: 14 });
    expect(readFileSync(live.name)).toEqual(closed);
    expect(readdirSync(folder).toSorted()).toEqual(['crash', 'live.sqlite']);
  });
});
