import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import Database from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeScenario } from '../../../core/test/verify/scenario.ts';
import { calls, folder, json, project, type RunOptions, run } from '../harness.ts';

interface Line {
  readonly index: number;
  readonly leaf: string;
  readonly entry: Readonly<Record<string, unknown>> & { readonly kind: string };
  readonly opening?: unknown;
}

const EVIL = '\u001b[2J\u202epay\u200b';
const LEDGER = '.countersign/ledger.db';
let ledger: string;
let all: readonly Line[];

beforeAll(async () => {
  ledger = (await writeScenario()).path;
  all = await lines([]);
});

async function lines(argv: readonly string[], options: RunOptions = {}): Promise<readonly Line[]> {
  const ran = await run(['filter', ledger, ...argv], options);
  expect(ran.code, ran.stderr).toBe(0);
  return ran.stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

const kinds = (found: readonly Line[]): readonly string[] => [...new Set(found.map(({ entry }) => entry.kind))].toSorted();

describe('filter', () => {
  it('without a filter gives every entry, as an export does but without a header', async () => {
    const exported = (await run(['export', ledger])).stdout.split('\n').slice(1).join('\n');
    expect((await run(['filter', ledger])).stdout).toBe(exported);
    expect(all.length).toBeGreaterThan(40);
    expect(kinds(all)).toEqual(expect.arrayContaining(['approval', 'decision', 'key', 'outcome', 'policy', 'session']));
  });

  it('gives the whole story of a call', async () => {
    const approval = all.find(({ entry }) => entry.kind === 'approval');
    const id = String(approval?.entry['call']);
    for (const option of ['--call', '--request-id']) {
      const found = await lines([option, id]);
      expect(found.every(({ entry }) => entry['call'] === id)).toBe(true);
      expect(found.map(({ entry }) => [entry.kind, entry['effect']])).toEqual([
        ['decision', 'require_approval'],
        ['approval', undefined],
        ['decision', 'allow'],
        ['outcome', undefined],
      ]);
    }
  });

  it('lets approvals and outcomes follow their decision', async () => {
    const asked = await lines(['--tool', 'ask', '--kind', 'approval']);
    expect(asked.length).toBeGreaterThan(0);
    for (const effect of ['allow', 'deny', 'require_approval']) {
      const found = await lines(['--effect', effect]);
      const chosen = new Set(found.flatMap(({ index, entry }) => (entry.kind === 'decision' ? [index] : [])));
      expect(chosen.size).toBeGreaterThan(0);
      for (const { entry } of found) {
        if (entry.kind === 'decision') expect(entry['effect']).toBe(effect);
        const of = (entry['decision'] ?? entry['ask']) as { of: number } | undefined;
        if (entry.kind !== 'decision') expect(chosen).toContain(of?.of);
      }
      expect(kinds(found)).toEqual(
        effect === 'allow' ? ['decision', 'outcome'] : effect === 'deny' ? ['decision'] : ['approval', 'decision'],
      );
    }
  });

  it.each([
    ['--agent', 'billing', 'agent'],
    ['--session', 's1', 'session'],
    ['--reason-code', 'APPROVAL_DENIED', 'reason_code'],
    ['--kind', 'policy', 'kind'],
  ])('%s %s compares the whole value', async (option, value, field) => {
    const found = await lines([option, value]);
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter(({ entry }) => entry.kind === 'decision' || field === 'kind').every(({ entry }) => entry[field] === value)).toBe(
      true,
    );
    if (field !== 'kind') expect(await lines([option, value.slice(0, -1)])).toEqual([]);
  });

  it('takes names that mean something to JavaScript or to a pattern as text', async () => {
    for (const name of ['__proto__', 'constructor', '.*', '%'])
      for (const option of ['--agent', '--session', '--call', '--reason-code']) expect(await lines([option, name])).toEqual([]);
  });

  it('gives entries from a time on and before another', async () => {
    const times = all.map(({ entry }) => Number(entry['at']));
    const middle = times[Math.floor(times.length / 2)] ?? 0;
    const at = new Date(middle).toISOString();
    const own = (found: readonly Line[]): readonly Line[] => found.filter(({ entry }) => !['outcome', 'approval'].includes(entry.kind));
    const [later, earlier] = [own(await lines(['--since', at])), own(await lines(['--until', at]))];
    expect(later.every(({ entry }) => Number(entry['at']) >= middle)).toBe(true);
    expect(earlier.every(({ entry }) => Number(entry['at']) < middle)).toBe(true);
    expect(later.length + earlier.length).toBe(own(all).length);
    expect(Math.min(later.length, earlier.length)).toBeGreaterThan(0);
    expect(await lines(['--since', '1s', '--kind', 'decision'])).toEqual([]);
  });

  it('stops at its limit and says so', async () => {
    const ran = await run(['filter', ledger, '--limit', '3']);
    expect(ran.stdout.trimEnd().split('\n')).toHaveLength(3);
    expect(ran.stderr).toContain('stopped after 3 entries (--limit); there are more');
    const exact = await run(['filter', ledger, '--limit', String(all.length)]);
    expect(exact.stderr).toBe('');
  });

  it('leaves the clear text out on request', async () => {
    expect(all.some(({ opening }) => opening !== undefined)).toBe(true);
    expect((await lines(['--no-openings'])).every(({ opening }) => opening === undefined)).toBe(true);
  });

  it('as --json is one document', async () => {
    const document = json(await run(['filter', ledger, '--kind', 'outcome', '--json', '--limit', '2']));
    expect(Object.keys(document)).toEqual(['entries', 'count', 'limited']);
    expect(document).toMatchObject({ count: 2, limited: true });
    const found = await lines(['--kind', 'outcome', '--limit', '2']);
    expect(document['entries']).toEqual(found);
    expect(json(await run(['filter', ledger, '--agent', 'nobody', '--json']))).toEqual({ entries: [], count: 0, limited: false });
  });

  it('writes a file whole, and replaces none unasked', async () => {
    const cwd = folder();
    const ran = await run(['filter', ledger, '--kind', 'decision', '--output', 'out.ndjson', '--json'], { cwd });
    const path = join(cwd, 'out.ndjson');
    expect(json(ran)).toMatchObject({ output: path, limited: false });
    expect(readFileSync(path, 'utf8')).toBe((await run(['filter', ledger, '--kind', 'decision'])).stdout);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileSync(path, 'mine');
    expect((await run(['filter', ledger, '--output', 'out.ndjson'], { cwd })).stderr).toContain('[FILE_EXISTS]');
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });

  it.each([40, 80, 200])('on a terminal of %i columns is a table that fits, in colours', async (columns) => {
    const ran = await run(['filter', ledger], { tty: true, columns });
    expect(ran.code).toBe(0);
    const plain = ran.stdout.replaceAll(/\u001b\[\d+m/g, '');
    expect(plain).not.toBe(ran.stdout);
    const rows = plain.trimEnd().split('\n').slice(0, -1);
    expect(rows).toHaveLength(all.length);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(columns);
    if (columns >= 80) expect(plain).toMatch(/decision +DENY no-way {2}POLICY_DENY_HIGH_RISK/);
    expect((await run(['filter', ledger, '--agent', 'nobody'], { tty: true })).stdout).toBe('no entry matches\n');
  });

  it.each([
    [['--call', 'a', '--request-id', 'b'], 'mean the same'],
    [['--effect', 'alow'], 'did you mean "allow"?'],
    [['--kind', 'decisions'], 'did you mean "decision"?'],
    [['--tool', '**'], '"**" is not known'],
    [['--tool', '[a]'], 'the only wildcard'],
    [['--since', 'yesterday'], '--since "yesterday" is no time'],
    [['--until', '2026-02-30'], '--until "2026-02-30" is no time'],
    [['--since', '1h', '--until', '2h'], '--since is not before --until'],
    [['--limit', '0'], '--limit must be a whole number'],
    [['--limit', '1e3'], '--limit must be a whole number'],
    [['--agent', 'a', '--agent', 'b'], 'may be given once'],
  ])('refuses %j', async (argv, message) => {
    const ran = await run(['filter', ledger, ...argv]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(message);
    expect(ran.stderr).toContain('[USAGE]');
  });

  it.each([
    ['nowhere.db', 'LEDGER_NOT_FOUND'],
    ['.', 'LEDGER_UNREADABLE'],
  ])('cannot read %s', async (path, code) => {
    const ran = await run(['filter', path, '--json'], { cwd: folder() });
    expect(ran.code).toBe(4);
    expect(json(ran)).toMatchObject({ error: { code } });
  });

  it('ends quietly when its reader leaves', async () => {
    let written = 0;
    const stdout = new Writable({
      write(_chunk, _encoding, done) {
        written++;
        done(written > 1 ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }) : null);
      },
    });
    expect(await run(['filter', ledger], { stdout })).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(written).toBeLessThan(5);
  });
});

