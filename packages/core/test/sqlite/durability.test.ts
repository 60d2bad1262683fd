import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { allowAll, type Guard } from '../../src/index.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { openForWriting } from '../../src/sqlite/database.ts';
import { type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import {
  guardOn,
  inlineConnection,
  LEDGER_PEM,
  ORIGIN,
  openLedger,
  tempDirectory,
  testPolicy,
  writesOnThread,
} from '../fixtures/ledger.ts';

const hasStrace = spawnSync('strace', ['-V']).status === 0;
if (!hasStrace)
  console.warn('SKIPPED: strace is not installed, so fsyncs are not counted and no fsync error is injected (apt-get install strace)');

const open: SqliteStore[] = [];
afterEach(async () => {
  for (const store of open.splice(0)) await store.close().catch(() => {});
});
function ledger(path: string, options: Parameters<typeof openLedger>[1] = {}): SqliteStore {
  const store = openLedger(path, options);
  open.push(store);
  return store;
}
const tool = vi.fn(() => 'ran');
const attempt = (guard: Guard): Promise<unknown> => guard.run({ tool: { name: 'read' }, args: {} }, tool).catch((error: unknown) => error);
const refusedAs = (reasonCode: string) => ({ code: 'CALL_REFUSED', refusal: { decision: { reasonCode } } });

describe('durability', () => {
  it('sets synchronous=FULL on a reopened file too, where better-sqlite3 would leave it at NORMAL', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    await ledger(path).close();
    const plain = new Sqlite(path);
    expect(plain.pragma('synchronous', { simple: true })).toBe(1);
    plain.close();
    const { database } = openForWriting(path, false);
    expect(database.pragma('synchronous', { simple: true })).toBe(2);
    database.close();
  });

  it('creates the ledger for its owner only', () => {
    const path = join(tempDirectory(), 'ledger.db');
    ledger(path);
    for (const file of [path, `${path}-wal`]) expect(statSync(file).mode & 0o077).toBe(0);
  });

  it.skipIf(!hasStrace)(
    'fsyncs at least once per acknowledged call on a reopened ledger, and a failing fsync runs no tool',
    { timeout: 60_000 },
    () => {
      const directory = tempDirectory();
      const path = join(directory, 'ledger.db');
      const worker = new URL('../fixtures/crash-worker.ts', import.meta.url).pathname;
      const run = (strace: string[], effects: string, calls: number) =>
        spawnSync(
          'strace',
          [
            '-f',
            '-qq',
            ...strace,
            process.execPath,
            '--conditions=@countersign/source',
            '--no-warnings',
            worker,
            path,
            join(directory, effects),
            Buffer.from(LEDGER_PEM).toString('base64'),
            's',
            String(calls),
          ],
          {
            encoding: 'utf8',
            env: { ...process.env, NODE_OPTIONS: '' },
          },
        );
      run([], 'first', 1);
      const trace = join(directory, 'trace');
      run(['-e', 'trace=fsync,fdatasync', '-o', trace], 'second', 20);
      const ran = readFileSync(join(directory, 'second'), 'utf8').split('\n').length - 1;
      expect(ran).toBe(20);
      const syncs = readFileSync(trace, 'utf8')
        .split('\n')
        .filter((line) => /f(data)?sync\(/.test(line)).length;
      // Three lanes share commits, so at least one sync for every three calls; NORMAL would show none.
      expect(syncs).toBeGreaterThanOrEqual(Math.ceil(ran / 3));

      run(['-e', 'inject=fsync,fdatasync:error=EIO:when=12+'], 'third', 200);
      const after = existsSync(join(directory, 'third')) ? readFileSync(join(directory, 'third'), 'utf8').split('\n').length - 1 : 0;
      expect(after).toBeLessThan(200);
      const reader = new Sqlite(path, { readonly: true });
      const bodies = reader.prepare<[], string>('SELECT body FROM entries').pluck().all();
      reader.close();
      const third = existsSync(join(directory, 'third')) ? readFileSync(join(directory, 'third'), 'utf8').split('\n').filter(Boolean) : [];
      for (const callId of third) expect(bodies.some((body) => body.includes(callId) && body.includes('"effect":"allow"'))).toBe(true);
    },
  );
});

describe('a ledger that cannot be written: the tool never runs', () => {
  it.each<[string, (path: string) => void, string]>([
    ['a directory in its place', (path) => mkdirSync(path), 'LEDGER_UNREADABLE'],
    ['its parent missing', () => {}, 'LEDGER_UNREADABLE'],
    [
      'some other file',
      (path) => writeFileSync(path, 'not a database at all, but long enough to be looked at '.repeat(40)),
      'LEDGER_UNREADABLE',
    ],
    [
      'another SQLite database',
      (path) => {
        const other = new Sqlite(path);
        other.exec('CREATE TABLE t (a)');
        other.close();
      },
      'LEDGER_UNREADABLE',
    ],
  ])('%s: refuses to open', (what, make, code) => {
    const path = what === 'its parent missing' ? join(tempDirectory(), 'no', 'such', 'ledger.db') : join(tempDirectory(), 'ledger.db');
    make(path);
    expect(() => ledger(path)).toThrow(expect.objectContaining({ code }));
  });

  it.each(['', 'ab', 'not hex at all', 'ab'.repeat(33)])('a secret that is none, "%s": refuses to open', async (secret) => {
    const path = join(tempDirectory(), 'ledger.db');
    await ledger(path).close();
    const raw = new Sqlite(path);
    raw.prepare("UPDATE meta SET value = ? WHERE key = 'secret'").run(secret);
    raw.close();
    expect(() => ledger(path)).toThrow(expect.objectContaining({ code: 'LEDGER_UNREADABLE' }));
  });

  it('another version: refuses to open', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    await ledger(path).close();
    const raw = new Sqlite(path);
    raw.pragma('user_version = 7');
    raw.close();
    expect(() => ledger(path)).toThrow(expect.objectContaining({ code: 'LEDGER_VERSION' }));
  });

  it('another key, another origin, no key: refuses to open', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    await ledger(path).close();
    const other = signerFromPem(generateKey(ORIGIN).privatePem, ORIGIN);
    expect(() => ledger(path, { signer: other })).toThrow(expect.objectContaining({ code: 'KEY_MISMATCH' }));
    expect(() => ledger(path, { signer: 'none' })).toThrow(expect.objectContaining({ code: 'KEY_MISMATCH' }));
    expect(() => ledger(path, { origin: 'other.example/log', signer: signerFromPem(LEDGER_PEM, 'other.example/log') })).toThrow(
      expect.objectContaining({ code: 'KEY_MISMATCH' }),
    );
  });

  it('unlinked or replaced while open', async () => {
    for (const spoil of [
      (path: string) => rmSync(path),
      (path: string) => renameSync(path, `${path}.moved`),
      (path: string) => {
        copyFileSync(path, `${path}.copy`);
        renameSync(`${path}.copy`, path);
      },
      (path: string) => rmSync(`${path}-wal`),
    ]) {
      tool.mockClear();
      const path = join(tempDirectory(), 'ledger.db');
      const guard = guardOn(ledger(path), { policy: allowAll() });
      expect(await attempt(guard)).toBe('ran');
      spoil(path);
      tool.mockClear();
      expect(await attempt(guard)).toMatchObject(refusedAs('LEDGER_WRITE_FAILED_DECISION'));
      expect(await attempt(guard)).toMatchObject(refusedAs('LEDGER_WRITE_FAILED_DECISION'));
      expect(tool).not.toHaveBeenCalled();
    }
  });

  it('its whole folder moved away', async () => {
    const directory = tempDirectory();
    const path = join(directory, 'in', 'ledger.db');
    const guard = guardOn(ledger(path));
    renameSync(join(directory, 'in'), join(directory, 'out'));
    tool.mockClear();
    expect(await attempt(guard)).toMatchObject(refusedAs('LEDGER_WRITE_FAILED_DECISION'));
    expect(tool).not.toHaveBeenCalled();
  });

  // On a thread: `worker-writer.test.ts`.
  it.skipIf(writesOnThread())('full: refused while there is no room, and working again once there is', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    const guard = guardOn(store);
    expect(await attempt(guard)).toBe('ran');
    const { database } = inlineConnection(store);
    database.pragma(`max_page_count = ${Number(database.pragma('page_count', { simple: true }))}`);
    tool.mockClear();
    const answers: unknown[] = [];
    for (let i = 0; i < 40; i++) answers.push(await attempt(guard));
    const refused = answers.filter((answer) => answer !== 'ran');
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) expect(answer).toMatchObject(refusedAs('LEDGER_WRITE_FAILED_DECISION'));
    expect(tool.mock.calls).toHaveLength(answers.length - refused.length);
    // The limit belonged to the broken connection: the reopened one, after its back-off, has none.
    await vi.waitFor(async () => expect(await attempt(guard)).toBe('ran'), { timeout: 20_000, interval: 50 });
  });

  it('locked past the deadline', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const guard = guardOn(ledger(path, { queue: { deadlineMs: 100 } }), { policy: allowAll() });
    expect(await attempt(guard)).toBe('ran');
    const locker = new Sqlite(path);
    locker.exec('BEGIN IMMEDIATE');
    tool.mockClear();
    expect(await attempt(guard)).toMatchObject(refusedAs('LEDGER_WRITE_FAILED_DECISION'));
    expect(tool).not.toHaveBeenCalled();
    locker.exec('ROLLBACK');
    locker.close();
    expect(await attempt(guard)).toBe('ran');
  });

  it('a full queue refuses instead of waiting', async () => {
    const guard = guardOn(ledger(join(tempDirectory(), 'ledger.db'), { queue: { maxQueue: 4 } }), { policy: allowAll() });
    expect(await attempt(guard)).toBe('ran');
    tool.mockClear();
    const answers = await Promise.all(Array.from({ length: 50 }, () => attempt(guard)));
    const refused = answers.filter((answer) => answer !== 'ran');
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) expect(answer).toMatchObject(refusedAs('LEDGER_QUEUE_FULL'));
    expect(tool.mock.calls).toHaveLength(answers.length - refused.length);
  });

  it.skipIf(process.platform === 'win32')('read-only to its user', () => {
    const directory = tempDirectory();
    const path = join(directory, 'ledger.db');
    const effects = join(directory, 'effects');
    const worker = new URL('../fixtures/crash-worker.ts', import.meta.url).pathname;
    ledger(path);
    chmodSync(directory, 0o755);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) chmodSync(file, 0o444);
    writeFileSync(effects, '', { mode: 0o666 });
    chmodSync(effects, 0o666);
    // Root may write anything: as root the worker becomes nobody first.
    const asUser = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const result = spawnSync(
      process.execPath,
      ['--conditions=@countersign/source', '--no-warnings', worker, path, effects, Buffer.from(LEDGER_PEM).toString('base64'), 's', '5'],
      {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] ?? '', COUNTERSIGN_STATE_DIR: join(directory, 'state') },
        ...asUser,
      },
    );
    expect(result.status).not.toBe(0);
    expect(readFileSync(effects, 'utf8')).toBe('');
  });

  it('rolled back: an old copy, an emptied file or a missing one is not taken up', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const first = ledger(path);
    await attempt(guardOn(first));
    await first.close();
    copyFileSync(path, `${path}.old`);
    const second = ledger(path);
    for (let i = 0; i < 3; i++) await attempt(guardOn(second));
    await second.close();

    copyFileSync(`${path}.old`, path);
    expect(() => ledger(path)).toThrow(expect.objectContaining({ code: 'LEDGER_ROLLED_BACK' }));
    writeFileSync(path, '');
    expect(() => ledger(path)).toThrow(expect.objectContaining({ code: 'LEDGER_ROLLED_BACK' }));
    rmSync(path);
    expect(() => ledger(path)).toThrow(expect.objectContaining({ code: 'LEDGER_ROLLED_BACK' }));
  });
});

