/** Frameworks run nodes again. Each call runs once, and each run of it gets what the first one got. */
import { Command, END, isGraphBubbleUp, MemorySaver, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';
import { ToolNode } from '@langchain/langgraph/prebuilt';
import { createAgent, createMiddleware, fakeModel, ToolMessage, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ApprovalInterrupt, countersignMiddleware, guardTool } from '../src/index.ts';
import { asks, bench, decisions, done, outcomes, toolMessages } from './agent.ts';

const alice = { id: 'alice', method: 'host' } as const;
const thread = { configurable: { thread_id: 'thread-1' } };
const three = asks(
  { name: 'pay', args: { amount: 500 }, id: 'c1' },
  { name: 'read', args: { amount: 3 }, id: 'c2' },
  { name: 'pay', args: { amount: 9 }, id: 'c3' },
);

interface Runner {
  invoke(input: unknown, config: typeof thread): Promise<{ readonly messages: readonly ToolMessage[] }>;
  getState(config: typeof thread): Promise<{ readonly tasks: readonly { readonly interrupts: readonly { readonly value?: unknown }[] }[] }>;
}

/** Says which of its runs it was: a model that is given another one's words is found out. */
function countingTool(name: string, ran: unknown[]) {
  return tool((args) => `${name} ${ran.push(args)}`, { name, description: name, schema: z.object({ amount: z.coerce.number() }) });
}

const frameworks = {
  'createAgent v2': ({ guard }: ReturnType<typeof bench>, ran: unknown[]) => agentOf(guard, ran, 'v2'),
  'createAgent v1': ({ guard }: ReturnType<typeof bench>, ran: unknown[]) => agentOf(guard, ran, 'v1'),
  'a StateGraph with ToolNode': ({ guard }: ReturnType<typeof bench>, ran: unknown[]): Runner => {
    const model = fakeModel().respond(three).respond(done());
    const tools = ['pay', 'read'].map((name) => guardTool(guard, countingTool(name, ran)));
    const graph = new StateGraph(MessagesAnnotation)
      .addNode('model', async (state) => ({ messages: [await model.invoke(state.messages)] }))
      .addNode('tools', new ToolNode(tools))
      .addEdge(START, 'model')
      .addConditionalEdges('model', ({ messages }) => ((messages.at(-1) as { tool_calls?: unknown[] }).tool_calls?.length ? 'tools' : END))
      .addEdge('tools', 'model')
      .compile({ checkpointer: new MemorySaver() });
    return graph as unknown as Runner;
  },
};

function agentOf(guard: ReturnType<typeof bench>['guard'], ran: unknown[], version: 'v1' | 'v2'): Runner {
  const model = fakeModel().respond(three).respond(done());
  const tools = [countingTool('pay', ran), countingTool('read', ran)];
  const agent = createAgent({ model, tools, middleware: [countersignMiddleware(guard)], checkpointer: new MemorySaver(), version });
  return { invoke: (input, config) => agent.invoke(input as never, config) as never, getState: (config) => agent.graph.getState(config) };
}

async function waiting(runner: Runner): Promise<ApprovalInterrupt[]> {
  const { tasks } = await runner.getState(thread);
  return tasks.flatMap(({ interrupts }) => interrupts.map(({ value }) => value as ApprovalInterrupt));
}

describe.each(Object.entries(frameworks))('three parallel calls, two of which need approval: %s', (_, build) => {
  it('each runs once, and the model gets the real result of each', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const runner = build(it, ran);
    await runner.invoke({ messages: 'go' }, thread);
    expect(ran).toEqual([{ amount: 3 }]);
    // The last one first: with shared tasks its wake-up goes to the first call.
    const asked = async (amount: number) =>
      (await it.guard.approvals.list({ state: 'pending' })).find(({ shown }) => (shown as { amount: number }).amount === amount);
    for (let round = 0; round < 5 && (await waiting(runner)).length > 0; round++) {
      const next = (await asked(9)) ?? (await asked(500));
      if (next !== undefined) await it.guard.approvals.resolve(next.id, { decision: 'approve' }, alice);
      await runner.invoke(new Command({ resume: 'go on' }), thread);
    }
    const { messages } = await runner.invoke(null, thread);
    expect(ran).toHaveLength(3);
    const told = toolMessages({ messages }).map(({ text, status, tool_call_id }) => `${tool_call_id} ${text} ${status}`);
    const of = (amount: number): number => 1 + ran.findIndex((args) => (args as { amount: number }).amount === amount);
    expect(told.toSorted()).toEqual([`c1 pay ${of(500)} success`, 'c2 read 1 success', `c3 pay ${of(9)} success`]);
    await it.guard.close();
    expect(decisions(it.store).filter((line) => line.includes('allow'))).toHaveLength(3);
    expect(decisions(it.store).filter((line) => line.includes('deny'))).toEqual([]);
    expect(outcomes(it.store)).toEqual(['success', 'success', 'success']);
  });

  it('without an answer nothing more runs, however often and with whatever it is resumed', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const runner = build(it, ran);
    await runner.invoke({ messages: 'go' }, thread);
    for (const resume of [
      true,
      'approve',
      { decision: 'approve' },
      { decisions: [{ type: 'approve' }, { type: 'approve' }] },
      [true, true],
    ])
      await runner.invoke(new Command({ resume }), thread);
    expect(ran).toEqual([{ amount: 3 }]);
    expect(await it.guard.approvals.counts()).toMatchObject({ pending: 2 });
  });

  it('of two, the one that is denied is refused and the other runs', async () => {
    const it = bench();
    const ran: unknown[] = [];
    const runner = build(it, ran);
    await runner.invoke({ messages: 'go' }, thread);
    for (let round = 0; round < 5 && (await waiting(runner)).length > 0; round++) {
      for (const { id, shown } of await it.guard.approvals.list({ state: 'pending' })) {
        const decision = (shown as { amount: number }).amount === 9 ? 'deny' : 'approve';
        await it.guard.approvals.resolve(id, { decision }, alice);
      }
      await runner.invoke(new Command({ resume: { approved: true } }), thread);
    }
    const { messages } = await runner.invoke(null, thread);
    expect(ran).toEqual([{ amount: 3 }, { amount: 500 }]);
    const told = toolMessages({ messages }).map(({ text, tool_call_id }) => `${tool_call_id} ${text}`);
    expect(told.toSorted()).toEqual(['c1 pay 2', 'c2 read 1', expect.stringMatching(/^c3 .*APPROVAL_DENIED/)]);
  });
});

