import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalize } from '../../src/index.ts';
import { CompactRange, leafHash } from '../../src/ledger/merkle.ts';
import { exitCodeOf } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { verifyLedger } from './both.ts';
import { edited, entriesOf, forged, noteOf, tampered } from './forge.ts';
import { APPROVERS, call, guardOn, writeScenario } from './scenario.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

let path: string;
beforeAll(async () => {
  path = (await writeScenario()).path;
});

describe('what is no ledger is unreadable', () => {
  const made =
    (write: (file: string) => void): (() => string) =>
    () => {
      const file = join(tempDirectory(), 'file.db');
      write(file);
      return file;
    };
  it.each<[string, () => string, string]>([
    ['nothing', () => join(tempDirectory(), 'none.db'), 'LEDGER_NOT_FOUND'],
    ['a directory', () => tempDirectory(), 'LEDGER_UNREADABLE'],
    ['an empty file', made((file) => writeFileSync(file, '')), 'LEDGER_UNREADABLE'],
    ['a text', made((file) => writeFileSync(file, '{"v":1}\n'.repeat(1000))), 'LEDGER_UNREADABLE'],
    ['a link to nothing', made((file) => symlinkSync('/nonexistent/ledger', file)), 'LEDGER_NOT_FOUND'],
    ['a link to itself', made((file) => symlinkSync(file, file)), 'LEDGER_UNREADABLE'],
    ...['-wal', '-shm', '-journal'].map((suffix): [string, () => string, string] => [
      `a ledger with a pipe as its ${suffix}`,
      made((file) => {
        copyFileSync(path, file);
        execFileSync('mkfifo', [`${file}${suffix}`]);
      }),
      'LEDGER_UNREADABLE',
    ]),
    ['a named pipe', made((file) => execFileSync('mkfifo', [file])), 'LEDGER_UNREADABLE'],
    [
      'another database',
      made((file) => new Sqlite(file).exec('CREATE TABLE entries (seq INTEGER PRIMARY KEY, body TEXT)').close()),
      'LEDGER_UNREADABLE',
    ],
    ['half a ledger', made((file) => writeFileSync(file, readFileSync(path).subarray(0, 4096))), 'LEDGER_UNREADABLE'],
    ['a later version', () => tampered(path, (database) => database.pragma('user_version = 2')), 'LEDGER_VERSION'],
    ['a ledger without its entries', () => edited(path, 'DROP TABLE entries'), 'LEDGER_UNREADABLE'],
  ])('%s', async (_name, file, code) => {
    const report = await verifyLedger(file(), OPTIONS);
    expect(report).toMatchObject({ status: 'unreadable', integrity: 'unknown', entries: 0, problems: [{ entry: 0, code }] });
    expect(exitCodeOf(report)).toBe(4);
  });
});

describe('rows where no entry can stand', () => {
  it.each(['-1', '9007199254740992', '9007199254740993', '9223372036854775807'])('are told, and end: position %s', async (seq) => {
    const changed = tampered(path, (database) => {
      database.exec(`INSERT INTO entries (seq, leaf, body) SELECT ${seq}, leaf, body FROM entries WHERE seq = 0`);
    });
    const report = await verifyLedger(changed, OPTIONS);
    expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', problems: [{ entry: 0, code: 'ENTRY_MISPLACED' }] });
  });

  it('the last position there can be is too far off to be read', async () => {
    const changed = tampered(path, (database) => {
      database.exec(`INSERT INTO entries (seq, leaf, body) SELECT 9007199254740991, leaf, body FROM entries WHERE seq = 0`);
    });
    const report = await verifyLedger(changed, OPTIONS);
    expect(report.problems.map(({ code }) => code)).toContain('READING_STOPPED');
  });
});

