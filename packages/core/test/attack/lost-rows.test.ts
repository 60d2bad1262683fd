/** What was allowed stays known: its row, its key, its outcome. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, it } from 'vitest';
import { definePolicy, type PolicyVerdict, type ToolCall } from '../../src/index.ts';
import { parseEntry } from '../../src/ledger/body.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const CALL: ToolCall = { tool: { name: 'grab' }, args: { amount: 1 }, id: 'c1' };

it('a refused twin does not erase the row of the call that was allowed', async () => {
  const store = openLedger(join(tempDirectory(), 'ledger.db'));
  // A decision point that answers the second question later and otherwise (a rate of its own, a rule that was changed).
  let questions = 0;
  const once = definePolicy({
    id: 'once',
    evaluate: async () => {
      questions += 1;
      if (questions === 1) return { effect: 'allow' };
      await new Promise((resolve) => setTimeout(resolve, 50));
      return { effect: 'deny' };
    },
  });
  const guard = guardOn(store, { policy: once });
  const [first, second] = await Promise.all([guard.authorize(CALL), guard.authorize(CALL)]);
  const permit = [first, second].find((each) => each.kind === 'permit');
  if (permit?.kind !== 'permit') throw new Error('nobody was allowed');
  expect(await store.callById(permit.callId)).toMatchObject({ state: 'allowed' });
  await store.close();
});

it('one call id is allowed once: adopting a call never gives it two decisions', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  let verdict: PolicyVerdict = { effect: 'require_approval' };
  const guard = guardOn(store, { policy: definePolicy({ id: 'moves', evaluate: () => verdict }) });
  const pending = await guard.authorize(CALL, { approval: 'suspend' });
  expect(pending.kind).toBe('pending');
  verdict = { effect: 'allow' };
  const permits = await Promise.all(['c2', 'c3'].map((id) => guard.authorize({ ...CALL, id }, { approval: 'suspend', adopt: true })));
  for (const permit of permits) if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
  const raw = new Sqlite(path, { readonly: true });
  const entries = raw.prepare<[], string>('SELECT body FROM entries').pluck().all().map(parseEntry);
  raw.close();
  const allowed = entries.flatMap((entry) => (entry.kind === 'decision' && entry.effect === 'allow' ? [entry.call] : []));
  const outcomes = entries.filter((entry) => entry.kind === 'outcome');
  expect(new Set(allowed).size).toBe(allowed.length);
  expect(outcomes.length).toBe(allowed.length);
  await store.close();
});