describe('a ledger edited behind our back', () => {
  it('an edited, added or removed entry stops the writer', async () => {
    const spoils: [string, string[]][] = [
      ['an edited body', ['DROP TRIGGER entries_no_update', `UPDATE entries SET body = replace(body, '"allow"', '"deny"') WHERE seq = 3`]],
      ['an added entry', [`INSERT INTO entries (seq, leaf, body) SELECT max(seq) + 1, leaf, body FROM entries`]],
      ['a removed entry', ['DROP TRIGGER entries_no_delete', 'DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)']],
      ['a checkpoint of another size', ['UPDATE checkpoints SET size = size + 1']],
    ];
    for (const [, statements] of spoils) {
      const path = join(tempDirectory(), 'ledger.db');
      const store = ledger(path);
      await attempt(guardOn(store));
      await store.close();
      const raw = new Sqlite(path);
      for (const statement of statements) raw.exec(statement);
      raw.close();
      expect(() => ledger(path)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    }
  });

  it('rows say nothing: an approval written into the tables is not an approval', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    const guard = guardOn(store);
    const call = { tool: { name: 'ask' }, args: { amount: 1 }, id: 'c1' };
    const pending = await guard.authorize(call, { approval: 'suspend' });
    expect(pending.kind).toBe('pending');
    const raw = new Sqlite(path);
    const ask = raw.prepare('SELECT ask_of, ask_leaf FROM approvals').get() as { ask_of: number; ask_leaf: string };
    const answers = JSON.stringify([{ of: ask.ask_of, leaf: ask.ask_leaf, approver: 'alice', answer: 'approve' }]);
    raw.prepare(`UPDATE approvals SET state = 'approved', answers = ?`).run(answers);
    raw.close();
    tool.mockClear();
    await expect(guard.run(call, tool)).rejects.toMatchObject(refusedAs('APPROVAL_FORGED'));
    expect(tool).not.toHaveBeenCalled();
  });

  it('an approval that was used stays used, whatever its row says', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    const guard = guardOn(store);
    const call = { tool: { name: 'ask' }, args: { amount: 1 }, id: 'c1' };
    await guard.authorize(call, { approval: 'suspend' });
    const [row] = await guard.approvals.list();
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
    const before = new Sqlite(path, { readonly: true }).prepare('SELECT * FROM calls').get() as { bind_key: string };
    const permit = await guard.authorize(call, { approval: 'suspend' });
    expect(permit.kind).toBe('permit');
    if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
    const raw = new Sqlite(path);
    raw.exec(`UPDATE approvals SET state = 'approved'`);
    raw
      .prepare(`UPDATE calls SET state = 'asked', outcome_of = NULL, outcome_leaf = NULL, status = NULL, bind_key = ?`)
      .run(before.bind_key);
    raw.close();
    expect(await guard.authorize(call, { approval: 'suspend' })).toMatchObject({
      kind: 'refusal',
      decision: { reasonCode: 'APPROVAL_ALREADY_USED' },
    });
  });

  it('an approval entry written by somebody without the ledger key stops the writer', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    const guard = guardOn(store);
    const call = { tool: { name: 'ask' }, args: { amount: 1 }, id: 'c1' };
    await guard.authorize(call, { approval: 'suspend' });
    const stranger = signerFromPem(generateKey(ORIGIN).privatePem, ORIGIN);
    expect(() => ledger(path, { signer: stranger })).toThrow(expect.objectContaining({ code: 'KEY_MISMATCH' }));
    const raw = new Sqlite(path);
    const {
      binds,
      call: callId,
      ask_of,
      ask_leaf,
      id,
      expires_at,
    } = raw.prepare('SELECT * FROM approvals').get() as Record<string, string | number>;
    const forged = {
      kind: 'approval',
      agent: 'tester',
      session: 's1',
      call: callId,
      approval: id,
      ask: { of: ask_of, leaf: ask_leaf },
      answer: 'approve',
      approver: { id: 'alice', method: 'host', assurance: 'medium' },
      binds,
      expires_at,
      v: 1,
      id_: 1,
      at: Date.now(),
      writer: 'x',
    };
    raw.prepare('INSERT INTO entries (seq, leaf, body) SELECT max(seq) + 1, leaf, ? FROM entries').run(JSON.stringify(forged));
    raw.exec(`UPDATE approvals SET state = 'approved'`);
    raw.close();
    tool.mockClear();
    await expect(guard.run(call, tool)).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    expect(tool).not.toHaveBeenCalled();
  });
});

