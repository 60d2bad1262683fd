/** The small ledger that mutants are made of: every kind of entry that a guard writes, in few bytes. */
import { join } from 'node:path';
import type { SqliteStoreOptions } from '../../src/sqlite/index.ts';
import { fixedClock } from '../../src/testing/index.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { askAndRun, call, guardOn, host } from '../verify/scenario.ts';

export async function smallLedger(options: Partial<SqliteStoreOptions> = {}): Promise<string> {
  const path = join(tempDirectory(), 'small.db');
  const store = openLedger(path, { clock: fixedClock(), ...options });
  const guard = guardOn(store);
  await guard.run(call('read', { path: '/srv/\u00e9.csv' }), () => ({ rows: 3 }));
  await guard.run(call('refund', { amount: 60 }), () => Promise.reject(new TypeError('no money'))).catch(() => undefined);
  await guard.authorize(call('no-way'));
  await askAndRun(guard, call('ask', { to: 'a@example.com' }, { id: 'call-1', turn: '1' }), (id) =>
    guard.approvals.resolve(id, { decision: 'approve', message: 'fine' }, host('alice')),
  );
  await guard.close();
  await store.close();
  return path;
}

/** How many mutants each file makes; more by `COUNTERSIGN_MUTANTS=500000 npx vitest run mutation`. */
export function mutantCount(share: number): number {
  return Math.ceil(share * Number(process.env['COUNTERSIGN_MUTANTS'] ?? 100_000));
}
