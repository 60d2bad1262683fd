/** Nothing waits for ever (promise 2), and nothing gives up too soon. */
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { definePolicy } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

afterEach(() => {
  vi.useRealTimers();
});

const settledWithin = (work: Promise<unknown>, ms: number): Promise<unknown> =>
  Promise.race([work.catch((error: unknown) => error), new Promise((resolve) => setTimeout(() => resolve('still waiting'), ms))]);

it('a policy that never answers is a deny, not a hang', async () => {
  vi.useFakeTimers();
  const silent = definePolicy({ id: 'silent', evaluate: () => new Promise(() => {}) });
  const guard = guardOn(memoryStore(), { policy: silent });
  const decided = vi.fn<(value: unknown) => void>();
  void guard.authorize({ tool: { name: 'read' }, args: {} }).then(decided);
  await vi.advanceTimersByTimeAsync(15 * 60_000);
  expect(decided).toHaveBeenCalledWith(
    expect.objectContaining({ kind: 'refusal', decision: expect.objectContaining({ reasonCode: 'POLICY_EVALUATION_FAILED' }) }),
  );
});

it('closing the store releases who waits for an approval', async () => {
  const store = openLedger(join(tempDirectory(), 'ledger.db'));
  const guard = guardOn(store);
  const waiting = guard.authorize({ tool: { name: 'ask' }, args: {} });
  await vi.waitFor(async () => expect(await guard.approvals.list({ state: 'pending' })).toHaveLength(1), { timeout: 30_000 });
  await guard.close();
  await store.close();
  expect(await settledWithin(waiting, 20_000)).toMatchObject({ kind: 'refusal' });
});

it('an approval that may wait for 30 days does not expire at once', async () => {
  const days30 = 30 * 24 * 60 * 60_000;
  const store = memoryStore();
  const guard = guardOn(store, { approvals: { ttlMs: days30, maxTtlMs: days30 } });
  const waiting = guard.authorize({ tool: { name: 'ask' }, args: {} });
  expect(await settledWithin(waiting, 300)).toBe('still waiting');
});
