/** Attempts to get a tool to run without a record, twice, or with another's approval, by whoever holds ids, threads and messages. */
import { Command, MemorySaver } from '@langchain/langgraph';
import { createAgent, fakeModel } from 'langchain';
import { describe, expect, it } from 'vitest';
import { countersignMiddleware, guardTool } from '../../src/index.ts';
import { asks, bench, decisions, done, notingTool, toolMessages } from '../agent.ts';

const alice = { id: 'alice', method: 'host' } as const;
type Call = Parameters<typeof asks>[0];

function agentOf({ guard }: ReturnType<typeof bench>, ran: unknown[], calls: readonly Call[], messageId?: string) {
  const message = asks(...calls);
  if (messageId !== undefined) message.id = messageId;
  const model = fakeModel().respond(message).respond(done());
  const middleware = [countersignMiddleware(guard, { principal: ({ configurable }) => String(configurable['user']) })];
  const tools = [notingTool('pay', ran), notingTool('read', ran)];
  return createAgent({ model, tools, middleware, checkpointer: new MemorySaver() });
}

const run = (thread_id: string, user: string) => ({ configurable: { thread_id, user } });
const pay: Call = { name: 'pay', args: { amount: 500 }, id: 'c1' };
const allowed = ({ store }: ReturnType<typeof bench>): number => decisions(store).filter((line) => line.includes(' allow ')).length;

describe('the approval of one user', () => {
  it('opens nothing for another user in the same thread, with the same message and ids', async () => {
    const it = bench();
    const ran: unknown[] = [];
    await agentOf(it, ran, [pay], 'message-1').invoke({ messages: 'go' }, run('t', 'ana'));
    const [waiting] = await it.guard.approvals.list({ state: 'pending' });
    await it.guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, alice);
    await agentOf(it, ran, [pay], 'message-1').invoke({ messages: 'go' }, run('t', 'eve'));
    expect(ran).toEqual([]);
    expect(allowed(it)).toBe(0);
  });

  it('and its result is not told to another user, in or after the run', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const read: Call = { name: 'read', args: { amount: 1 }, id: 'c1' };
    const texts = await Promise.all(
      ['ana', 'eve', 'ana'].map(async (user) =>
        toolMessages(await agentOf(it, ran, [read], 'message-1').invoke({ messages: 'go' }, run('t', user))).map(({ text }) => text),
      ),
    );
    expect(texts).toEqual([['read done'], ['read done'], ['read done']]);
    // Ana's two are one call; Eve's is another, decided and recorded for her.
    expect(ran).toHaveLength(2);
    expect(allowed(it)).toBe(2);
  });

  it('is not used by a call of another tool, other arguments or another turn', async () => {
    const it = bench();
    const ran: unknown[] = [];
    await agentOf(it, ran, [pay], 'message-1').invoke({ messages: 'go' }, run('t', 'ana'));
    const [waiting] = await it.guard.approvals.list({ state: 'pending' });
    await it.guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, alice);
    for (const [call, id] of [
      [{ ...pay, args: { amount: 501 } }, 'message-1'],
      [{ ...pay, args: { amount: 500, extra: 1 }, id: 'c2' }, 'message-1'],
      [pay, 'message-2'],
    ] as const)
      await agentOf(it, ran, [call], id).invoke({ messages: 'go' }, run('t', 'ana'));
    expect(ran).toEqual([]);
  });
});

describe('one approval, many who come for it', () => {
  it('runs once when fifty agents come with the same call at once, and each is told the one result', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const come = async () =>
      toolMessages(await agentOf(it, ran, [pay], 'message-1').invoke({ messages: 'go' }, run('t', 'ana'))).map(({ text }) => text);
    await come();
    const [waiting] = await it.guard.approvals.list({ state: 'pending' });
    await it.guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, alice);
    const told = await Promise.all(Array.from({ length: 50 }, come));
    expect(ran).toEqual([{ amount: 500 }]);
    expect(allowed(it)).toBe(1);
    expect(new Set(told.flat())).toEqual(new Set(['pay done']));
  });

  it('runs once when middleware and guardTool of two agents come with it: they share no result', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const guarded = guardTool(it.guard, notingTool('pay', ran));
    const direct = () => guarded.invoke({ ...pay, type: 'tool_call' as const, id: 'c1' }, { configurable: { thread_id: 't' } });
    await direct();
    const [waiting] = await it.guard.approvals.list({ state: 'pending' });
    await it.guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, alice);
    await Promise.all([direct(), direct(), direct()]);
    expect(ran).toEqual([{ amount: 500 }]);
    expect(allowed(it)).toBe(1);
  });

  it('is taken back while the run waits: resuming is refused', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const agent = agentOf(it, ran, [pay]);
    await agent.invoke({ messages: 'go' }, run('t', 'ana'));
    const [waiting] = await it.guard.approvals.list({ state: 'pending' });
    await it.guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, alice);
    await it.guard.approvals.revoke(waiting?.id ?? '', alice);
    await agent.invoke(new Command({ resume: true }), run('t', 'ana'));
    expect(ran).toEqual([]);
  });

  it('while the session is halted nothing runs and nothing is told again', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const read: Call = { name: 'read', args: { amount: 1 }, id: 'c1' };
    const come = async () =>
      toolMessages(await agentOf(it, ran, [read], 'message-1').invoke({ messages: 'go' }, run('t', 'ana'))).map(({ text }) => text);
    await come();
    await it.store.commit({ kind: 'record', body: { kind: 'session', agent: 'shopper', session: 't', event: 'halted', reason_code: 'X' } });
    expect(await come()).toEqual([expect.stringContaining('CALL_ALREADY_RUN')]);
    expect(ran).toHaveLength(1);
  });
});

describe('a ledger that fails', () => {
  it('between the answer and the resume: nothing runs, and the approval is still good afterwards', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const calls = [pay];
    const come = async () =>
      toolMessages(await agentOf(it, ran, calls, 'message-1').invoke({ messages: 'go' }, run('t', 'ana'))).map(({ text }) => text);
    await come();
    const [waiting] = await it.guard.approvals.list({ state: 'pending' });
    await it.guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, alice);
    it.store.failWith(new Error('disk full'));
    expect(await come()).toEqual([expect.stringContaining('call refused')]);
    expect(ran).toEqual([]);
    it.store.failWith(undefined);
    expect(await come()).toEqual(['pay done']);
    expect(ran).toHaveLength(1);
  });
});
