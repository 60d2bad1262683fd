/** `approvals: { notify }`: what the application is told, by whoever answered, and that it changes nothing. */
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { type ApprovalEvent, currentCall, definePolicy, type GuardOptions, type Store } from '../../src/index.ts';
import { immediateApprover, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const ASK = { tool: { name: 'ask' }, args: { amount: 7, note: 'key AKIAIOSFODNN7EXAMPLE' } };
const BOB = { id: 'bob', method: 'host' } as const;

function listening(store: Store, options: Partial<GuardOptions> = {}) {
  const events: ApprovalEvent[] = [];
  const guard = guardOn(store, { ...options, approvals: { ...options.approvals, notify: (event) => void events.push(event) } });
  const told = (): readonly string[] =>
    events.map((event) => (event.kind === 'settled' ? event.approval.state : event.kind === 'answered' ? event.answer.answer : event.kind));
  const becomes = async (wanted: readonly string[]): Promise<void> => {
    await vi.waitFor(() => expect(told()).toEqual(wanted), 20_000);
  };
  return { guard, events, becomes };
}

describe.each([
  ['memory', () => memoryStore()],
  ['sqlite', () => openLedger(join(tempDirectory(), 'ledger.db'))],
])('on the %s store', (_name, open) => {
  it('tells of ask, answer, approval and use, in this order and once', async () => {
    const { guard, events, becomes } = listening(open(), { channels: [immediateApprover('approve')] });
    await guard.run(ASK, () => 1);
    await becomes(['asked', 'approve', 'approved', 'consumed']);
    expect(events.map(({ approval }) => approval.state)).toEqual(['pending', expect.any(String), 'approved', 'consumed']);
    expect(events[1]).toMatchObject({ answer: { approver: 'test', answer: 'approve' } });
    await guard.close();
    await becomes(['asked', 'approve', 'approved', 'consumed']);
  });

  it('tells of a denial, a failure and an expiry', async () => {
    for (const [channel, ttlMs, wanted] of [
      [immediateApprover('deny'), 60_000, ['asked', 'deny', 'denied']],
      [immediateApprover(() => Promise.reject(new Error('down'))), 60_000, ['asked', 'failed']],
      [{ name: 'silent', ask: async () => {} }, 500, ['asked', 'expired']],
    ] as const) {
      const { guard, becomes } = listening(open(), { channels: [channel], approvals: { ttlMs } });
      expect((await guard.authorize(ASK)).kind).toBe('refusal');
      await becomes(wanted);
      await guard.close();
    }
  });

  it('tells of every answer of a quorum', async () => {
    const store = open();
    const policy = { effect: 'require_approval', rule: 'two', terms: { quorum: 2 } } as const;
    const { guard, becomes } = listening(store, { policy: definePolicy({ id: 'two', evaluate: () => policy }) });
    const waiting = guard.authorize(ASK);
    await becomes(['asked']);
    const [row] = await guard.approvals.list();
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, BOB);
    await becomes(['asked', 'approve']);
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, { id: 'ann', method: 'host' });
    expect((await waiting).kind).toBe('permit');
    await becomes(['asked', 'approve', 'approve', 'approved', 'consumed']);
  });

  it('carries the shown view only, in a copy that reaches nobody', async () => {
    const store = open();
    const events: ApprovalEvent[] = [];
    const guard = guardOn(store, {
      channels: [immediateApprover('deny')],
      approvals: {
        notify: (event) => {
          events.push(structuredClone(event));
          Object.assign(event.approval, { state: 'approved', quorum: 0, shown: 'x', id: 'y' });
        },
      },
    });
    expect(await guard.authorize(ASK)).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'APPROVAL_DENIED' } });
    await vi.waitFor(() => expect(events).toHaveLength(3), 20_000);
    expect(JSON.stringify(events)).not.toContain('AKIAIOSFODNN7EXAMPLE');
    expect(events[2]?.approval).toMatchObject({ state: 'denied', shown: { amount: 7 } });
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('a bug of the application');
      },
    ],
    ['rejects', async () => Promise.reject(new Error('a bug of the application'))],
    ['never resolves', () => new Promise<void>(() => {})],
  ])('nobody waits for it, and nothing depends on it: %s', async (how, notify) => {
    const errors: string[] = [];
    const guard = guardOn(open(), {
      channels: [immediateApprover('approve')],
      approvals: { notify },
      onError: (error, { during }) => errors.push(`${during}: ${(error as Error).message}`),
    });
    expect(await guard.run(ASK, () => 'ran')).toBe('ran');
    await guard.close();
    if (how === 'never resolves') return expect(errors).toEqual([]);
    await vi.waitFor(() => expect(errors).toHaveLength(4), 20_000);
    expect(new Set(errors)).toEqual(new Set(['approvals.notify: a bug of the application']));
  });
});

it('tells of answers that another process gives while this one waits', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const { guard, becomes } = listening(openLedger(path));
  const waiting = guard.authorize(ASK);
  await becomes(['asked']);
  const elsewhere = guardOn(openLedger(path), { session: 'other' });
  const [row] = await elsewhere.approvals.list({ state: 'pending' });
  await elsewhere.approvals.resolve(row?.id ?? '', { decision: 'approve' }, BOB);
  expect((await waiting).kind).toBe('permit');
  await becomes(['asked', 'approve', 'approved', 'consumed']);
});

it('is outside of the call it is told of: what it calls is no part of the tool', async () => {
  const scopes: unknown[] = [];
  const guard = guardOn(memoryStore(), {
    channels: [immediateApprover('approve')],
    approvals: { notify: () => void scopes.push(currentCall()) },
  });
  const inner = guardOn(memoryStore());
  await inner.run({ tool: { name: 'outer' }, args: {} }, () => guard.run(ASK, () => 1));
  await vi.waitFor(() => expect(scopes).toHaveLength(4), 20_000);
  expect(new Set(scopes)).toEqual(new Set([undefined]));
});

it('is refused when it is no function', () => {
  expect(() => guardOn(memoryStore(), { approvals: { notify: 'x' as never } })).toThrow(
    expect.objectContaining({ code: 'OPTIONS_INVALID' }),
  );
});
