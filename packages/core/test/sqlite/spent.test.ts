import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allowAll, budgetFrom } from '../../src/index.ts';
import { MAX_FOREIGN, MAX_SUMS, SpentSums } from '../../src/sqlite/spent.ts';
import { fixedClock } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const CHARGES = 'CREATE TABLE charges (id INTEGER PRIMARY KEY, budget TEXT, key TEXT, at INTEGER, cost INTEGER)';

interface Charged {
  readonly budget: string;
  readonly key: string;
  readonly at: number;
  readonly cost: number;
}

describe('running sums', () => {
  it('are what a plain sum would be, whatever was charged, asked and forgotten in between', () => {
    const budget = fc.constantFrom('x', 'y');
    const key = fc.constantFrom('a', 'b');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('charge' as const), budget, key, cost: fc.integer({ min: 0, max: 9 }) }),
      fc.record({ kind: fc.constant('ask' as const), budget, key, window: fc.constantFrom(undefined, 1, 5, 50) }),
      fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ kind: fc.constant('foreign' as const), budget, key, cost: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ kind: fc.constant('refund' as const), nth: fc.nat(), isForeign: fc.boolean() }),
      fc.record({ kind: fc.constant('roll back' as const), key, cost: fc.integer({ min: 1, max: 9 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), fc.integer({ min: 1, max: 4 }), (steps, lookAhead) => {
        const database = new Sqlite(':memory:');
        database.exec(CHARGES);
        const insert = database.prepare('INSERT INTO charges (budget, key, at, cost) VALUES (?, ?, ?, ?)');
        const sums = new SpentSums(database, lookAhead);
        let all: Charged[] = [];
        let now = 1000;
        const charge = (charged: Charged, isOurs: boolean): void => {
          const id = Number(insert.run(charged.budget, charged.key, charged.at, charged.cost).lastInsertRowid);
          all.push(charged);
          if (isOurs) sums.add({ ...charged, id });
          else sums.fallBehind();
        };
        for (const each of steps) {
          if (each.kind === 'time') now += each.ms;
          else if (each.kind === 'charge') {
            // A transaction asks before it charges.
            sums.spent(each.budget, each.key, undefined, now);
            charge({ ...each, at: now }, true);
          } else if (each.kind === 'foreign') charge({ ...each, at: now }, false);
          else if (each.kind === 'refund') {
            const charges = all.filter(({ cost }) => cost > 0);
            const undone = charges[each.nth % charges.length];
            // Only of a charge that was not given back; here it does not matter how often.
            if (undone !== undefined) charge({ ...undone, cost: -undone.cost }, !each.isForeign);
          } else if (each.kind === 'roll back') {
            database.exec('BEGIN');
            const before = all;
            all = [...all];
            charge({ budget: 'x', key: each.key, at: now, cost: each.cost }, true);
            sums.spent('x', each.key, 5, now);
            database.exec('ROLLBACK');
            all = before;
            sums.clear();
          } else {
            const since = each.window === undefined ? undefined : now - each.window + 1;
            const counted = all.filter(
              (charged) => charged.budget === each.budget && charged.key === each.key && charged.at >= (since ?? 0),
            );
            expect(sums.spent(each.budget, each.key, since, now)).toBe(counted.reduce((sum, { cost }) => sum + cost, 0));
          }
        }
        database.close();
      }),
      { numRuns: 500 },
    );
  });

  it('follow refunds of what was read ahead already, and charges of one time', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('charge' as const), cost: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('refund' as const), nth: fc.nat({ max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), fc.integer({ min: 1, max: 4 }), (steps, lookAhead) => {
        const database = new Sqlite(':memory:');
        database.exec(CHARGES);
        const insert = database.prepare('INSERT INTO charges (budget, key, at, cost) VALUES (?, ?, ?, ?)');
        const sums = new SpentSums(database, lookAhead);
        const all: { at: number; cost: number; open: boolean }[] = [];
        let now = 1000;
        const charge = (at: number, cost: number): void => {
          sums.add({ id: Number(insert.run('x', 'a', at, cost).lastInsertRowid), budget: 'x', key: 'a', at, cost });
        };
        for (const each of steps) {
          // The newest ones: those that are still in the window.
          const undone = each.kind === 'refund' ? all.at(-1 - each.nth) : undefined;
          if (each.kind === 'time') now += each.ms;
          else if (each.kind === 'charge') {
            charge(now, each.cost);
            all.push({ at: now, cost: each.cost, open: true });
          } else if (undone?.open === true) {
            charge(undone.at, -undone.cost);
            undone.open = false;
          }
          const counted = all.filter(({ at, open }) => open && at > now - 12);
          expect(sums.spent('x', 'a', now - 12 + 1, now)).toBe(counted.reduce((sum, { cost }) => sum + cost, 0));
        }
        database.close();
      }),
      { numRuns: 300 },
    );
  });

  it('are read anew after many charges of others, or when a row that was counted is gone', () => {
    const database = new Sqlite(':memory:');
    database.exec(CHARGES);
    const insert = database.prepare('INSERT INTO charges (budget, key, at, cost) VALUES (?, ?, ?, ?)');
    const sums = new SpentSums(database);
    const spent = (): number => (sums.fallBehind(), sums.spent('x', 'a', undefined, 1));
    expect(spent()).toBe(0);
    database.transaction(() => {
      for (let i = 0; i <= MAX_FOREIGN; i++) insert.run('x', 'a', 1, 1);
    })();
    expect(spent()).toBe(MAX_FOREIGN + 1);
    insert.run('x', 'a', 1, 5);
    expect(spent()).toBe(MAX_FOREIGN + 6);
    database.exec(`DELETE FROM charges WHERE id > ${MAX_FOREIGN}`);
    expect(spent()).toBe(MAX_FOREIGN);
    database.close();
  });

  it('stay few under hostile keys', () => {
    const database = new Sqlite(':memory:');
    database.exec(CHARGES);
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
