import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { createGuard } from '../../src/guard.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { definePolicy } from '../../src/policy/built-in.ts';
import { checkDurability } from '../../src/sqlite/durability.ts';
import { readLedger } from '../../src/sqlite/reader.ts';
import { openStore, type SqliteStore } from '../../src/sqlite/store.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-reader-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function openAt(path: string): SqliteStore {
  const store = openStore({ path, origin: 'example.com/log', signer: 'none' });
  onTestFinished(() => store.close());
  return store;
}

/** A ledger with one call that waits for a person. */
async function asked(store: SqliteStore): Promise<string> {
  const policy = definePolicy({ id: 'ask', version: '1', evaluate: () => ({ effect: 'require_approval', reason: 'because' }) });
  const guard = createGuard({ agent: 'bot', policy, store });
  const answer = await guard.authorize({ tool: { server: 's', name: 't' }, args: { a: 1 } }, { approval: 'suspend' });
  if (answer.kind !== 'pending') throw new Error('expected a pending call');
  return answer.approvalId;
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (CountersignError.is(error)) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}

describe('readLedger', () => {
  it('gives head and entries of one snapshot, whatever is written meanwhile', async () => {
    const path = join(folder(), 'l.db');
    const store = openAt(path);
    await asked(store);
    const before = await store.head();
    const reader = readLedger(path);
    await asked(store);
    expect(reader.head()).toEqual(before);
    const lines = [...reader.entries()];
    expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: before.size }, (_, index) => index));
    for (const { text, leaf } of lines) expect(leaf).toBe(leafHash(text));
    expect([...reader.entries(before.size - 1)]).toHaveLength(1);
    expect([...reader.entries(before.size)]).toEqual([]);
    expect(reader.origin).toBe('example.com/log');
    reader.close();
  });

  it('can be closed in the middle of reading', async () => {
    const path = join(folder(), 'l.db');
    await asked(openAt(path));
    const reader = readLedger(path);
    for (const _line of reader.entries()) break;
    expect(() => reader.close()).not.toThrow();
  });

  it('changes no byte of the ledger and leaves nothing beside it', async () => {
    const directory = folder();
    const path = join(directory, 'l.db');
    const store = openStore({ path, origin: 'example.com/log', signer: 'none' });
    await asked(store);
    await store.close();
    const before = readFileSync(path);
    const reader = readLedger(path);
    reader.head();
    reader.approvals();
    reader.close();
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(directory)).toEqual(['l.db']);
  });

  it('shows approvals with what stands beside them, and names what was edited', async () => {
    const path = join(folder(), 'l.db');
    const store = openAt(path);
    const id = await asked(store);
    const look = () => {
      const reader = readLedger(path);
      const view = reader.approval(id);
      reader.close();
      return view;
    };
    expect(look()).toMatchObject({ id, state: 'pending', shown: { a: 1 }, reason: 'because', mismatches: [] });
    const database = new Database(path);
    database.exec(`UPDATE approvals SET tool = 'other'; UPDATE openings SET sections = replace(sections, 'because', 'for fun')`);
    database.close();
    expect(look()?.mismatches).toEqual(['tool', 'reason']);
  });

  it('reports expired approvals as expired', async () => {
    const path = join(folder(), 'l.db');
    const id = await asked(openAt(path));
    const database = new Database(path);
    database.exec('UPDATE approvals SET expires_at = 1');
    database.close();
    const reader = readLedger(path);
    expect(reader.approvals({ state: 'pending' })).toEqual([]);
    expect(reader.approvals({ state: 'expired' }).map((row) => row.id)).toEqual([id]);
    expect(reader.approval('__proto__')).toBeUndefined();
    reader.close();
  });

  it('knows who writes right now', async () => {
    const path = join(folder(), 'l.db');
    const store = openStore({ path, origin: 'example.com/log', signer: 'none' });
    const reader = readLedger(path);
    expect(reader.liveWriterPids()).toEqual([process.pid]);
    reader.close();
    await store.close();
    const later = readLedger(path);
    expect(later.liveWriterPids()).toEqual([]);
    later.close();
  });

  it('knows clients whose hooks write, for as long as they live', async () => {
    const path = join(folder(), 'l.db');
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const client = child.pid ?? 0;
    const open = (): SqliteStore => openStore({ path, origin: 'example.com/log', signer: 'none', client });
    const writers = (): readonly number[] => {
      const reader = readLedger(path);
      const pids = reader.liveWriterPids();
      reader.close();
      return pids;
    };
    await open().close();
    await open().close();
    expect(writers()).toEqual([client]);
    child.stdin.end();
    await once(child, 'close');
    expect(writers()).toEqual([]);
    // Nothing is kept of one that is gone, and what was kept goes with the next open.
    await open().close();
    const database = new Database(path, { readonly: true });
    expect(database.prepare('SELECT count(*) FROM leases').pluck().get()).toBe(0);
    database.close();
  });

  it.each([0, -1, 1.5, Number.NaN])('%s is the pid of no client', (client) => {
    const open = (): SqliteStore => openStore({ path: join(folder(), 'l.db'), origin: 'example.com/log', signer: 'none', client });
    expect(open).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('refuses what is not a ledger of ours', async () => {
    const directory = folder();
    const path = join(directory, 'l.db');
    expect(codeOf(() => readLedger(path))).toBe('LEDGER_NOT_FOUND');
    writeFileSync(path, 'not a database, but long enough to be looked at'.repeat(50));
    expect(codeOf(() => readLedger(path))).toBe('LEDGER_UNREADABLE');
    const other = join(directory, 'other.db');
    new Database(other).exec('CREATE TABLE entries (seq, body)').close();
    expect(codeOf(() => readLedger(other))).toBe('LEDGER_UNREADABLE');
  });

  it.each([
    ['a pipe', '', (path: string) => execFileSync('mkfifo', [path])],
    ['a folder', '', (path: string) => mkdirSync(path)],
    ['a link to itself', '', (path: string) => symlinkSync(path, path)],
    ['a pipe as its WAL', '-wal', (path: string) => execFileSync('mkfifo', [path])],
    ['a pipe as its journal', '-journal', (path: string) => execFileSync('mkfifo', [path])],
  ])('does not wait for %s', async (_, suffix, make) => {
    const path = join(folder(), 'l.db');
    if (suffix !== '') await openStore({ path, origin: 'example.com/log', signer: 'none' }).close();
    make(`${path}${suffix}`);
    expect(codeOf(() => readLedger(path))).toBe('LEDGER_UNREADABLE');
  });

  it('follows a link to a ledger', async () => {
    const directory = folder();
    const path = join(directory, 'l.db');
    await openStore({ path, origin: 'example.com/log', signer: 'none' }).close();
    symlinkSync(path, join(directory, 'link.db'));
    const reader = readLedger(join(directory, 'link.db'));
    expect(reader.origin).toBe('example.com/log');
    reader.close();
  });

  it.each([
    ['a view in place of a table', 'ALTER TABLE entries RENAME TO e; CREATE VIEW entries AS SELECT * FROM e'],
    ['another table', 'ALTER TABLE approvals ADD COLUMN extra TEXT'],
    ['a missing table', 'DROP TABLE openings'],
  ])('refuses %s', async (_, sql) => {
    const path = join(folder(), 'l.db');
    const store = openStore({ path, origin: 'example.com/log', signer: 'none' });
    await store.close();
    const database = new Database(path);
    database.exec(sql);
    database.close();
    expect(codeOf(() => readLedger(path))).toBe('LEDGER_UNREADABLE');
  });

  it.each(['', 'x', 'example.com/log\n1\nshort\n', 'a\u001b[2J\n1\nAAAA\n', 'a\n\nb\n\n'])('refuses the checkpoint %j', async (note) => {
    const path = join(folder(), 'l.db');
    await asked(openAt(path));
    const database = new Database(path);
    database.prepare('UPDATE checkpoints SET note = ?').run(note);
    database.close();
    const reader = readLedger(path);
    expect(codeOf(() => reader.head())).toBe('LEDGER_CORRUPT');
    reader.close();
  });
});