describe('rows that were edited are not signed into the ledger', () => {
  it('an answer binds what the ask in the tree says, and a row that points elsewhere takes none', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    const guard = guardOn(store);
    const call = { tool: { name: 'ask' }, args: { amount: 1 }, id: 'c1' };
    await guard.authorize(call, { approval: 'suspend' });
    const [row] = await guard.approvals.list();
    const raw = new Sqlite(path);
    raw.exec(`UPDATE approvals SET binds = 'ff', expires_at = expires_at + 999, quorum = 0`);
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
    expect((await guard.authorize(call, { approval: 'suspend' })).kind).toBe('permit');

    await guard.authorize({ ...call, id: 'c2' }, { approval: 'suspend' });
    raw.exec(`UPDATE approvals SET ask_of = ask_of - 1 WHERE state = 'pending'`);
    raw.close();
    const [second] = await guard.approvals.list({ state: 'pending' });
    await expect(guard.approvals.resolve(second?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' })).rejects.toMatchObject(
      {
        code: 'APPROVAL_NOT_FOUND',
      },
    );
    await store.close();
    expect(await verifyLedger(path)).toMatchObject({ status: 'valid', problems: [] });
  });

  it('a forged mark does not keep a policy out, and a forged row is named by no recovery', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    const raw = new Sqlite(path);
    raw.prepare('INSERT INTO marks (name, seq, leaf) VALUES (?, 0, ?)').run(`policy:${testPolicy.hash}`, 'a'.repeat(64));
    await guardOn(store).authorize({ tool: { name: 'read' }, args: {} });
    raw.exec(`UPDATE calls SET writer = 'gone', decision_leaf = 'bb'`);
    raw.close();
    await store.close();
    await ledger(path).close();
    expect(await verifyLedger(path)).toMatchObject({ status: 'valid', problems: [] });
  });
});
