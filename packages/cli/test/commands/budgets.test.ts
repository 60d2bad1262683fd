import { join } from 'node:path';
import { type Config, loadConfig } from '@countersign/core';
import { guardFromConfig, storeFromConfig } from '@countersign/core/sqlite';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { calls, json, project, run } from '../harness.ts';

const BUDGETS = `budgets:
  - { id: calls, per: agent, limit: 10, window: 1h }
  - { id: spent, key: args.customer, limit: 100, window: 24h, tools: [read_order], cost: args.amount, refund: error }
  - { id: ever, per: session, limit: 1000 }
`;

const withBudgets = (budgets = BUDGETS): Promise<string> =>
  project('', (text) => text.replace(/^budgets:\n.*\n/m, budgets === '' ? '' : budgets));

const order = (customer: string, amount: number, session = 's1') => ({
  server: 'shop',
  tool: 'read_order',
  args: { customer, amount },
  session,
});

type Listed = {
  id: string;
  keys: { key: string; used: number; left: number; frees: { at: string; amount: number } | null }[];
  more_keys: number;
};
async function listed(cwd: string, ...more: readonly string[]): Promise<readonly Listed[]> {
  const ran = await run(['budgets', '--json', ...more], { cwd });
  expect(ran.stderr).toBe('');
  return json(ran)['budgets'] as Listed[];
}

function fill(cwd: string, keys: number): void {
  const database = new Sqlite(join(cwd, '.countersign/ledger.db'));
  const insert = database.prepare('INSERT INTO charges (budget, key, at, cost, call) VALUES (?, ?, ?, ?, ?)');
  database.transaction(() => {
    for (let i = 0; i < keys; i++) insert.run('ever', `session ${i}`, Date.now(), (i + 1) * 1000, 'f'.repeat(32));
  })();
  database.close();
}

