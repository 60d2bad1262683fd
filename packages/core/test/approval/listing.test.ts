/** Lists of approvals: order, pages, filters, counts. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ApprovalFilter, type ApprovalRow, definePolicy, type Store } from '../../src/index.ts';
import { readLedger } from '../../src/sqlite/index.ts';
import { type FixedClock, fixedClock, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const ALL = { pending: 0, approved: 0, denied: 0, expired: 0, failed: 0, consumed: 0 };
const askAll = definePolicy({ id: 'ask', evaluate: () => ({ effect: 'require_approval', rule: 'ask' }) });
const BOB = { id: 'bob', method: 'host' } as const;

interface Filled {
  readonly store: Store;
  readonly clock: FixedClock;
}

/** Nine approvals, three a millisecond; of each two sessions and agents, three tools. */
async function filled(open: (clock: FixedClock) => Store): Promise<Filled> {
  const clock = fixedClock();
  const store = open(clock);
  for (let i = 0; i < 9; i++) {
    const guard = guardOn(store, { policy: askAll, agent: i % 2 === 0 ? 'even' : 'odd', session: `s${i % 2}` });
    const tool = [{ name: 'read' }, { server: 'fs', name: 'read' }, { server: 'fs', name: 'write' }][i % 3] ?? { name: '' };
    await guard.authorize({ tool, args: { i } }, { approval: 'suspend' });
    if (i % 3 === 2) clock.advance(1);
  }
  return { store, clock };
}

const number = (row: ApprovalRow): number => (row.shown as { readonly i: number }).i;

