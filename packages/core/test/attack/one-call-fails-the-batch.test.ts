/** One caller must not fail the callers that share its commit, nor poison the writer for those after it. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Authorization, allowAll, budgetFrom, createGuard, policyHash, type ToolCall } from '../../src/index.ts';
import type { SqliteStore } from '../../src/sqlite/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const call = (name: string, args: unknown = {}, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name }, args, ...more });
const outcome = (authorization: Authorization): string =>
  authorization.kind === 'permit' ? 'permit' : `${authorization.kind} ${authorization.decision.reasonCode}`;

describe('a hostile call in a batch', () => {
  let store: SqliteStore;
  beforeEach(() => {
    store = openLedger(join(tempDirectory(), 'ledger.db'));
  });
  afterEach(async () => {
    await store.close();
  });

  it('arguments that grow when redacted (4.2 MB of `&otp=1`) fail nobody else', async () => {
    const guard = guardOn(store);
    await guard.authorize(call('warm-up'));
    // Each member is below every limit; together their shown view is longer than canonical JSON may be.
    const half = '&otp=1'.repeat(349_000);
    const [hostile, innocent] = await Promise.all([guard.authorize(call('read', { a: half, b: half })), guard.authorize(call('read'))]);
    expect(outcome(innocent)).toBe('permit');
    expect(outcome(await guard.authorize(call('read')))).toBe('permit');
    expect(hostile.kind).toBe('refusal');
  });

  it('audit mode: costs whose sum leaves 64 bits fail nobody else', async () => {
    const budget = budgetFrom({ id: 'refunds', per: 'agent', limit: 100, window: '24h', tools: ['refund'], cost: 'args.amount' });
    const guard = guardOn(store, { mode: 'audit', policy: allowAll(), budgets: [budget] });
    const huge = Array.from({ length: 1030 }, () => guard.authorize(call('refund', { amount: 9_007_199_254 })));
    await Promise.all(huge);
    const [hostile, innocent] = await Promise.all([
      guard.authorize(call('refund', { amount: 9_007_199_254 })),
      guard.authorize(call('read')),
    ]);
    expect(outcome(innocent)).toBe('permit');
    expect(hostile.kind).toBeDefined();
  });

  it('a tool name that changes between check and use fails nobody else', async () => {
    const guard = guardOn(store);
    await guard.authorize(call('warm-up'));
    let reads = 0;
    const tool = {
      get name(): string {
        reads += 1;
        return reads > 1 ? 'x'.repeat(2_000_000) : 'read';
      },
    };
    const [hostile, innocent] = await Promise.all([guard.authorize({ tool, args: {} }), guard.authorize(call('read'))]);
    expect(outcome(innocent)).toBe('permit');
    expect(hostile.kind).toBeDefined();
  });

  it.each(['tool', 'args', 'session', 'id'])('a call whose %s cannot be read is a refusal, not a throw', async (member) => {
    const guard = guardOn(store);
    const hostile = Object.defineProperty(call('read'), member, {
      get: () => {
        throw new Error('no');
      },
    });
    const decided = new Promise<Authorization>((resolve) => resolve(guard.authorize(hostile)));
    expect(outcome(await decided)).toBe('refusal ARGUMENTS_INVALID');
    await expect(guard.run(hostile, () => 1)).rejects.toMatchObject({ code: 'CALL_REFUSED' });
  });

  it('a policy document that is too large once escaped is refused when the guard is made', () => {
    const document = '"'.repeat(600_000);
    const policy = { ...allowAll(), id: 'big', document, hash: policyHash(document) };
    expect(() => createGuard({ agent: 'a', policy, store })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('an approval time of half a millisecond on one tool fails nobody else', async () => {
    const guard = guardOn(store);
    await guard.authorize(call('warm-up'));
    const askTool = (): Promise<unknown> => Promise.resolve().then(() => guard.tool('ask', () => 1, { ttlMs: 60_000.5 })({}));
    const [hostile, innocent] = await Promise.allSettled([askTool(), guard.authorize(call('read'))]);
    expect(innocent.status === 'fulfilled' ? outcome(innocent.value) : innocent.reason).toBe('permit');
    expect(outcome(await guard.authorize(call('read')))).toBe('permit');
    expect(hostile.status).toBe('rejected');
  });

  it('a monitor that measures NaN loses its figures, not the outcomes of others', async () => {
    const bad = guardOn(store, {
      session: 'bad',
      monitor: {
        coverage: 'L0',
        begin: () => ({ end: () => ({ cpu_ms: Number.NaN, samples: 0, scope: 'process' }) }),
        close: async () => {},
      },
    });
    const good = guardOn(store);
    const permits = await Promise.all([bad.authorize(call('read')), good.authorize(call('read'))]);
    for (const permit of permits) if (permit.kind === 'permit') await permit.settle({ status: 'success', result: 1 }, { durable: true });
    expect(outcome(await good.authorize(call('read')))).toBe('permit');
    expect(good.counters.lostOutcomes).toBe(0);
  });
});
