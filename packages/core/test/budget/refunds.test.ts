import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Authorization, allowAll, type Budget, budgetFrom, type Outcome, type Permit, type Store } from '../../src/index.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const HOUR_MS = 3_600_000;
const two = budgetFrom({ id: 'two', per: 'agent', limit: 2, window: '1h', refund: 'error' });
const kept = budgetFrom({ id: 'kept', per: 'agent', limit: 100 });
const money = budgetFrom({ id: 'money', per: 'session', limit: 10, cost: 'args.amount', refund: 'error' });

const call = (amount = 1) => ({ tool: { name: 'pay' }, args: { amount } });

function permitOf(authorization: Authorization): Permit {
  if (authorization.kind !== 'permit') throw new Error(`no permit: ${JSON.stringify(authorization)}`);
  return authorization;
}

/** What the newest allow says is left, by budget. */
async function leftOn(store: Store, permit: Permit): Promise<Record<string, number>> {
  const entry = JSON.parse((await store.entry(permit.entry)) ?? '{}') as { budgets: { id: string; left: number }[] };
  return Object.fromEntries(entry.budgets.map(({ id, left }) => [id, left / 1_000_000]));
}

describe.each(['memory', 'sqlite'])('refunds on the %s store', (kind) => {
  async function withStore(budgets: readonly Budget[], run: (parts: Parts) => Promise<void>): Promise<void> {
    const clock = fixedClock();
    const path = join(tempDirectory(), 'ledger.db');
    const store = kind === 'memory' ? memoryStore({ clock }) : openLedger(path, { clock });
    const guard = guardOn(store, { policy: allowAll(), budgets, clock });
    await run({ store, clock, guard });
    await guard.close();
    await store.close();
    if (kind === 'sqlite') expect(await verifyLedger(path)).toMatchObject({ status: 'valid', problems: [], warnings: [] });
  }
  type Parts = {
    readonly store: Store;
    readonly clock: ReturnType<typeof fixedClock>;
    readonly guard: ReturnType<typeof guardOn>;
  };

  it('give back what an error was charged, to the budgets that say so and to no other', async () => {
    await withStore([two, kept, money], async ({ store, guard }) => {
      const first = permitOf(await guard.authorize(call(4)));
      expect(await leftOn(store, first)).toEqual({ two: 1, kept: 99, money: 6 });
      await first.settle({ status: 'error', error: new Error('no') });
      const second = permitOf(await guard.authorize(call(9)));
      expect(await leftOn(store, second)).toEqual({ two: 1, kept: 98, money: 1 });
      await second.settle({ status: 'success' });
    });
  });

  it.each<[string, Outcome, number]>([
    ['a success', { status: 'success' }, 0],
    ['a cancelled call', { status: 'cancelled' }, 0],
    ['an error', { status: 'error' }, 1],
    ['an error that the code does not give back', { status: 'error', refund: false }, 0],
    ['a success that the code gives back', { status: 'success', refund: true }, 1],
    ['a cancelled call that the code gives back', { status: 'cancelled', refund: true }, 1],
  ])('%s', async (_what, outcome, given) => {
    await withStore([two], async ({ store, guard }) => {
      await permitOf(await guard.authorize(call())).settle(outcome, { durable: true });
      const next = permitOf(await guard.authorize(call()));
      expect(await leftOn(store, next)).toEqual({ two: given });
      await next.settle({ status: 'success' });
    });
  });

  it('by code cover budgets that never refund by themselves', async () => {
    await withStore([kept], async ({ store, guard }) => {
      await permitOf(await guard.authorize(call())).settle({ status: 'success', refund: true });
      const next = permitOf(await guard.authorize(call()));
      expect(await leftOn(store, next)).toEqual({ kept: 99 });
      await next.settle({ status: 'success' });
    });
  });

  it('are in time for a retry at once, and a thrown tool gives back by itself', async () => {
    await withStore([budgetFrom({ id: 'one', per: 'agent', limit: 1, refund: 'error' })], async ({ guard }) => {
      for (let i = 0; i < 5; i++) {
        await expect(guard.run(call(), () => Promise.reject(new TypeError('no')))).rejects.toThrow(TypeError);
      }
      expect(await guard.run(call(), () => 'paid')).toBe('paid');
      await expect(guard.run(call(), () => 'paid')).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    });
  });

  it('never open more room than they give back: the charge and its refund leave the window together', async () => {
    await withStore([two], async ({ store, clock, guard }) => {
      const early = permitOf(await guard.authorize(call()));
      clock.advance(HOUR_MS - 1);
      const late = permitOf(await guard.authorize(call()));
      expect(await leftOn(store, late)).toEqual({ two: 0 });
      // One millisecond before the early charge leaves.
      await early.settle({ status: 'error' }, { durable: true });
      const third = permitOf(await guard.authorize(call()));
      expect(await leftOn(store, third)).toEqual({ two: 0 });
      clock.advance(1);
      // The early charge has left, and so has its refund: nothing is free.
      expect(await guard.authorize(call())).toMatchObject({ decision: { reasonCode: 'BUDGET_EXCEEDED_AGENT_RATE' } });
      clock.advance(HOUR_MS - 2);
      expect((await guard.authorize(call())).kind).toBe('refusal');
      clock.advance(1);
      const after = permitOf(await guard.authorize(call()));
      expect(await leftOn(store, after)).toEqual({ two: 1 });
      for (const permit of [late, third, after]) await permit.settle({ status: 'success' });
    });
  });

  it('that come after the charge has left its window give nothing to the window, and what is due for life', async () => {
    const life = budgetFrom({ id: 'life', per: 'agent', limit: 10, refund: 'error' });
    await withStore([two, life], async ({ store, clock, guard }) => {
      const early = permitOf(await guard.authorize(call()));
      clock.advance(2 * HOUR_MS);
      const [a, b] = [permitOf(await guard.authorize(call())), permitOf(await guard.authorize(call()))];
      await early.settle({ status: 'error' }, { durable: true });
      expect(await guard.authorize(call())).toMatchObject({ decision: { reasonCode: 'BUDGET_EXCEEDED_AGENT_RATE' } });
      clock.advance(HOUR_MS);
      const next = permitOf(await guard.authorize(call()));
      expect(await leftOn(store, next)).toEqual({ two: 1, life: 7 });
      for (const permit of [a, b, next]) await permit.settle({ status: 'success' });
    });
  });

  it('happen once, however often an outcome is sent', async () => {
    await withStore([two], async ({ store, guard }) => {
      const permit = permitOf(await guard.authorize(call()));
      const other = permitOf(await guard.authorize(call()));
      const body = {
        kind: 'outcome',
        agent: 'tester',
        session: 's1',
        call: permit.callId,
        decision: permit.entry,
        status: 'error',
        duration_ms: 1,
      } as const;
      await Promise.all(Array.from({ length: 5 }, () => store.commit({ kind: 'outcome', body, refund: ['two', 'two'] })));
      await store.commit({ kind: 'outcome', body, refund: 'all' });
      const next = permitOf(await guard.authorize(call()));
      expect(await leftOn(store, next)).toEqual({ two: 0 });
      for (const each of [other, next]) await each.settle({ status: 'success' });
    });
  });

  it('are refused to whoever names another call, decision or budget', async () => {
    await withStore([two], async ({ store, guard }) => {
      const mine = permitOf(await guard.authorize(call()));
      const yours = permitOf(await guard.authorize(call()));
      const outcome = (callId: string, decision: Permit['entry'], refund: readonly string[] | 'all') =>
        store.commit({
          kind: 'outcome',
          body: { kind: 'outcome', agent: 'tester', session: 's1', call: callId, decision, status: 'error', duration_ms: 1 },
          refund,
        });
      await outcome(mine.callId, mine.entry, ['other', 'constructor', '']);
      expect((await guard.authorize(call())).kind).toBe('refusal');
      await yours.settle({ status: 'success' }, { durable: true });
      expect((await guard.authorize(call())).kind).toBe('refusal');
    });
  });
});

