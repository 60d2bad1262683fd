/** Callers that give up, at every point of a call, and calls that nobody settles. */
import { describe, expect, it } from 'vitest';
import { budgetFrom, type CallEvent, type Guard, type GuardOptions, type ToolCall } from '../../src/index.ts';
import { type FixedClock, fixedClock, type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

const call = (name: string, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name }, args: { n: 1 }, ...more });

interface Setup {
  readonly clock: FixedClock;
  readonly store: MemoryStore;
  readonly guard: Guard;
  readonly events: CallEvent[];
}

function setup(options: Partial<GuardOptions> = {}): Setup {
  const clock = fixedClock();
  const store = memoryStore({ clock });
  const events: CallEvent[] = [];
  return { clock, store, events, guard: guardOn(store, { onEvent: (event) => void events.push(event), ...options }) };
}

const recorded = (store: MemoryStore): readonly string[] =>
  store.entries().flatMap((entry) => {
    if (entry.kind === 'decision') return [`${entry.effect} ${entry.reason_code}`];
    return entry.kind === 'outcome' ? [entry.status] : [];
  });
const refusedAs = (code: string) =>
  expect.objectContaining({ code: 'CALL_REFUSED', details: expect.objectContaining({ reasonCode: code }) });

describe('a caller that gives up', () => {
  it('before the call is decided: it is refused and recorded, and the same call may come again', async () => {
    const { guard, store } = setup();
    const signal = AbortSignal.abort();
    await expect(guard.run(call('read', { id: 'c1' }), () => 1, { signal })).rejects.toEqual(refusedAs('CALL_CANCELLED'));
    expect(recorded(store)).toEqual(['deny CALL_CANCELLED']);
    await expect(guard.run(call('read', { id: 'c1' }), () => 'ran')).resolves.toBe('ran');
  });

  it('before it is decided, with an ask open: whoever would have waited takes the question back, anybody else leaves it', async () => {
    const { guard } = setup();
    const asked = call('ask', { id: 'c1' });
    const signal = AbortSignal.abort();
    const states = async (): Promise<readonly string[]> => (await guard.approvals.list()).map(({ state }) => state);
    const pending = await guard.authorize(asked, { approval: 'suspend' });
    expect((await guard.authorize(asked, { approval: 'suspend', signal })).decision.reasonCode).toBe('CALL_CANCELLED');
    expect(await states()).toEqual(['pending']);
    expect(await guard.authorize(asked, { approval: 'suspend' })).toMatchObject({ kind: 'pending', callId: pending.callId });
    expect((await guard.authorize(asked, { approval: 'wait', signal })).decision.reasonCode).toBe('CALL_CANCELLED');
    expect(await states()).toEqual(['expired']);
  });

  it('before it is decided, with an answer there: it is good for the next one who comes', async () => {
    const { guard } = setup();
    const asked = call('ask', { id: 'c1' });
    const pending = await guard.authorize(asked, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('it did not ask');
    await guard.approvals.resolve(pending.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
    expect((await guard.authorize(asked, { signal: AbortSignal.abort() })).decision.reasonCode).toBe('CALL_CANCELLED');
    await expect(guard.run(asked, () => 'ran')).resolves.toBe('ran');
  });

  it('while it is decided: nothing runs, the ledger has an outcome, and the budget its charge back', async () => {
    const giveUp = new AbortController();
    const budget = budgetFrom({ id: 'few', per: 'agent', limit: 1, window: '1h' });
    const { guard, store, events } = setup({ budgets: [budget] });
    const commit = store.commit.bind(store);
    store.commit = async (unit, how) => {
      const committed = await commit(unit, how);
      if (unit.kind === 'decide') giveUp.abort();
      return committed;
    };
    let ran = 0;
    await expect(guard.run(call('read'), () => ++ran, { signal: giveUp.signal })).rejects.toEqual(refusedAs('CALL_CANCELLED'));
    await guard.close();
    expect(ran).toBe(0);
    expect(recorded(store)).toEqual(['allow POLICY_ALLOW_LOW_RISK', 'cancelled']);
    expect(events.map(({ kind }) => kind)).toEqual(['call-allowed', 'call-settled']);
    expect(guard.openCalls()).toEqual([]);
    expect((await guard.budgets())[0]).toMatchObject({ keys: [] });
  });

  it('while it waits for an approval', async () => {
    const { guard, store, events } = setup();
    const giveUp = new AbortController();
    const waiting = guard.run(call('ask'), () => 1, { signal: giveUp.signal });
    await until(() => events.some(({ kind }) => kind === 'call-pending'));
    giveUp.abort();
    await expect(waiting).rejects.toEqual(refusedAs('CALL_CANCELLED'));
    expect(recorded(store)).toEqual(['require_approval POLICY_REQUIRE_APPROVAL_HIGH_VALUE', 'deny CALL_CANCELLED']);
    expect((await guard.approvals.list()).map(({ state }) => state)).toEqual(['expired']);
  });

  it.each(['run', 'tool'] as const)('while the tool of guard.%s runs and heeds the signal: cancelled, and what it threw', async (way) => {
    const { guard, store } = setup();
    const giveUp = new AbortController();
    const tool = async (_args: unknown, scope: { readonly signal?: AbortSignal }): Promise<void> => {
      giveUp.abort(new RangeError('enough'));
      scope.signal?.throwIfAborted();
    };
    const { signal } = giveUp;
    const running = way === 'run' ? guard.run(call('read'), tool, { signal }) : guard.tool('read', tool)({}, {}, { signal });
    await expect(running).rejects.toThrow('enough');
    await guard.close();
    expect(recorded(store)).toEqual(['allow POLICY_ALLOW_LOW_RISK', 'cancelled']);
  });

  it('while a tool runs that ignores it: the tool ran to its end, and that is what is recorded', async () => {
    const { guard, store } = setup();
    const giveUp = new AbortController();
    const running = guard.run(
      call('read'),
      () => {
        giveUp.abort();
        return 'done';
      },
      { signal: giveUp.signal },
    );
    await expect(running).resolves.toBe('done');
    await guard.close();
    expect(recorded(store)).toEqual(['allow POLICY_ALLOW_LOW_RISK', 'success']);
  });

  it('after it ended: nothing changes', async () => {
    const { guard, store } = setup();
    const giveUp = new AbortController();
    await guard.run(call('read', { id: 'c1' }), () => 'done', { signal: giveUp.signal });
    giveUp.abort();
    await guard.close();
    expect(recorded(store)).toEqual(['allow POLICY_ALLOW_LOW_RISK', 'success']);
  });

  it('a tool that fails while nobody gave up has failed', async () => {
    const { guard, store } = setup();
    const boom = guard.run(call('read'), () => Promise.reject(new Error('own')), { signal: new AbortController().signal });
    await expect(boom).rejects.toThrow('own');
    await guard.close();
    expect(recorded(store)).toEqual(['allow POLICY_ALLOW_LOW_RISK', 'error']);
  });

  it('a time limit is a signal like any other', async () => {
    const { guard, store } = setup();
    const tool = (_args: unknown, { signal }: { readonly signal?: AbortSignal }): Promise<never> =>
      new Promise((_done, fail) => signal?.addEventListener('abort', () => fail(signal.reason as Error)));
    await expect(guard.tool('read', tool)({}, {}, { signal: AbortSignal.timeout(500) })).rejects.toThrow(/timeout/i);
    await guard.close();
    expect(recorded(store)).toEqual(['allow POLICY_ALLOW_LOW_RISK', 'cancelled']);
  });
});

describe('calls that are open', () => {
  it('are listed until they are settled, oldest first, by age on the clock of the store', async () => {
    const { guard, clock, store } = setup();
    const startMs = clock.nowMs();
    const first = await guard.authorize(call('read', { session: 's2', principal: 'mia', tool: { server: 'files', name: 'read' } }));
    clock.advance(1000);
    const second = await guard.authorize(call('write'));
    clock.advance(1000);
    expect(guard.openCalls()).toEqual([
      { callId: first.callId, tool: { server: 'files', name: 'read' }, session: 's2', principal: 'mia', sinceMs: startMs },
      { callId: second.callId, tool: { name: 'write' }, session: 's1', sinceMs: startMs + 1000 },
    ]);
    expect(guard.openCalls({ olderThanMs: 2000 }).map(({ callId }) => callId)).toEqual([first.callId]);
    expect(guard.openCalls({ olderThanMs: 2001 })).toEqual([]);
    const before = store.entries().length;
    expect(guard.openCalls({ olderThanMs: 0 })).toHaveLength(2);
    // To look changes nothing: the ledger says no more than that they are open.
    expect(store.entries()).toHaveLength(before);
    if (first.kind === 'permit') await first.settle({ status: 'success' });
    if (second.kind === 'permit') await second.release({ status: 'error', error: new Error('x') });
    expect(guard.openCalls()).toEqual([]);
  });

  it('are none of those that were refused, wait, or failed in the ledger', async () => {
    const { guard, store } = setup();
    await guard.authorize(call('no'));
    await guard.authorize(call('ask'), { approval: 'suspend' });
    store.failWith(new Error('disk full'));
    await guard.authorize(call('read'));
    expect(guard.openCalls()).toEqual([]);
  });

  it('is settled for this list also when its outcome could not be recorded', async () => {
    const { guard, store } = setup();
    const permit = await guard.authorize(call('read'));
    store.failWith(new Error('disk full'));
    if (permit.kind === 'permit') await permit.settle({ status: 'success' });
    expect(guard.openCalls()).toEqual([]);
    await guard.close();
    expect(guard.counters.lostOutcomes).toBe(1);
  });

  it('are copies, and the age is checked', async () => {
    const { guard } = setup();
    await guard.authorize(call('read'));
    const [listed] = guard.openCalls() as readonly { readonly tool: { name: string } }[];
    if (listed !== undefined) listed.tool.name = 'other';
    expect(guard.openCalls()[0]?.tool.name).toBe('read');
    for (const olderThanMs of [-1, Number.NaN, '1' as never, Number.POSITIVE_INFINITY])
      expect(() => guard.openCalls({ olderThanMs })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setImmediate(done));
}
