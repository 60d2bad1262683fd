/** Two who come with one call at the same moment: a resume that is retried, two workers of one queue. One ask, and its answer counts. */
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Authorization, type Guard, type Json, rulePolicy, type ToolCall, type Unit } from '../../src/index.ts';
import { type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf } from '../verify/forge.ts';

const ALICE = { id: 'alice', method: 'host' } as const;
const CALL: ToolCall = { tool: { name: 'pay' }, args: { amount: 700 }, id: 'f1', turn: 't' };
const policyFrom = (least: number) =>
  rulePolicy({
    id: 'pay',
    rules: [
      { id: 'ask', tools: ['pay'], when: `args.amount > ${least}`, effect: 'require_approval' },
      { id: 'small', tools: ['pay'], effect: 'allow' },
    ],
  });

/** Guards with a store each on one file, as in two processes. */
function two(path: string): readonly Guard[] {
  const opened = [1, 2].map(() => {
    const store = openLedger(path);
    return { store, guard: guardOn(store, { policy: policyFrom(100) }) };
  });
  onTestFinished(async () => {
    for (const { guard } of opened) await guard.close();
    for (const { store } of opened) await store.close();
    expect((await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).problems).toEqual([]);
  });
  return opened.map(({ guard }) => guard);
}

const come = (guard: Guard): Promise<Authorization> => guard.authorize(CALL, { approval: 'suspend' });
const both = (guards: readonly Guard[]): Promise<readonly Authorization[]> => Promise.all(guards.map(come));

async function waiting(guard: Guard): Promise<string> {
  const rows = await guard.approvals.list({ state: 'pending' });
  expect(rows).toHaveLength(1);
  return rows[0]?.id ?? '';
}

const asks = (path: string): number => entriesOf(path).filter((entry) => entry['effect'] === 'require_approval').length;

describe('a call that two bring at once', () => {
  it.each(['one guard', 'two stores'])('is asked about once, and runs once when it is approved: %s', async (how) => {
    const path = join(tempDirectory(), 'ledger.db');
    const [one, other] = two(path) as [Guard, Guard];
    const guards = how === 'one guard' ? [one, one] : [one, other];
    const id = (await both(guards)).map((each) => (each.kind === 'pending' ? each.approvalId : each.decision.reasonCode));
    expect(id).toEqual([await waiting(one), await waiting(one)]);
    expect(asks(path)).toBe(1);
    await one.approvals.resolve(id[0] ?? '', { decision: 'approve' }, ALICE);
    const permit = await come(other);
    expect(permit).toMatchObject({ kind: 'permit', decision: { reasonCode: 'APPROVAL_GRANTED' } });
    if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
    expect(await come(one)).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'CALL_ALREADY_RUN' } });
  });

  it.each(['one guard', 'two stores'])('made by an edit that is asked about anew: %s', async (how) => {
    const path = join(tempDirectory(), 'ledger.db');
    const [one, other] = two(path) as [Guard, Guard];
    await come(one);
    const edit = (args: Json) => ({ decision: 'edit', args }) as const;
    await one.approvals.resolve(await waiting(one), edit({ amount: 300 }), ALICE);
    const kinds = (await both(how === 'one guard' ? [one, one] : [one, other])).map(({ kind }) => kind);
    expect(kinds).toEqual(['pending', 'pending']);
    expect(asks(path)).toBe(2);
    await one.approvals.resolve(await waiting(one), { decision: 'approve' }, ALICE);
    const permit = await come(other);
    expect(permit).toMatchObject({ kind: 'permit', args: { amount: 300 } });
    if (permit.kind === 'permit') await permit.settle({ status: 'success' });
  });

  it('and that another guard would allow: it runs once, and the question is not refused under it', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const asking = guardOn(store, { policy: policyFrom(100) });
    let reached = (): void => {};
    const isReached = new Promise<void>((resolve) => {
      reached = resolve;
    });
    let release = (): void => {};
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    // It has looked for the call and found none, and is about to commit.
    const late = Object.assign(Object.create(store) as SqliteStore, {
      commit: async (unit: Unit) => {
        if (unit.kind === 'decide' && unit.body.effect === 'allow') {
          reached();
          await isReleased;
        }
        return store.commit(unit);
      },
    });
    const allowing = guardOn(late, { policy: policyFrom(1000) });
    const allowed = come(allowing);
    await isReached;
    expect((await come(asking)).kind).toBe('pending');
    release();
    const permit = await allowed;
    expect(permit.kind).toBe('permit');
    if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
    expect(await come(asking)).toMatchObject({ decision: { reasonCode: 'CALL_ALREADY_RUN' } });
    for (const guard of [asking, allowing]) await guard.close();
    await store.close();
    expect((await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).problems).toEqual([]);
  });
});
