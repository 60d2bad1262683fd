/** Waiting for an answer to a call that was suspended: nothing is used up, and it ends with the answer, the expiry or the caller. */
import { describe, expect, it } from 'vitest';
import type { Guard } from '../../src/index.ts';
import { rulePolicy } from '../../src/index.ts';
import { guardOn } from '../fixtures/ledger.ts';
import { memory, sqlite } from './stores.ts';

const policy = rulePolicy({ id: 'p', rules: [{ id: 'ask', tools: ['pay'], effect: 'require_approval' }] });
const call = { tool: { name: 'pay' }, args: { amount: 7 }, session: 's' };
const ann = { id: 'ann', method: 'host' } as const;

async function suspended(guard: Guard): Promise<string> {
  const asked = await guard.authorize(call, { approval: 'suspend' });
  if (asked.kind !== 'pending') throw new Error(asked.decision.reasonCode);
  return asked.approvalId;
}

describe.each([
  ['memory', memory],
  ['sqlite', sqlite],
])('approvals.settled on %s', (_name, open) => {
  it.each(['approve', 'deny'] as const)('waits for an answer (%s) that another process gives', async (decision) => {
    const ledger = open();
    const [guard, other] = [guardOn(ledger.store, { policy }), guardOn(ledger.again(), { policy })];
    const id = await suspended(guard);
    const waited = guard.approvals.settled(id);
    await other.approvals.resolve(id, { decision }, ann);
    expect((await waited)?.state).toBe(decision === 'approve' ? 'approved' : 'denied');
    // Settled already: told at once, and as often as asked.
    expect((await guard.approvals.settled(id))?.state).toBe(decision === 'approve' ? 'approved' : 'denied');
  });

  it('uses nothing up, and leaves an approval it gives up on to be answered', async () => {
    const ledger = open();
    const guard = guardOn(ledger.store, { policy });
    const id = await suspended(guard);
    const controller = new AbortController();
    const waited = guard.approvals.settled(id, { signal: controller.signal });
    controller.abort();
    expect((await waited)?.state).toBe('pending');
    expect((await guard.approvals.settled(id, { signal: AbortSignal.abort() }))?.state).toBe('pending');
    await guard.approvals.resolve(id, { decision: 'approve' }, ann);
    const permit = await guard.authorize(call, { approval: 'suspend', adopt: true });
    expect(permit.kind).toBe('permit');
    if (permit.kind === 'permit') await permit.settle({ status: 'success' });
    expect((await guard.approvals.settled(id))?.state).toBe('consumed');
    expect(await ledger.problems()).toEqual([]);
  });

  it('ends when the approval has expired', async () => {
    const ledger = open();
    const guard = guardOn(ledger.store, { policy });
    const id = await suspended(guard);
    ledger.clock.advance(6 * 60_000);
    expect((await guard.approvals.settled(id))?.state).toBe('expired');
  });

  it('knows nothing of an id there is none of', async () => {
    const guard = guardOn(open().store, { policy });
    expect(await guard.approvals.settled('none')).toBeUndefined();
    expect(await guard.approvals.settled('__proto__')).toBeUndefined();
  });
});