describe('a schema that is not ours', () => {
  it.each<[string, string]>([
    ['a view in place of the entries', 'ALTER TABLE entries RENAME TO real; CREATE VIEW entries AS SELECT * FROM real'],
    [
      'a view that never ends',
      'DROP TABLE openings; CREATE VIEW openings AS WITH RECURSIVE n(seq) AS (SELECT 0 UNION ALL SELECT seq + 1 FROM n) SELECT seq, 1 AS key, 2 AS sections FROM n',
    ],
    ['an index that could answer for the entries', 'CREATE INDEX other ON entries (seq, leaf, body)'],
    ['a column more', 'ALTER TABLE entries ADD COLUMN extra TEXT'],
    ['loose types', 'DROP TABLE checkpoints; CREATE TABLE checkpoints (size, note, keep)'],
  ])('is not read: %s', async (_name, sql) => {
    expect(await verifyLedger(edited(path, sql), OPTIONS)).toMatchObject({
      status: 'unreadable',
      problems: [{ code: 'LEDGER_UNREADABLE' }],
    });
  });

  it('does not get by with a lie about what an object belongs to', async () => {
    const changed = tampered(path, (database) => {
      database.exec('CREATE INDEX other ON entries (seq, leaf, body)');
      database.unsafeMode();
      database.pragma('writable_schema = 1');
      database.exec(`UPDATE sqlite_schema SET type = 'view', tbl_name = 'nothing' WHERE name = 'other'`);
    });
    expect(await verifyLedger(changed, OPTIONS)).toMatchObject({ status: 'unreadable' });
  });

  it.each<[string, string]>([
    ['a trigger', 'CREATE TRIGGER own AFTER INSERT ON entries BEGIN DELETE FROM openings; END'],
    ['a view', 'CREATE VIEW own AS SELECT * FROM entries'],
    ['a table', 'CREATE TABLE own (a)'],
    ['a changed table of rows', 'ALTER TABLE calls ADD COLUMN extra TEXT'],
    ['a missing table of rows', 'DROP TABLE marks'],
    ['a missing index', 'DROP INDEX calls_open'],
  ])('is told and not run: %s', async (_name, sql) => {
    const report = await verifyLedger(edited(path, sql), OPTIONS);
    expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', authorship: 'proven', problems: [{ code: 'SCHEMA_DIFFERS' }] });
  });

  it('misses a guard against accidents', async () => {
    expect(await verifyLedger(edited(path, 'DROP TRIGGER entries_no_update'), OPTIONS)).toMatchObject({
      status: 'invalid',
      problems: [{ code: 'SCHEMA_DIFFERS' }],
    });
  });

  it('names another format', async () => {
    const changed = tampered(path, (database) => database.exec(`UPDATE meta SET value = 'countersign-9' WHERE key = 'format'`));
    expect(await verifyLedger(changed, OPTIONS)).toMatchObject({ status: 'invalid', problems: [{ code: 'FORMAT_UNKNOWN' }] });
  });
});

it('no changed byte of the file makes verification throw or hang', async () => {
  const bytes = readFileSync(path);
  const file = join(tempDirectory(), 'flipped.db');
  const seen = new Set<string>();
  for (let at = 0; at < bytes.length; at += at < 200 ? 3 : 997) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] as number) ^ 0xff;
    writeFileSync(file, flipped);
    seen.add((await verifyLedger(file, OPTIONS)).status);
  }
  expect([...seen].toSorted()).toEqual(['invalid', 'unreadable', 'valid']);
});

