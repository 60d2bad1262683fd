import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_KEYS_LISTED } from '../../src/budget/status.ts';
import { allowAll, budgetFrom, type Guard, type Store } from '../../src/index.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const MINUTE_MS = 60_000;
const BUDGETS = [
  budgetFrom({ id: 'minute', per: 'session', limit: 3, window: '1m', refund: 'error' }),
  budgetFrom({ id: 'customer', key: 'args.customer', limit: 5 }),
];

describe.each(['memory', 'sqlite'])('what is left, on the %s store', (kind) => {
  async function withGuards(
    run: (parts: { store: Store; clock: ReturnType<typeof fixedClock>; guard: Guard }) => Promise<void>,
  ): Promise<void> {
    const clock = fixedClock();
    const store = kind === 'memory' ? memoryStore({ clock }) : openLedger(join(tempDirectory(), 'ledger.db'), { clock });
    await run({ store, clock, guard: guardOn(store, { policy: allowAll(), budgets: BUDGETS, clock }) });
    await store.close();
  }
  const call = (customer: string, session = 's1') => ({ tool: { name: 'x' }, args: { customer }, session });

  it('is listed by key, the fullest first, with when the next amount frees up', async () => {
    await withGuards(async ({ clock, guard }) => {
      const startMs = clock.nowMs();
      await guard.run(call('ann'), () => 1);
      clock.advance(1000);
      await guard.run(call('bob', 's2'), () => 1);
      await guard.run(call('bob', 's2'), () => 1);
      const [minute, customer] = await guard.budgets();
      expect(minute).toEqual({
        id: 'minute',
        per: 'session',
        kind: 'count',
        limit: 3_000_000,
        windowMs: MINUTE_MS,
        refund: 'error',
        keys: [
          { key: 's2', used: 2_000_000, left: 1_000_000, frees: { atMs: startMs + 1000 + MINUTE_MS, amount: 2_000_000 } },
          { key: 's1', used: 1_000_000, left: 2_000_000, frees: { atMs: startMs + MINUTE_MS, amount: 1_000_000 } },
        ],
        more: 0,
      });
      expect(customer?.keys.map(({ key: _mac, ...rest }) => rest)).toEqual([
        { used: 2_000_000, left: 3_000_000 },
        { used: 1_000_000, left: 4_000_000 },
      ]);
      expect(await guard.budgets({ budget: 'customer', key: 'ann' })).toMatchObject([{ keys: [{ left: 4_000_000 }], more: 0 }]);
      expect(await guard.budgets({ budget: 'customer', key: 'nobody' })).toMatchObject([{ keys: [{ used: 0, left: 5_000_000 }], more: 0 }]);
      expect(await guard.budgets({ budget: 'minute', limit: 1 })).toMatchObject([{ keys: [{ key: 's2' }], more: 1 }]);
    });
  });

  it('frees up at the very millisecond it says, and not before', async () => {
    await withGuards(async ({ clock, guard }) => {
      for (let i = 0; i < 3; i++) await guard.run(call('ann'), () => 1);
      const frees = (await guard.budgets({ budget: 'minute' }))[0]?.keys[0]?.frees;
      clock.advance((frees?.atMs ?? 0) - clock.nowMs() - 1);
      expect((await guard.authorize(call('ann'))).kind).toBe('refusal');
      clock.advance(1);
      expect(await guard.budgets({ budget: 'minute' })).toMatchObject([{ keys: [] }]);
      expect((await guard.authorize(call('ann'))).kind).toBe('permit');
    });
  });

  it('counts what was given back as left, and names no time for it', async () => {
    await withGuards(async ({ clock, guard }) => {
      const permit = await guard.authorize(call('ann'));
      clock.advance(1000);
      await guard.run(call('ann'), () => 1);
      if (permit.kind === 'permit') await permit.settle({ status: 'error' }, { durable: true });
      expect(await guard.budgets({ budget: 'minute' })).toMatchObject([
        { keys: [{ used: 1_000_000, frees: { atMs: clock.nowMs() + MINUTE_MS, amount: 1_000_000 } }] },
      ]);
    });
  });

  it.each([
    [{ budget: 'none' }, 'no budget has this id'],
    [{ budget: 'constructor' }, 'no budget has this id'],
    [{ limit: 0 }, 'limit'],
    [{ limit: MAX_KEYS_LISTED + 1 }, 'limit'],
    [{ limit: Number.NaN }, 'limit'],
    [{ key: '' }, 'the key is empty'],
    [{ key: '[redacted:iban]' }, 'redacted'],
  ])('refuses %j', async (filter, message) => {
    await withGuards(async ({ guard }) => {
      await expect(guard.budgets(filter)).rejects.toThrow(message);
      await expect(guard.budgets(filter)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    });
  });
});