describe('a tampered ledger', () => {
  async function tampered(change: (database: Database.Database) => void): Promise<string> {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file', args: { path: EVIL } }, {}]);
    const database = new Database(join(cwd, LEDGER));
    database.exec('DROP TRIGGER entries_no_update');
    change(database);
    database.exec(`CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END`);
    database.close();
    return cwd;
  }

  it('keeps every text inside its own line, and shows what is no entry', async () => {
    const cwd = await tampered((database) => {
      const write = database.prepare('UPDATE entries SET body = ? WHERE seq = ?');
      write.run('{}}\n{"index":99,"entry":{}', 0);
      write.run(`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 1);
      write.run('x'.repeat(1_048_577), 2);
      write.run(JSON.stringify({ kind: EVIL, at: 1e300, agent: 7, tool: [], effect: { a: 1 } }), 3);
      database.prepare('UPDATE openings SET sections = ?').run('[1');
    });
    const ran = await run(['filter'], { cwd });
    const found = ran.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(found.map(({ index }) => index)).toEqual(found.map((_, index) => index));
    expect(found[0]).toMatchObject({ text: '{}}\n{"index":99,"entry":{}' });
    expect(found[2]).toMatchObject({ text: '', unreadable: expect.stringContaining('1048577 bytes') });
    const unreadable = await run(['filter', '--kind', 'unreadable'], { cwd });
    expect(unreadable.stdout.trimEnd().split('\n')).toHaveLength(3);
    const shown = await run(['filter'], { cwd, tty: true });
    expect(shown.stdout.replaceAll(/\u001b\[\d+m/g, '').replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(shown.stdout).toContain('this is no entry');
  });

  it('is not read when its tables only look like ours', async () => {
    const cwd = await tampered((database) => {
      database.exec('ALTER TABLE entries RENAME TO hidden; CREATE VIEW entries AS SELECT * FROM hidden; CREATE TABLE x (a)');
      database.exec('CREATE TABLE t (a); DROP TABLE t');
      database.exec('DROP VIEW entries; CREATE TABLE entries (seq, leaf, body)');
    });
    const ran = await run(['filter'], { cwd });
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    expect(ran.stderr).toContain('[LEDGER_UNREADABLE]');
  });

  it('cannot choose an outcome by a decision that stands behind it', async () => {
    const cwd = await tampered((database) => {
      const last = database.prepare('SELECT max(seq) AS seq FROM entries').get() as { seq: number };
      const body = { kind: 'outcome', call: 'c', decision: { of: last.seq + 5 } };
      database.prepare('UPDATE entries SET body = ? WHERE seq = ?').run(JSON.stringify(body), last.seq);
    });
    const ran = await run(['filter', '--agent', 'bot', '--kind', 'outcome'], { cwd });
    expect(ran.stdout.split('\n').filter((line) => line.includes('"call":"c"'))).toEqual([]);
  });
});