describe('what a run gets', () => {
  it('is its own copy: what a middleware does to the message is not done twice', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const shouting = createMiddleware({
      name: 'shouting',
      wrapToolCall: async (request, handler) => {
        const message = await handler(request);
        if (ToolMessage.isInstance(message)) message.content = `${message.text}!`;
        return message;
      },
    });
    const message = asks({ name: 'read', args: { amount: 3 }, id: 'c1' });
    message.id = 'message-1';
    const run = () => {
      const middleware = [shouting, countersignMiddleware(guard)];
      const model = fakeModel().respond(message).respond(done());
      return createAgent({ model, tools: [countingTool('read', ran)], middleware }).invoke({ messages: 'go' }, thread);
    };
    for (let i = 0; i < 3; i++) expect(toolMessages(await run()).map(({ content }) => content)).toEqual(['read 1!']);
  });

  it('of a tool that streams is what came last, without its steps', async () => {
    const { guard, store } = bench();
    let runs = 0;
    const streaming = tool(
      async function* () {
        yield 'half';
        yield 'more';
        return `read ${++runs}`;
      },
      { name: 'read', description: 'reads', schema: z.object({}) },
    );
    const guarded = guardTool(guard, streaming);
    const call = { name: 'read', args: {}, id: 'c1', type: 'tool_call' as const };
    for (let i = 0; i < 3; i++) expect((await guarded.invoke(call)).content).toBe('read 1');
    await guard.close();
    expect(outcomes(store)).toEqual(['success']);
  });

  it('of a tool that failed is its error', async () => {
    const { guard, store } = bench();
    let runs = 0;
    const failing = tool(
      () => {
        throw new Error(`failure ${++runs}`);
      },
      { name: 'read', description: 'reads', schema: z.object({}) },
    );
    const guarded = guardTool(guard, failing);
    for (let i = 0; i < 2; i++)
      await expect(guarded.invoke({ name: 'read', args: {}, id: 'c1', type: 'tool_call' })).rejects.toThrow('failure 1');
    await guard.close();
    expect(outcomes(store)).toEqual(['error']);
  });

  it('is nothing of what another thread got for the same call', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const guarded = guardTool(guard, countingTool('read', ran));
    const call = { name: 'read', args: { amount: 1 }, id: 'c1', type: 'tool_call' as const };
    const inThread = (thread_id: string) => guarded.invoke(call, { configurable: { thread_id } });
    expect((await inThread('a')).content).toBe('read 1');
    expect((await inThread('b')).content).toBe('read 2');
    expect((await inThread('a')).content).toBe('read 1');
  });
});

it('a call that ran well runs no more because another one of the same id failed', async () => {
  const { guard } = bench();
  const ran: number[] = [];
  const read = tool(
    ({ amount }) => {
      ran.push(amount);
      if (amount === 2) throw new Error('not now');
      return 'read';
    },
    { name: 'read', description: 'read', schema: z.object({ amount: z.number() }) },
  );
  const model = fakeModel()
    .respond(
      asks(
        { name: 'read', args: { amount: 1 }, id: 'c1' },
        { name: 'read', args: { amount: 2 }, id: 'c1' },
        { name: 'pay', args: { amount: 3 }, id: 'c3' },
      ),
    )
    .respond(done());
  // Tells the model of the exception, so that the run goes on.
  const telling = createMiddleware({
    name: 'telling',
    wrapToolCall: async (request, handler) => {
      try {
        return await handler(request);
      } catch (error) {
        if (isGraphBubbleUp(error)) throw error;
        return new ToolMessage({ tool_call_id: request.toolCall.id ?? '', status: 'error', content: 'failed' });
      }
    },
  });
  const middleware = [telling, countersignMiddleware(guard, { toolErrors: 'throw' })];
  const tools = [read, countingTool('pay', [])];
  const agent = createAgent({ model, tools, middleware, checkpointer: new MemorySaver(), version: 'v1' });
  await agent.invoke({ messages: 'go' }, thread);
  await agent.invoke(new Command({ resume: true }), thread);
  expect(ran.filter((amount) => amount === 1)).toEqual([1]);
});