describe.each([
  ['memory', (clock: FixedClock) => memoryStore({ clock })],
  ['sqlite', (clock: FixedClock) => openLedger(join(tempDirectory(), 'ledger.db'), { clock })],
])('approvals of the %s store', (_name, open) => {
  const ids = async (store: Store, filter: ApprovalFilter): Promise<readonly string[]> =>
    (await store.approvals(filter)).map(({ id }) => id);

  it('pages of any size give every approval once, in the order of one page of all', async () => {
    const { store } = await filled(open);
    for (const state of ['pending', undefined] as const) {
      const filter = state === undefined ? {} : { state };
      const whole = await ids(store, filter);
      expect(new Set(whole).size).toBe(9);
      for (const limit of [1, 2, 3, 4, 8, 9, 10]) {
        const seen: string[] = [];
        for (let after: string | undefined; ; after = seen.at(-1)) {
          const page = await ids(store, { ...filter, limit, ...(after !== undefined && { after }) });
          if (page.length === 0) break;
          expect(page.length).toBeLessThanOrEqual(limit);
          seen.push(...page);
        }
        expect(seen).toEqual(whole);
      }
    }
    const oldest = (await store.approvals({ state: 'pending' })).map(({ createdAtMs }) => createdAtMs);
    expect(oldest).toEqual(oldest.toSorted((a, b) => a - b));
    const newest = (await store.approvals()).map(({ createdAtMs }) => createdAtMs);
    expect(newest).toEqual(newest.toSorted((a, b) => b - a));
    await store.close();
  });

  it('a page goes on where the last one ended, though that approval was answered meanwhile', async () => {
    const { store } = await filled(open);
    const whole = await ids(store, { state: 'pending' });
    const [, second = ''] = await ids(store, { state: 'pending', limit: 2 });
    await guardOn(store).approvals.resolve(second, { decision: 'deny' }, BOB);
    expect(await ids(store, { state: 'pending', after: second })).toEqual(whole.slice(2));
    await store.close();
  });

  it('filters by state, agent, session and tool, all of which must hold', async () => {
    const { store } = await filled(open);
    const of = async (filter: ApprovalFilter): Promise<unknown> =>
      (await store.approvals({ state: 'pending', ...filter })).map(number).toSorted((a, b) => a - b);
    expect(await of({ agent: 'odd' })).toEqual([1, 3, 5, 7]);
    expect(await of({ session: 's0' })).toEqual([0, 2, 4, 6, 8]);
    expect(await of({ tool: 'read' })).toEqual([0, 1, 3, 4, 6, 7]);
    expect(await of({ tool: 'fs/read' })).toEqual([1, 4, 7]);
    expect(await of({ tool: 'fs/read', agent: 'even' })).toEqual([4]);
    for (const filter of [
      { tool: 'fs/*' },
      { tool: "' OR 1=1 --" },
      { agent: '__proto__' },
      { session: '' },
      { tool: 'fs/read', session: 's9' },
    ])
      expect(await of(filter)).toEqual([]);
    expect(await store.approvals({ state: 'denied' })).toEqual([]);
    await store.close();
  });

  it('counts by state what a list would give, also what expired while nobody looked', async () => {
    const { store, clock } = await filled(open);
    const guard = guardOn(store);
    const whole = await ids(store, { state: 'pending' });
    await guard.approvals.resolve(whole[0] ?? '', { decision: 'deny' }, BOB);
    await guard.approvals.resolve(whole[1] ?? '', { decision: 'approve' }, BOB);
    await store.commit({ kind: 'lapse', approval: whole[2] ?? '', state: 'failed' });
    expect(await guard.approvals.counts()).toEqual({ ...ALL, denied: 1, approved: 1, failed: 1, pending: 6 });
    expect(await guard.approvals.counts({ agent: 'even' })).toMatchObject({ pending: 3 });
    const [last] = await store.approvals({ state: 'pending', limit: 1 });
    clock.advance((last?.expiresAtMs ?? 0) - clock.nowMs());
    const stale = (await store.approvals({ state: 'expired' })).length;
    expect(stale).toBeGreaterThan(0);
    expect(await store.approvalCounts()).toEqual({ ...ALL, denied: 1, approved: 1, failed: 1, pending: 6 - stale, expired: stale });
    expect(await store.approvals({ state: 'pending' })).toHaveLength(6 - stale);
    expect((await store.approvals()).filter(({ state }) => state === 'expired')).toHaveLength(stale);
    await store.close();
  });

  it.each([
    { limit: 0 },
    { limit: -1 },
    { limit: 1.5 },
    { limit: 10_001 },
    { limit: Number.NaN },
    { state: 'done' },
    { state: 'constructor' },
    { agent: 7 },
  ])('refuses %j', async (filter) => {
    const store = open(fixedClock());
    await expect(store.approvals(filter as ApprovalFilter)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    await store.close();
  });

  it('refuses a page after an approval that is not there', async () => {
    const { store } = await filled(open);
    for (const after of ['', 'x', '__proto__', 'f'.repeat(32)])
      await expect(store.approvals({ after })).rejects.toMatchObject({ code: 'APPROVAL_NOT_FOUND' });
    await store.close();
  });
});

it('a guard lists page after page', async () => {
  const { store } = await filled((clock) => memoryStore({ clock }));
  const guard = guardOn(store);
  const seen: ApprovalRow[] = [];
  for (let last: ApprovalRow | undefined; ; last = seen.at(-1)) {
    const page = await guard.approvals.list({ state: 'pending', limit: 50, ...(last !== undefined && { after: last.id }) });
    if (page.length === 0) break;
    seen.push(...page);
  }
  expect(seen).toHaveLength(9);
});

it('a page is at most 100 unless more is asked for', async () => {
  const store = memoryStore();
  const guard = guardOn(store, { policy: askAll });
  for (let i = 0; i < 101; i++) await guard.authorize({ tool: { name: 'x' }, args: { i } }, { approval: 'suspend' });
  expect(await guard.approvals.list()).toHaveLength(100);
  expect(await guard.approvals.list({ limit: 10_000 })).toHaveLength(101);
});

it('a reader pages and counts like the store, whatever the filter', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const { store } = await filled((clock) =>
    openLedger(path, { clock: { nowMs: () => clock.nowMs() + Date.now() - Date.UTC(2026, 0, 1) } }),
  );
  const known = (await store.approvals()).map(({ id }) => id);
  const reader = readLedger(path);
  const maybe = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
  const filters = fc.record({
    state: maybe(['pending', 'denied', 'expired'] as const),
    agent: maybe(['even', 'odd', 'none']),
    session: maybe(['s0', 's1']),
    tool: maybe(['read', 'fs/read', 'fs']),
    limit: maybe([1, 3, 100]),
    after: maybe(known),
  });
  await fc.assert(
    fc.asyncProperty(filters, async (given) => {
      const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as ApprovalFilter;
      expect(reader.approvals(filter).map(({ id }) => id)).toEqual((await store.approvals(filter)).map(({ id }) => id));
      expect(reader.approvalCounts(filter)).toEqual(await store.approvalCounts(filter));
    }),
    { numRuns: 60 },
  );
  expect(() => reader.approvals({ limit: 0 })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  expect(() => reader.approvals({ after: 'x' })).toThrow(expect.objectContaining({ code: 'APPROVAL_NOT_FOUND' }));
  reader.close();
  await store.close();
});

it('a row whose state somebody invented is in no list and in no count', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const { store } = await filled((clock) => openLedger(path, { clock }));
  await store.close();
  const database = new Sqlite(path);
  database.exec(`UPDATE approvals SET state = 'constructor' WHERE tool = 'write'`);
  database.close();
  const reader = readLedger(path);
  expect(reader.approvals()).toHaveLength(6);
  expect(Object.keys(reader.approvalCounts())).toEqual(Object.keys(ALL));
  reader.close();
});