describe('a refund', () => {
  it('is not given on the strength of a reference to something else', async () => {
    const store = memoryStore();
    const guard = guardOn(store, { policy: allowAll(), budgets: [two] });
    const rich = permitOf(await guard.authorize(call()));
    const poor = permitOf(await guardOn(store, { policy: allowAll() }).authorize(call()));
    const body = { kind: 'outcome', agent: 'tester', session: 's1', status: 'error', duration_ms: 1 } as const;
    const wrong = [
      { ...body, call: poor.callId, decision: rich.entry },
      { ...body, call: '0'.repeat(32), decision: rich.entry },
      { ...body, call: rich.callId, decision: { ...rich.entry, leaf: '0'.repeat(64) } },
    ];
    for (const each of wrong) await store.commit({ kind: 'outcome', body: each, refund: 'all' });
    expect(store.entries().filter((entry) => entry.kind === 'outcome' && entry.refunds !== undefined)).toEqual([]);
  });

  it('is not given to a call whose outcome recovery called unknown', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const budgets = [budgetFrom({ id: 'one', per: 'agent', limit: 1, refund: 'error' })];
    const first = openLedger(path);
    const permit = permitOf(await guardOn(first, { policy: allowAll(), budgets }).authorize(call()));
    // Taken for dead: its lease is gone, and another process recovers.
    const { default: Sqlite } = await import('better-sqlite3');
    new Sqlite(path).exec('DELETE FROM leases').close();
    const second = openLedger(path);
    expect(await second.callById(permit.callId)).toMatchObject({ state: 'unknown' });
    await permit.settle({ status: 'error', error: new Error('late') }, { durable: true });
    const refused = await guardOn(second, { policy: allowAll(), budgets }).authorize(call());
    expect(refused).toMatchObject({ decision: { reasonCode: 'BUDGET_EXCEEDED_AGENT_RATE' } });
    await first.close();
    await second.close();
    expect(await verifyLedger(path)).toMatchObject({ status: 'valid', problems: [] });
  });

  it('of nothing leaves no trace', async () => {
    const store = memoryStore();
    const free = budgetFrom({ id: 'free', per: 'agent', limit: 1, cost: '0', refund: 'error' });
    const guard = guardOn(store, { policy: allowAll(), budgets: [free] });
    await permitOf(await guard.authorize(call())).settle({ status: 'error' }, { durable: true });
    expect(store.entries().at(-1)).not.toHaveProperty('refunds');
  });

  it('is seen by another writer on the ledger', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const budgets = [budgetFrom({ id: 'one', per: 'agent', limit: 1, window: '1h', refund: 'error' })];
    const stores = [openLedger(path), openLedger(path)] as const;
    const [a, b] = stores.map((store, i) => guardOn(store, { policy: allowAll(), budgets, session: `s${i}` }));
    for (let i = 0; i < 6; i++) {
      const [one, other] = i % 2 === 0 ? [a, b] : [b, a];
      const permit = permitOf((await one?.authorize(call())) as Authorization);
      expect(await other?.authorize(call())).toMatchObject({ decision: { reasonCode: 'BUDGET_EXCEEDED_AGENT_RATE' } });
      await permit.settle({ status: 'error' }, { durable: true });
    }
    for (const store of stores) await store.close();
    expect(await verifyLedger(path)).toMatchObject({ status: 'valid', problems: [] });
  });
});
