/** The verbs that read work on every container alike. */
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeScenario } from '../../../core/test/verify/scenario.ts';
import { folder, json, run } from '../harness.ts';

const VECTORS = fileURLToPath(new URL('../../../../../shared/vectors/sudoagent-v2', import.meta.url));
if (!existsSync(VECTORS))
  console.warn('SKIPPED: no test vectors at ../shared/vectors/sudoagent-v2. Their tests do not run, so nothing is proven by them.');

const kindsOf = (text: string): readonly unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { entry: { kind?: unknown; event?: unknown } }).entry)
    .map(({ kind, event }) => kind ?? event);

describe('an export', () => {
  let database: string;
  let exported: string;

  beforeAll(async () => {
    database = (await writeScenario()).path;
    exported = join(database, '..', 'ledger.ndjson');
    writeFileSync(exported, (await run(['export', database])).stdout);
  });

  it.each([
    ['filter'],
    ['filter', '--effect', 'deny'],
    ['filter', '--tool', 'ask', '--kind', 'outcome'],
    ['search', '--query', 'Q1.csv'],
    ['show', '5'],
    ['export'],
    ['export', '--format', 'csv'],
    ['export', '--format', 'ocsf', '--no-openings'],
  ])('answers as the ledger it was made from: %s %s %s', async (verb, ...rest) => {
    const [positional, options] = verb === 'show' ? [rest, []] : [[], rest];
    const [of, from] = [await run([verb, database, ...positional, ...options]), await run([verb, exported, ...positional, ...options])];
    expect(of.code, of.stderr).toBe(0);
    expect(from).toEqual(of);
    expect(of.stdout.length).toBeGreaterThan(20);
  });

  it('that was cut in the middle of a line is read up to there, and verify says that it was cut', async () => {
    const cut = join(folder(), 'cut.ndjson');
    const text = readFileSync(exported, 'utf8');
    writeFileSync(cut, text.slice(0, Math.floor(text.length / 2)));
    const ran = await run(['filter', cut]);
    expect(ran.code, ran.stderr).toBe(0);
    expect((await run(['filter', database])).stdout.startsWith(ran.stdout)).toBe(true);
    expect(ran.stdout.split('\n').length).toBeGreaterThan(10);
    expect(json(await run(['verify', cut, '--json']))['status']).not.toBe('valid');
  });
});

describe.skipIf(!existsSync(VECTORS))('a ledger of SudoAgent', () => {
  /** Read-only media must do, and nothing may be left beside it. */
  const copied = (name: string): string => {
    const path = join(folder(), name);
    copyFileSync(join(VECTORS, name), path);
    return path;
  };

  it.each(['small-signed.jsonl', 'small-unsigned.jsonl', 'small-signed.sqlite'])(
    '%s is filtered, searched, shown and exported',
    async (name) => {
      const path = copied(name);
      const before = readFileSync(path);
      const all = await run(['filter', path]);
      expect(all.code, all.stderr).toBe(0);
      expect(all.stdout.trimEnd().split('\n')).toHaveLength(28);
      const denied = await run(['filter', path, '--effect', 'deny']);
      expect(new Set(kindsOf(denied.stdout))).toEqual(new Set(['decision']));
      const hits = await run(['search', path, '--query', 'REPORT.txt', '--in', 'args', '--limit', '1']);
      const { call } = JSON.parse(hits.stdout) as { call: string };
      expect(kindsOf((await run(['filter', path, '--request-id', call])).stdout)).toEqual(['decision', 'outcome']);
      expect((await run(['show', path, call])).stdout).toContain('ALLOWED agent:small: fixture.tools.read_file');
      const rows = (await run(['export', path, '--format', 'csv'])).stdout.trimEnd().split('\r\n');
      expect(rows).toHaveLength(29);
      expect(rows[2]).toContain(`,outcome,agent:small,,,${call},,fixture.tools.read_file,`);
      expect((await run(['export', path, '--format', 'ocsf'])).stdout.trimEnd().split('\n')).toHaveLength(28);
      expect(readFileSync(path)).toEqual(before);
      expect(readdirSync(join(path, '..'))).toEqual([name]);
    },
  );

  it('gives an export that says it is none, and keeps clear text in only where that cannot be helped', async () => {
    const path = copied('small-signed.jsonl');
    const [header = ''] = (await run(['export', path])).stdout.split('\n');
    expect(JSON.parse(header)).toEqual({ countersign: 'selection', version: 1, origin: null, size: null, checkpoint: null });
    for (const argv of [['filter'], ['export'], ['export', '--format', 'json']]) {
      const [verb = '', ...rest] = argv;
      const ran = await run([verb, path, ...rest, '--no-openings']);
      expect(ran).toMatchObject({ code: 2, stdout: '' });
      expect(ran.stderr).toContain('hold their clear text themselves');
    }
    const csv = await run(['export', path, '--format', 'csv', '--no-openings']);
    expect(csv.code).toBe(0);
    expect(csv.stdout).not.toContain('/srv/report.txt');
  });

  it('with a broken line shows the others, and that line as what it is', async () => {
    const path = copied('small-signed.jsonl');
    const lines = readFileSync(path, 'utf8').split('\n');
    lines[3] = '{"schema_version":"2.0","event":';
    writeFileSync(path, lines.join('\n'));
    const ran = await run(['filter', path, '--kind', 'unreadable', '--json']);
    expect(json(ran)).toMatchObject({ count: 1, entries: [{ index: 3 }] });
    expect((await run(['filter', path])).stdout.trimEnd().split('\n')).toHaveLength(28);
  });
});