describe('where SQLite cannot write beside the file', () => {
  const NOBODY = 65_534;
  const index = fileURLToPath(new URL('../../src/sqlite/index.ts', import.meta.url));

  /** Verifies in a process that may not write to the folder: root may write everywhere, so it becomes nobody. */
  function verifyReadOnly(file: string): { status: string } {
    const script = `import { verifyLedger } from ${JSON.stringify(index)}; console.log(JSON.stringify(await verifyLedger(process.argv[1])))`;
    const isRoot = process.getuid?.() === 0;
    chmodSync(dirname(dirname(file)), 0o755);
    chmodSync(file, 0o644);
    chmodSync(dirname(file), 0o555);
    const args = ['--no-warnings', '--conditions=@countersign/source', '--input-type=module', '-e', script, file];
    const output = execFileSync(process.execPath, args, { encoding: 'utf8', ...(isRoot && { uid: NOBODY, gid: NOBODY }) });
    return JSON.parse(output) as { status: string };
  }

  it.skipIf(process.platform === 'win32')('a ledger is verified all the same, and nothing is written', () => {
    const folder = join(tempDirectory(), 'read-only');
    mkdirSync(folder);
    const file = join(folder, 'ledger.db');
    copyFileSync(path, file);
    expect(verifyReadOnly(file)).toMatchObject({ status: 'valid', integrity: 'intact' });
    expect(readdirSync(folder)).toEqual(['ledger.db']);
  });

  it.skipIf(process.platform === 'win32')('a write-ahead log is read along', async () => {
    const live = join(tempDirectory(), 'live.db');
    const store = openLedger(live);
    await guardOn(store).run(call('read'), () => 'ok');
    const folder = join(tempDirectory(), 'read-only');
    mkdirSync(folder);
    for (const end of ['', '-wal']) copyFileSync(`${live}${end}`, join(folder, `ledger.db${end}`));
    await store.close();
    chmodSync(join(folder, 'ledger.db-wal'), 0o644);
    expect(verifyReadOnly(join(folder, 'ledger.db'))).toMatchObject({ status: 'valid', open_decisions: 1 });
    expect(readdirSync(folder)).toEqual(['ledger.db', 'ledger.db-wal']);
  });
});

it('a write-ahead log that was left behind is read, and stays as it is', async () => {
  const live = join(tempDirectory(), 'live.db');
  const store = openLedger(live);
  const guard = guardOn(store);
  await guard.run(call('read'), () => 'ok');
  const crashed = join(tempDirectory(), 'crashed.db');
  for (const end of ['', '-wal']) copyFileSync(`${live}${end}`, `${crashed}${end}`);
  await guard.close();
  await store.close();
  const before = readFileSync(`${crashed}-wal`);
  expect(await verifyLedger(crashed, OPTIONS)).toMatchObject({ status: 'valid', integrity: 'intact', open_decisions: 1 });
  expect(readFileSync(`${crashed}-wal`).equals(before)).toBe(true);
  expect(readdirSync(dirname(crashed))).toContain('crashed.db-wal');
});

