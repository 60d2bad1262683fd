import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createGuard, rulePolicy } from '@countersign/core';
import Database from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { openLedger } from '../../../core/test/fixtures/ledger.ts';
import { writeScenario } from '../../../core/test/verify/scenario.ts';
import { detailRows } from '../../src/entry-details.ts';
import { calls, folder, json, project, run } from '../harness.ts';

const EVIL = '\u001b[2J\u202epay\u200b';
const COLOURS = /\u001b\[\d+m/g;
let ledger: string;

beforeAll(async () => {
  ledger = (await writeScenario()).path;
});

interface Line {
  readonly index: number;
  readonly kind: string;
  readonly call: string | null;
  readonly hits: readonly { readonly in: string; readonly pointer: string; readonly match: string }[];
}

async function found(argv: readonly string[]): Promise<readonly Line[]> {
  const ran = await run(['search', ledger, ...argv]);
  expect(ran.code, ran.stderr).toBe(0);
  return ran.stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

describe('search', () => {
  it('finds a text in arguments and says where it stands', async () => {
    const lines = await found(['--query', 'Q2.CSV']);
    expect(lines.map(({ kind, hits }) => [kind, hits])).toEqual([
      ['decision', [{ in: 'args', pointer: '/path', before: '/srv/', match: 'q2.csv', after: '' }]],
    ]);
  });

  it('finds errors, reasons, messages, results and the entry itself', async () => {
    expect((await found(['--query', 'on fire']))[0]).toMatchObject({ kind: 'outcome', hits: [{ in: 'error' }] });
    expect((await found(['--query', 'not this one', '--in', 'reason']))[0]).toMatchObject({ hits: [{ in: 'reason', pointer: '' }] });
    expect((await found(['--query', 'NOT TODAY', '--in', 'message,reason'])).length).toBeGreaterThan(0);
    expect((await found(['--query', 'refund', '--in', 'entry']))[0]).toMatchObject({
      hits: [{ pointer: '/budgets/1/id' }, { pointer: '/budgets/1/key' }, { in: 'entry', pointer: '/tool/name' }],
    });
    expect(await found(['--query', 'on fire', '--in', 'args,result'])).toEqual([]);
  });

  it('cannot find a secret that was redacted', async () => {
    expect(await found(['--query', 'sk-live-0123456789abcdef'])).toEqual([]);
    expect((await found(['--query', 'redacted:'])).length).toBeGreaterThan(0);
  });

  it('keeps to a time, stops at its limit, and says so', async () => {
    expect(await found(['--query', 'billing', '--since', '1s', '--in', 'entry'])).toEqual([]);
    const ran = await run(['search', ledger, '--query', 'billing', '--limit', '2', '--json']);
    expect(json(ran)).toMatchObject({ count: 2, limited: true });
    expect(ran.stderr).toContain('stopped after 2 entries');
  });

  it.each([40, 100])('on a terminal of %i columns shows lines that fit', async (columns) => {
    const ran = await run(['search', ledger, '--query', 'not'], { tty: true, columns });
    const plain = ran.stdout.replaceAll(COLOURS, '');
    expect(plain).toContain('not');
    for (const line of plain.trimEnd().split('\n').slice(0, -1)) expect(line.length).toBeLessThanOrEqual(columns);
    expect((await run(['search', ledger, '--query', 'nowhere at all'], { tty: true })).stdout).toBe('nothing found\n');
  });

  it.each([
    [[], 'search needs --query TEXT'],
    [['--query', 'x'.repeat(1001)], 'a query has 1 to 1000 characters'],
    [['--query', 'x', '--in', 'arg'], 'did you mean "args"?'],
    [['--query', 'x', '--in', '__proto__'], '--in: unknown'],
    [['--query', 'x', '--since', 'soon'], 'is no time'],
    [['--query', 'x', '--limit', '-1'], '--limit'],
    [['--query', 'x', '--tool', 'y'], 'unknown option "--tool"'],
  ])('refuses %j', async (argv, message) => {
    const ran = await run(['search', ledger, ...argv]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(message);
  });

  it('ends quietly when its reader leaves', async () => {
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' })),
    });
    expect(await run(['search', ledger, '--query', 'i'], { stdout })).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

it.each([['export'], ['filter'], ['search', '--query', 'read']])(
  '%s says that the last line of a file was cut off',
  async (verb, ...more) => {
    const cwd = folder();
    const whole = (await run(['export', ledger])).stdout;
    writeFileSync(join(cwd, 'torn.ndjson'), whole.slice(0, -30));
    const ran = await run([verb, 'torn.ndjson', ...more], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stderr).toMatch(/^countersign: entry \d+: the last line has no end .*; run `countersign verify`\n/);
    writeFileSync(join(cwd, 'whole.ndjson'), whole);
    expect((await run([verb, 'whole.ndjson', ...more], { cwd })).stderr).toBe('');
  },
);

describe('show', () => {
  async function call(): Promise<string> {
    const [line] = await found(['--query', 'b@example.com']);
    return String(line?.call);
  }

  it('tells a call from ask to outcome', async () => {
    const ran = await run(['show', ledger, await call()]);
    expect(ran.code).toBe(0);
    const words = ['A PERSON WAS ASKED billing: ask', 'APPROVED by finance', 'ALLOWED billing: ask', 'SUCCEEDED the call ended after'];
    const places = words.map((word) => ran.stdout.indexOf(word));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(ran.stdout).toContain('b@example.com');
    expect(ran.stdout).toContain('Nothing here is verified. `countersign verify` checks the ledger');
  });

  it('tells one entry, by number or by leaf', async () => {
    const byNumber = await run(['show', ledger, '1']);
    expect(byNumber.stdout).toMatch(/^entry 1 {2}key/);
    const leaf = /leaf +([0-9a-f]{64})/.exec(byNumber.stdout)?.[1] ?? '';
    expect((await run(['show', ledger, leaf])).stdout).toBe(byNumber.stdout);
  });

  it('names the tool of an outcome, which stands in its decision', async () => {
    const [outcome] = await found(['--query', 'on fire']);
    const ran = await run(['show', ledger, String((outcome?.index ?? 0) + 1)]);
    expect(ran.stdout).toContain('FAILED the call ended with an error (TypeError)');
    expect(ran.stdout).toMatch(/tool +broken/);
  });

  it('tells what was charged, which key, which entries were left open, and what a note says', async () => {
    const shown = async (kind: string, more: readonly string[] = []): Promise<string> => {
      const lines = (await run(['filter', ledger, '--kind', kind, ...more])).stdout.trimEnd().split('\n');
      const { index } = JSON.parse(lines.at(-1) ?? '') as Line;
      return (await run(['show', ledger, String(index + 1)])).stdout;
    };
    expect(await shown('decision', ['--tool', 'refund', '--effect', 'allow'])).toMatch(/charged +30 to refunds: 10 left of 100\n/);
    expect(await shown('key')).toMatch(/key +test\.example\/ledger\+[0-9a-f]{8}\+/);
    expect(await shown('recovery')).toMatch(/left open entry \d+\n/);
    expect(await shown('note')).toMatch(/topic +test\n +data +\{"text":"caf/);
  });

  it('names the entries whose clear text was erased', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file' }]);
    const number = 1 + (JSON.parse((await run(['filter', '--kind', 'decision'], { cwd })).stdout.split('\n')[0] ?? '') as Line).index;
    expect((await run(['forget', '--entry', String(number)], { cwd })).code).toBe(0);
    const forget = JSON.parse((await run(['filter', '--kind', 'forget'], { cwd })).stdout) as Line;
    expect((await run(['show', String(forget.index + 1)], { cwd })).stdout).toContain(`erased    entry ${number}\n`);
  });

  it('leaves out what a body says in another shape', async () => {
    const odd = [
      { kind: 'decision', budgets: [{ id: 'a', cost: '1', left: 1, limit: 1 }, null, 7, []], session_labels: [1] },
      { kind: 'forget', entries: { of: 1 } },
      { kind: 'recovery', open: [{ of: 1.5 }], from: -0.5, to: 'x' },
      { kind: 'key', vkey: { __proto__: null } },
    ];
    for (const body of odd) {
      const facts = { index: 0, leaf: '', shown: new Map(), body, kind: body.kind };
      expect(detailRows(facts as unknown as Parameters<typeof detailRows>[0])).toEqual([]);
    }
  });

  it('says what is not there', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file' }]);
    const database = new Database(join(cwd, '.countersign/ledger.db'));
    database.exec('DELETE FROM openings');
    database.close();
    const [decision] = (await run(['filter', '--kind', 'decision'], { cwd })).stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    const ran = await run(['show', String((decision?.index ?? 0) + 1)], { cwd });
    expect(ran.stdout).toContain('not here: args (committed to, withheld or erased)');
  });

  it('as --json holds the entries as they are stored, and says that nothing is verified', async () => {
    const shown = json(await run(['show', ledger, await call(), '--json']));
    expect(Object.keys(shown)).toEqual(['verified', 'entries']);
    expect(shown['verified']).toBe(false);
    const filtered = await run(['filter', ledger, '--call', await call()]);
    expect(shown['entries']).toEqual(
      filtered.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
  });

  it.each([30, 80])('fits a terminal of %i columns, and cannot act on it', async (columns) => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file', args: { [EVIL]: `${EVIL} ${'long '.repeat(50)}${'x'.repeat(300)}` } }]);
    const [line] = (await run(['search', '--query', 'long'], { cwd })).stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text) as Line);
    const ran = await run(['show', String((line?.index ?? 0) + 1)], { cwd, tty: true, columns });
    const plain = ran.stdout.replaceAll(COLOURS, '');
    expect(plain).not.toBe(ran.stdout);
    expect(plain.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    for (const each of plain.split('\n')) expect(each.length).toBeLessThanOrEqual(columns);
    expect(plain.replaceAll(/\s/g, '')).toContain('x'.repeat(300));
  });

  it.each([
    ['99999', 1, 'there is no entry 99999; this ledger has'],
    ['f'.repeat(64), 1, 'no entry has that leaf hash'],
    ['__proto__', 1, '[ENTRY_NOT_FOUND]'],
    ['0', 2, 'from 1 on'],
  ])('says so when there is no %s', async (wanted, code, message) => {
    const ran = await run(['show', ledger, wanted]);
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toContain(message);
  });

  it('needs an entry, and takes one', async () => {
    expect((await run(['show'], { cwd: folder() })).stderr).toContain('show needs <entry>');
    expect((await run(['show', 'a', 'b', 'c'])).stderr).toContain('unexpected argument "c"');
  });
});

it('show and filter tell what rules on results made of a result', async () => {
  const path = join(folder(), 'ledger.db');
  const rules = [{ id: 'no-orders', on: 'result', tools: ['*'], effect: 'withhold' }] as const;
  for (const mode of ['enforce', 'audit'] as const) {
    const store = openLedger(path);
    const guard = createGuard({ agent: 'a', session: mode, mode, store, policy: rulePolicy({ id: 'p', default: 'allow', rules }) });
    await guard.run({ tool: { name: 'read' }, args: {} }, () => 'page');
    await guard.close();
    await store.close();
  }
  const list = (await run(['filter', path], { tty: true, columns: 200 })).stdout.replaceAll(COLOURS, '');
  expect(list).toMatch(/outcome +success .*result withheld/);
  expect(list).toMatch(/outcome +success .*result released as it was; policy said withhold/);
  const number =
    list
      .split('\n')
      .find((line) => line.includes('result withheld'))
      ?.trim()
      .split(' ')[0] ?? '';
  const shown = (await run(['show', path, number], { tty: true, columns: 200 })).stdout.replaceAll(COLOURS, '');
  expect(shown).toMatch(/result +withheld/);
  expect(shown).toMatch(/rule +no-orders/);
});