describe('checkDurability', () => {
  it('finds a reopened ledger at FULL and leaves nothing behind', () => {
    const directory = folder();
    expect(checkDurability(directory)).toMatchObject({ synchronous: 2, journal: 'wal' });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('an approval that was answered by an edit', () => {
  async function edited(path: string): Promise<string> {
    const store = openAt(path);
    const id = await asked(store);
    const policy = definePolicy({ id: 'ask', version: '1', evaluate: () => ({ effect: 'require_approval', reason: 'because' }) });
    const guard = createGuard({ agent: 'bot', policy, store });
    await guard.approvals.resolve(id, { decision: 'edit', args: { a: 2 }, message: 'less' }, { id: 'ana', method: 'page' });
    return id;
  }

  it('is shown with what was proposed, and agrees with the ledger', async () => {
    const path = join(folder(), 'l.db');
    const id = await edited(path);
    const reader = readLedger(path);
    expect(reader.approval(id)).toMatchObject({ state: 'denied', shown: { a: 1 }, edit: { a: 2 }, message: 'less', mismatches: [] });
    reader.close();
  });

  it.each([
    ['edit', `UPDATE openings SET sections = replace(sections, '"a":2', '"a":3')`],
    ['message', `UPDATE openings SET sections = replace(sections, 'less', 'more')`],
    ['answers', `UPDATE approvals SET answers = replace(answers, ',"edited":true', '')`],
    ['answers', `UPDATE approvals SET answers = '{"length":1}'`],
    ['answers', `UPDATE approvals SET answers = '[null]'`],
    ['answers', `UPDATE approvals SET answers = '["x"]'`],
  ])('is told apart from one whose %s was changed: %s', async (what, sql) => {
    const path = join(folder(), 'l.db');
    const id = await edited(path);
    const database = new Database(path);
    expect(database.prepare(sql).run().changes).toBeGreaterThan(0);
    database.close();
    const reader = readLedger(path);
    expect(reader.approval(id)?.mismatches).toEqual([what]);
    // One such row must not keep the others from being listed.
    expect(reader.approvals({ limit: 10 })).toHaveLength(1);
    reader.close();
  });
});