describe('budgets', () => {
  it('says so when none are configured, and what to write', async () => {
    const cwd = await withBudgets('');
    await calls(cwd, [{ tool: 'read_file' }]);
    const ran = await run(['budgets'], { cwd });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toContain('no budgets are configured');
    expect(ran.stdout).toContain('budgets:');
    expect(await listed(cwd)).toEqual([]);
  });

  it('shows budgets nobody has used', async () => {
    const cwd = await withBudgets();
    await calls(cwd, []);
    const { stdout } = await run(['budgets'], { cwd });
    expect(stdout).toMatch(/^calls +agent +- +0% +0 +10 +10 +1h +-$/m);
    expect((await listed(cwd)).map(({ keys }) => keys)).toEqual([[], [], []]);
  });

  it('has this table, fullest first, and this JSON', async () => {
    const cwd = await withBudgets();
    await calls(cwd, [order('ann', 60.5), order('bob', 20, 's2'), order('ann', 30)]);
    const { stdout, code } = await run(['budgets'], { cwd });
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^BUDGET +PER +KEY +FULL +USED +LEFT +LIMIT +WINDOW +FREES$/);
    expect(lines[1]).toMatch(/^spent +key +#[0-9a-f]{12} +90% +90\.5 +9\.5 +100 +1d +60\.5 in (23h|1d)$/);
    expect(lines[2]).toMatch(/^calls +agent +bot +30% +3 +7 +10 +1h +1 in (59m|1h)$/);
    expect(lines[3]).toMatch(/^spent +key +#[0-9a-f]{12} +20% +20 +80 +100 +1d +20 in (23h|1d)$/);
    expect(lines[4]).toMatch(/^ever +session +s1 +0% +2 +998 +1000 +for life +-$/);
    expect(stdout).not.toContain('ann');
    const [first] = await listed(cwd);
    expect(first).toEqual({
      id: 'calls',
      per: 'agent',
      kind: 'count',
      limit: 10_000_000,
      window_ms: 3_600_000,
      refund: null,
      keys: [{ key: 'bot', used: 3_000_000, left: 7_000_000, frees: { at: expect.stringMatching(/Z$/), amount: 1_000_000 } }],
      more_keys: 0,
    });
  });

  it('finds one budget, and one key by its value', async () => {
    const cwd = await withBudgets();
    await calls(cwd, [order('ann', 60.5), order('bob', 20), order('ann', 30)]);
    expect((await listed(cwd, '--budget', 'spent')).map(({ id, keys }) => [id, keys.length])).toEqual([['spent', 2]]);
    expect((await listed(cwd, '--budget', 'spent', '--key', 'ann'))[0]?.keys).toMatchObject([{ used: 90_500_000, left: 9_500_000 }]);
    expect((await listed(cwd, '--budget', 'spent', '--key', 'carl'))[0]?.keys).toMatchObject([{ used: 0, left: 100_000_000, frees: null }]);
    // The value of a key budget is no agent and no session.
    expect((await listed(cwd, '--key', 'ann')).map(({ id }) => id)).toEqual(['spent']);
    expect((await listed(cwd, '--key', 's1')).map(({ id }) => id)).toEqual(['spent', 'ever']);
  });

  it('shows what was given back as left', async () => {
    const cwd = await withBudgets();
    const config: Config = loadConfig(join(cwd, 'countersign.yaml'), { env: {} });
    const store = storeFromConfig(config, { onError: () => {} });
    const guard = guardFromConfig(config, store);
    for (const amount of [10, 5]) {
      const permit = await guard.authorize({ tool: { server: 'shop', name: 'read_order' }, args: { customer: 'ann', amount } });
      if (permit.kind !== 'permit') throw new Error('refused');
      await permit.settle({ status: amount === 10 ? 'error' : 'success' }, { durable: true });
    }
    await store.close();
    expect((await listed(cwd, '--key', 'ann'))[0]?.keys).toMatchObject([{ used: 5_000_000, frees: { amount: 5_000_000 } }]);
  });

  it.each([
    [['--budget', 'cals'], 'did you mean "calls"'],
    [['--budget', 'constructor'], 'no budget has the id'],
    [['--key', ''], '--key needs a value'],
    [['--key', 'x'.repeat(1025)], 'longer than 1024'],
  ])('refuses %j', async (more, message) => {
    const cwd = await withBudgets();
    await calls(cwd, []);
    const ran = await run(['budgets', ...more], { cwd });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
  });

  it('says where no ledger is', async () => {
    const cwd = await withBudgets();
    const ran = await run(['budgets'], { cwd });
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain('LEDGER_NOT_FOUND');
  });

  it('lists the fullest of 10,000 keys and counts the others', async () => {
    const cwd = await withBudgets();
    await calls(cwd, []);
    fill(cwd, 10_000);
    const { stdout } = await run(['budgets', '--budget', 'ever'], { cwd });
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1 + 50 + 1);
    expect(lines[1]).toMatch(/^ever +session +session 9999 +1% +10 +990 +1000 +for life +-$/);
    expect(lines.at(-1)).toMatch(/^… 9950 more keys/);
    const [ever] = await listed(cwd, '--budget', 'ever');
    expect([ever?.keys.length, ever?.more_keys, ever?.keys[0]?.used]).toEqual([1000, 9000, 10_000_000]);
    expect((await listed(cwd, '--budget', 'ever', '--key', 'session 3'))[0]?.keys).toMatchObject([{ used: 4000, left: 999_996_000 }]);
  });

  it('fits narrow terminals, and escapes names', async () => {
    const cwd = await withBudgets();
    await calls(cwd, [order('ann', 1, `s\u202e\u200b${'x'.repeat(90)}`), order('ann', 1, '文件'.repeat(20))]);
    for (const columns of [100, 80]) {
      const ran = await run(['budgets'], { cwd, tty: true, columns, env: { NO_COLOR: '1' } });
      for (const line of ran.stdout.split('\n').slice(0, 6))
        expect(Array.from(line).reduce((sum, each) => sum + (/\p{Script=Han}/u.test(each) ? 2 : 1), 0)).toBeLessThanOrEqual(columns);
    }
    const piped = await run(['budgets'], { cwd });
    expect(piped.stdout).toContain('x'.repeat(90));
    expect(piped.stdout).not.toMatch(/[\u202e\u200b\u001b]/);
  });

  it('changes no byte of the ledger', async () => {
    const cwd = await withBudgets();
    await calls(cwd, [order('ann', 1)]);
    const { readFileSync, readdirSync } = await import('node:fs');
    const folder = join(cwd, '.countersign');
    const bytes = (): string[] => readdirSync(folder).map((name) => `${name} ${readFileSync(join(folder, name)).toString('base64')}`);
    const before = bytes();
    await run(['budgets', '--key', 'ann'], { cwd });
    expect(bytes()).toEqual(before);
  });
});