describe('a write-ahead log that was taken away', () => {
  /** The files as a crash leaves them: entries in the file and more of them in the -wal. */
  async function crashed(): Promise<string> {
    const folder = tempDirectory();
    const live = join(tempDirectory(), 'live.db');
    copyFileSync(path, live);
    const store = openLedger(live);
    const guard = guardOn(store, { session: 'more' });
    await guard.run(call('read'), () => 'ok');
    for (const end of ['', '-wal', '-shm']) copyFileSync(`${live}${end}`, join(folder, `ledger.db${end}`));
    await guard.close();
    await store.close();
    return join(folder, 'ledger.db');
  }

  it('is told where the -shm was left, and the ledger is not called valid', async () => {
    const file = await crashed();
    const { entries } = await verifyLedger(file, OPTIONS);
    rmSync(`${file}-wal`);
    for (const strict of [false, true]) {
      for (let i = 0; i < 2; i++) {
        const report = await verifyLedger(file, { ...OPTIONS, strict });
        expect(report).toMatchObject({ status: 'unproven', integrity: 'intact', warnings: [{ entry: 0, code: 'WAL_MISSING' }] });
        expect(report.entries).toBeLessThan(entries);
        // Had it been opened where it lies, an empty -wal would hide that one was there.
        expect(readdirSync(dirname(file)).toSorted()).toEqual(['ledger.db', 'ledger.db-shm']);
      }
    }
  });

  it('is looked for beside the file itself when a link leads to it', async () => {
    const file = await crashed();
    const link = join(tempDirectory(), 'link.db');
    symlinkSync(file, link);
    expect((await verifyLedger(link, OPTIONS)).entries).toBe((await verifyLedger(file, OPTIONS)).entries);
    rmSync(`${file}-wal`);
    expect(await verifyLedger(link, OPTIONS)).toMatchObject({ status: 'unproven', warnings: [{ code: 'WAL_MISSING' }] });
  });

  it('together with its -shm cannot be told from a ledger that was closed, but by who saw it before', async () => {
    const file = await crashed();
    const { entries, root = '' } = await verifyLedger(file, OPTIONS);
    for (const end of ['-wal', '-shm']) rmSync(`${file}${end}`);
    expect(await verifyLedger(file, OPTIONS)).toMatchObject({ status: 'valid', warnings: [] });
    const against = noteOf({ size: entries, root });
    expect(await verifyLedger(file, { ...OPTIONS, against })).toMatchObject({ status: 'invalid', end: 'contradicted' });
  });

  it('of a ledger that was never copied into its file leaves nothing, and the message says where to look', async () => {
    const live = join(tempDirectory(), 'live.db');
    const store = openLedger(live);
    await guardOn(store).run(call('read'), () => 'ok');
    const file = join(tempDirectory(), 'ledger.db');
    copyFileSync(live, file);
    await store.close();
    const report = await verifyLedger(file, OPTIONS);
    expect(report).toMatchObject({ status: 'unreadable', problems: [{ code: 'LEDGER_UNREADABLE' }] });
    expect(report.problems[0]?.message).toContain('-wal');
  });
});

describe('the head this machine last saw', () => {
  const seen = (file: string): { ledger: string; size: number; root: string } => {
    const database = new Sqlite(file, { readonly: true });
    const ledger = database.prepare<[], string>("SELECT value FROM meta WHERE key = 'ledger'").pluck().get() ?? '';
    database.close();
    const tree = new CompactRange();
    for (const entry of entriesOf(file)) tree.push(leafHash(canonicalize(entry)));
    return { ledger, size: tree.size, root: tree.root() };
  };

  it('of this ledger, or of its start, says nothing', async () => {
    const known = seen(path);
    const start = seen(forged(path, (entries) => entries.slice(0, 20)));
    for (const lastSeen of [known, start]) {
      expect(await verifyLedger(path, { ...OPTIONS, lastSeen, strict: true })).toMatchObject({ status: 'unproven', problems: [] });
      expect(await verifyLedger(path, { ...OPTIONS, lastSeen })).toMatchObject({ status: 'valid', warnings: [] });
    }
    const since = noteOf(known);
    expect(await verifyLedger(path, { ...OPTIONS, since, lastSeen: start })).toMatchObject({ status: 'valid', warnings: [], since: {} });
  });

  it.each([
    ['of more entries', { size: 1000 }, 'are missing at the end'],
    ['of other entries', { root: '1'.repeat(64) }, 'are not those'],
    ['of another ledger', { ledger: '0'.repeat(32) }, 'another ledger'],
  ])('%s is a warning, under --strict a problem', async (_name, other, words) => {
    const lastSeen = { ...seen(path), ...other };
    const report = await verifyLedger(path, { ...OPTIONS, lastSeen });
    expect(report).toMatchObject({ status: 'valid', warnings: [{ entry: 0, code: 'LEDGER_ROLLED_BACK' }] });
    expect(report.warnings[0]?.message).toContain(words);
    const strict = await verifyLedger(path, { ...OPTIONS, lastSeen, strict: true });
    expect(strict).toMatchObject({ status: 'invalid', problems: [{ entry: 0, code: 'LEDGER_ROLLED_BACK' }] });
  });
});
