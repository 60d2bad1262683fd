import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allowAll, budgetFrom } from '../../src/index.ts';
import { MAX_SUMS, SpentSums } from '../../src/sqlite/spent.ts';
import { fixedClock } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

describe('running sums', () => {
  it('are what a plain sum would be, whatever was charged, asked and forgotten in between', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('charge' as const), key: fc.constantFrom('a', 'b'), cost: fc.integer({ min: 0, max: 9 }) }),
      fc.record({ kind: fc.constant('ask' as const), key: fc.constantFrom('a', 'b'), window: fc.constantFrom(undefined, 1, 5, 50) }),
      fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ kind: fc.constant('foreign' as const), cost: fc.integer({ min: 1, max: 9 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const database = new Sqlite(':memory:');
        database.exec('CREATE TABLE charges (budget TEXT, key TEXT, at INTEGER, cost INTEGER)');
        const insert = database.prepare('INSERT INTO charges VALUES (?, ?, ?, ?)');
        const sums = new SpentSums(database);
        const all: { key: string; at: number; cost: number }[] = [];
        let now = 1000;
        const charge = (key: string, cost: number): void => {
          insert.run('x', key, now, cost);
          all.push({ key, at: now, cost });
        };
        for (const each of steps) {
          if (each.kind === 'time') now += each.ms;
          else if (each.kind === 'charge') {
            charge(each.key, each.cost);
            sums.add('x', each.key, each.cost);
          } else if (each.kind === 'foreign') {
            charge('a', each.cost);
            sums.clear();
          } else {
            const since = each.window === undefined ? undefined : now - each.window + 1;
            const expected = all.filter(({ key, at }) => key === each.key && at >= (since ?? 0)).reduce((sum, { cost }) => sum + cost, 0);
            expect(sums.spent('x', each.key, since, now)).toBe(expected);
          }
        }
        database.close();
      }),
      { numRuns: 300 },
    );
  });

  it('stay few under hostile keys', () => {
    const database = new Sqlite(':memory:');
    database.exec('CREATE TABLE charges (budget TEXT, key TEXT, at INTEGER, cost INTEGER)');
    const sums = new SpentSums(database);
    for (let i = 0; i < 3 * MAX_SUMS; i++) sums.spent('x', `key ${i}`, undefined, 1);
    expect(sums['sums'].size).toBeLessThanOrEqual(MAX_SUMS);
  });

  it('two writers on one ledger never overspend, and a window that moves frees exactly what left it', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const clock = fixedClock();
    const budgets = [budgetFrom({ id: 'ten', per: 'agent', limit: 10, window: '1m' })];
    const stores = [openLedger(path, { clock }), openLedger(path, { clock })];
    const guards = stores.map((store, i) => guardOn(store, { policy: allowAll(), budgets, session: `s${i}` }));
    const round = async (): Promise<number> => {
      const calls = Array.from({ length: 15 }).flatMap(() => guards.map((guard) => guard.authorize({ tool: { name: 'x' }, args: {} })));
      return (await Promise.all(calls)).filter((authorization) => authorization.kind === 'permit').length;
    };
    expect(await round()).toBe(10);
    clock.advance(59_999);
    expect(await round()).toBe(0);
    clock.advance(1);
    expect(await round()).toBe(10);
    for (const store of stores) await store.close();
  });
});
