import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allowAll, type Budget, budgetFrom, type Guard, type Unit } from '../../src/index.ts';
import { type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import { type FixedClock, fixedClock, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const WINDOWS = { '1ms': 1, '7ms': 7, '1s': 1000, '1m': 60_000, '1h': 3_600_000, '24h': 86_400_000, '30d': 2_592_000_000 };

const pay = (amount = 1, id?: string) => ({ tool: { name: 'pay' }, args: { amount }, ...(id !== undefined && { id }) });
async function isAllowed(guard: Guard, amount?: number, id?: string): Promise<boolean> {
  const authorization = await guard.authorize(pay(amount, id));
  if (authorization.kind === 'permit') await authorization.settle({ status: 'success' }, { durable: true });
  return authorization.kind === 'permit';
}

async function requireIntact(path: string): Promise<void> {
  expect(await verifyLedger(path)).toMatchObject({ integrity: 'intact', problems: [] });
}

describe.each(['memory', 'sqlite'])('a window, on the %s store', (kind) => {
  it.each(Object.entries(WINDOWS))('of %s holds a charge until exactly then', async (window, windowMs) => {
    const clock = fixedClock();
    const store = kind === 'memory' ? memoryStore({ clock }) : openLedger(join(tempDirectory(), 'ledger.db'), { clock });
    const guard = guardOn(store, { policy: allowAll(), clock, budgets: [budgetFrom({ id: 'one', per: 'agent', limit: 1, window })] });
    expect(await isAllowed(guard)).toBe(true);
    expect(await isAllowed(guard)).toBe(false);
    for (let round = 0; round < 3; round++) {
      clock.advance(windowMs - 1);
      if (windowMs > 1) expect(await isAllowed(guard)).toBe(false);
      clock.advance(1);
      expect(await isAllowed(guard)).toBe(true);
      expect(await isAllowed(guard)).toBe(false);
    }
    await store.close();
  });
});

describe('a ledger with a window', () => {
  let path: string;
  let clock: FixedClock;
  let store: SqliteStore;
  const minute = budgetFrom({ id: 'minute', per: 'agent', limit: 2, window: '1m' });
  const life = budgetFrom({ id: 'life', per: 'agent', limit: 100 });

  beforeEach(() => {
    path = join(tempDirectory(), 'ledger.db');
    clock = fixedClock();
    store = openLedger(path, { clock });
  });
  afterEach(async () => {
    await store.close();
    await requireIntact(path);
  });
  const guard = (budgets: readonly Budget[] = [minute, life]): Guard => guardOn(store, { policy: allowAll(), clock, budgets });
  const usedForLife = async (): Promise<number | undefined> => (await guard().budgets({ budget: 'life' }))[0]?.keys[0]?.used;

  it('keeps it across a restart, to the millisecond', async () => {
    await isAllowed(guard());
    clock.advance(30_000);
    await isAllowed(guard());
    await store.close();
    store = openLedger(path, { clock });
    expect(await isAllowed(guard())).toBe(false);
    clock.advance(29_999);
    expect(await isAllowed(guard())).toBe(false);
    clock.advance(1);
    expect([await isAllowed(guard()), await isAllowed(guard())]).toEqual([true, false]);
    expect(await usedForLife()).toBe(3_000_000);
  });

  it('frees nothing when the clock is set back, neither at once nor after a restart', async () => {
    expect([await isAllowed(guard()), await isAllowed(guard())]).toEqual([true, true]);
    for (const back of [1, 60_000, 3_600_000, 86_400_000]) {
      clock.advance(-back);
      expect(await isAllowed(guard())).toBe(false);
      await store.close();
      store = openLedger(path, { clock });
      expect(await isAllowed(guard())).toBe(false);
      clock.advance(back);
    }
    clock.advance(59_999);
    expect(await isAllowed(guard())).toBe(false);
    clock.advance(1);
    expect(await isAllowed(guard())).toBe(true);
  });

  it('after a jump forth and back holds what was charged in the future until that time has come', async () => {
    clock.advance(3_600_000);
    expect([await isAllowed(guard()), await isAllowed(guard())]).toEqual([true, true]);
    clock.advance(-3_600_000);
    for (let i = 0; i < 3; i++) {
      expect(await isAllowed(guard())).toBe(false);
      clock.advance(1_200_000);
    }
    // An hour later the charges are as old as they seem.
    clock.advance(59_999);
    expect(await isAllowed(guard())).toBe(false);
    clock.advance(1);
    expect(await isAllowed(guard())).toBe(true);
  });

  it('counts for life beside it, whatever leaves the window', async () => {
    for (let i = 0; i < 100; i++) {
      expect(await isAllowed(guard())).toBe(true);
      clock.advance(60_000);
    }
    expect(await guard().authorize(pay())).toMatchObject({
      decision: { reason: expect.stringContaining('budget life: 0 left of 100 for life') },
    });
    expect(await usedForLife()).toBe(100_000_000);
  });

  it('takes a limit or a window that was changed from the next call on', async () => {
    const under = (limit: number, window: string): Guard => guard([budgetFrom({ id: 'minute', per: 'agent', limit, window })]);
    for (let i = 0; i < 4; i++) {
      expect(await isAllowed(under(10, '1m'))).toBe(true);
      clock.advance(10_000);
    }
    expect(await isAllowed(under(4, '1m'))).toBe(false);
    expect(await isAllowed(under(4, '30s'))).toBe(true);
    expect(await isAllowed(under(5, '1h'))).toBe(false);
    expect(await isAllowed(under(6, '1h'))).toBe(true);
  });

  it('counts two charges of one unit to one budget together, and takes both or none', async () => {
    const charge = { id: 'minute', per: 'agent', key: 'tester', cost: 1_000_000, limit: 2_000_000, window_ms: 60_000 } as const;
    const permit = await guard([]).authorize(pay());
    if (permit.kind !== 'permit') throw new Error('refused');
    const body = JSON.parse((await store.entry(permit.entry)) ?? '') as { [name: string]: unknown };
    const { v: _v, id: _id, at: _at, writer: _writer, ...decision } = body;
    const unit = (nth: number, charges: readonly (typeof charge)[]): Unit =>
      ({
        kind: 'decide',
        body: { ...decision, call: String(nth).padStart(32, '0') },
        call: { match: 'a'.repeat(64) },
        charges,
      }) as unknown as Unit;
    const effect = async (nth: number, charges: readonly (typeof charge)[]): Promise<unknown> => {
      const committed = await store.commit(unit(nth, charges));
      return committed.kind === 'decided' ? [committed.body.effect, committed.body.budgets?.map(({ left }) => left)] : committed.kind;
    };
    expect(await effect(1, [charge, charge, charge])).toEqual(['deny', undefined]);
    expect(await effect(2, [charge, charge])).toEqual(['allow', [1_000_000, 0]]);
    expect(await effect(3, [charge])).toEqual(['deny', undefined]);
    clock.advance(60_000);
    expect(await effect(4, [charge])).toEqual(['allow', [1_000_000]]);
    expect(await effect(5, [charge, charge])).toEqual(['deny', undefined]);
    expect(await effect(6, [charge])).toEqual(['allow', [0]]);
    await permit.settle({ status: 'success' });
  });

  it('charges a call once, however often and under whatever clock it is entered again', async () => {
    expect(await isAllowed(guard(), 1, 'order-1')).toBe(true);
    for (const ms of [0, 59_999, 1, -60_000]) {
      clock.advance(ms);
      expect(await guard().authorize(pay(1, 'order-1'))).toMatchObject({ decision: { reasonCode: 'CALL_ALREADY_RUN' } });
    }
    await store.close();
    store = openLedger(path, { clock });
    await Promise.all(Array.from({ length: 5 }, () => guard().authorize(pay(1, 'order-1'))));
    expect(await usedForLife()).toBe(1_000_000);
  });
});

describe('an approval and a budget', () => {
  it('reserve nothing for each other: a refusal by the budget leaves the approval for later', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const clock = fixedClock();
    const store = openLedger(path, { clock });
    const guard = guardOn(store, {
      clock,
      budgets: [budgetFrom({ id: 'one', per: 'agent', limit: 1, window: '1m' }), budgetFrom({ id: 'other', per: 'agent', limit: 9 })],
    });
    const ask = { tool: { name: 'ask' }, args: {}, id: 'call-1' };
    const pending = await guard.authorize(ask, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('did not ask');
    const used = async (): Promise<readonly (number | undefined)[]> => (await guard.budgets()).map(({ keys }) => keys[0]?.used);
    expect(await used()).toEqual([undefined, undefined]);
    // Somebody else takes the unit while the approval waits, and again after it was given.
    expect(await isAllowed(guard)).toBe(true);
    await guard.approvals.resolve(pending.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
    for (let i = 0; i < 3; i++) {
      expect(await guard.authorize(ask, { approval: 'suspend' })).toMatchObject({ decision: { reasonCode: 'BUDGET_EXCEEDED_AGENT_RATE' } });
      expect(await guard.approvals.get(pending.approvalId)).toMatchObject({ state: 'approved' });
    }
    expect(await used()).toEqual([1_000_000, 1_000_000]);
    clock.advance(60_000);
    const permit = await guard.authorize(ask, { approval: 'suspend' });
    expect(permit.kind).toBe('permit');
    expect(await guard.approvals.get(pending.approvalId)).toMatchObject({ state: 'consumed' });
    expect(await used()).toEqual([1_000_000, 2_000_000]);
    if (permit.kind === 'permit') await permit.settle({ status: 'success' });
    await store.close();
    expect(await verifyLedger(path)).toMatchObject({ integrity: 'intact', problems: [] });
  });
});

describe('daylight saving', () => {
  const zone = process.env['TZ'];
  afterEach(() => {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  });

  // The night in which 2 o'clock comes never, and the one in which it comes twice; a zone that moves by half an hour.
  it.each([
    ['Europe/Berlin', '2026-03-29T00:30:00Z'],
    ['Europe/Berlin', '2026-10-25T00:30:00Z'],
    ['America/New_York', '2026-11-01T05:30:00Z'],
    ['Australia/Lord_Howe', '2026-04-04T14:45:00Z'],
  ])('in %s on %s changes no window', async (timeZone, start) => {
    process.env['TZ'] = timeZone;
    const startMs = Date.parse(start);
    // The zone is really in force here, and the clocks really change in the hours that follow.
    const offsets = [0, 3_600_000].map((ms) => new Date(startMs + ms).getTimezoneOffset());
    expect(offsets[0]).not.toBe(offsets[1]);
    const clock = fixedClock(startMs);
    const store = openLedger(join(tempDirectory(), 'ledger.db'), { clock });
    const guard = guardOn(store, {
      policy: allowAll(),
      clock,
      budgets: [budgetFrom({ id: 'two-hours', per: 'agent', limit: 1, window: '2h' })],
    });
    expect(await isAllowed(guard)).toBe(true);
    clock.advance(7_200_000 - 1);
    expect(await isAllowed(guard)).toBe(false);
    clock.advance(1);
    expect(await isAllowed(guard)).toBe(true);
    await store.close();
  });
});
