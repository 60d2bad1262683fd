/** Agents inside tools: whatever thread they run in, they are held to the session of their caller, and mark it. */
import { createGuard, type Guard, rulePolicy } from '@countersign/core';
import { type MemoryStore, memoryStore } from '@countersign/core/testing';
import { MemorySaver } from '@langchain/langgraph';
import { createAgent, fakeModel, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware, guardTool } from '../src/index.ts';
import { asks, done, notingTool, toolMessages } from './agent.ts';

/** The lethal trifecta: no mail leaves a session that has read the web. */
const policy = rulePolicy({
  id: 'trifecta',
  default: 'deny',
  rules: [
    { id: 'web', tools: ['web'], effect: 'allow', label: ['untrusted'] },
    { id: 'delegate', tools: ['delegate'], effect: 'allow' },
    { id: 'mail', tools: ['mail'], when: "!('untrusted' in session.labels)", effect: 'allow' },
  ],
});

type Invocation = (agent: { invoke(input: { messages: string }, config?: object): Promise<unknown> }, config: object) => Promise<unknown>;

/** What a developer may write in the tool that runs the subagent. */
const WAYS: readonly (readonly [string, Invocation])[] = [
  ['without a config', (agent) => agent.invoke({ messages: 'sub' })],
  ['with the config of the tool', (agent, config) => agent.invoke({ messages: 'sub' }, config)],
  ['in a thread of its own', (agent) => agent.invoke({ messages: 'sub' }, { configurable: { thread_id: 'own' } })],
];

interface Setup {
  readonly store: MemoryStore;
  readonly ran: unknown[];
  guard(agent: string): Guard;
}

function setup(): Setup {
  const store = memoryStore();
  return { store, ran: [], guard: (agent) => createGuard({ agent, policy, store }) };
}

/** A tool that runs an agent which makes one call. */
function delegate({ ran }: Setup, guard: Guard, call: string, invoke: Invocation, hasMemory: boolean) {
  return tool(
    async (_args, config) => {
      const model = fakeModel()
        .respond(asks({ name: call, args: {}, id: 'sub-1' }))
        .respond(done());
      const agent = createAgent({
        model,
        tools: [notingTool(call, ran)],
        middleware: [countersignMiddleware(guard)],
        ...(hasMemory && { checkpointer: new MemorySaver() }),
      });
      const result = (await invoke(agent, config)) as Parameters<typeof toolMessages>[0];
      return toolMessages(result)
        .map(({ text }) => text)
        .join();
    },
    { name: 'delegate', description: 'asks another agent', schema: z.object({}) },
  );
}

function sessions(store: MemoryStore): (readonly string[])[] {
  return store
    .entries()
    .flatMap((entry) => (entry.kind === 'decision' ? [[entry.agent, entry.tool.name, entry.effect, entry.session] as const] : []));
}

describe.each(WAYS)('a subagent invoked %s', (_way, invoke) => {
  it.each([false, true])('marks the session of its caller (checkpointer of its own: %s)', async (hasMemory) => {
    const made = setup();
    const boss = made.guard('boss');
    const tools = [delegate(made, made.guard('helper'), 'web', invoke, hasMemory), notingTool('mail', made.ran)];
    const model = fakeModel()
      .respond(asks({ name: 'delegate', args: {}, id: 'c1' }))
      .respond(asks({ name: 'mail', args: { amount: 2 }, id: 'c2' }))
      .respond(done());
    const agent = createAgent({ model, tools, middleware: [countersignMiddleware(boss)], checkpointer: new MemorySaver() });
    const result = await agent.invoke({ messages: 'go' }, { configurable: { thread_id: 'thread-1' } });
    expect(sessions(made.store)).toEqual([
      ['boss', 'delegate', 'allow', 'thread-1'],
      ['helper', 'web', 'allow', 'thread-1'],
      ['boss', 'mail', 'deny', 'thread-1'],
    ]);
    expect(toolMessages(result).map(({ status }) => status)).toEqual(['success', 'error']);
    expect(made.ran).toEqual([{ amount: 1 }]);
  });

  it('is held to what its caller has read', async () => {
    const made = setup();
    const boss = made.guard('boss');
    const tools = [delegate(made, made.guard('helper'), 'mail', invoke, true), notingTool('web', made.ran)];
    const model = fakeModel()
      .respond(asks({ name: 'web', args: {}, id: 'c1' }))
      .respond(asks({ name: 'delegate', args: {}, id: 'c2' }))
      .respond(done());
    const agent = createAgent({ model, tools, middleware: [countersignMiddleware(boss)], checkpointer: new MemorySaver() });
    const result = await agent.invoke({ messages: 'go' }, { configurable: { thread_id: 'thread-1' } });
    expect(sessions(made.store).at(-1)).toEqual(['helper', 'mail', 'deny', 'thread-1']);
    expect(toolMessages(result).at(-1)?.text).toContain('call refused');
    expect(made.ran).toHaveLength(1);
  });
});

it('holds for guarded tools without middleware, and three levels down', async () => {
  const made = setup();
  const [boss, middle, helper] = ['boss', 'middle', 'helper'].map((name) => made.guard(name)) as [Guard, Guard, Guard];
  const own: Invocation = (agent) => agent.invoke({ messages: 'sub' }, { configurable: { thread_id: 'own' } });
  const lowest = guardTool(middle, delegate(made, helper, 'web', own, true));
  const between = tool(async () => String(await lowest.invoke({}, { configurable: { thread_id: 'other' } })), {
    name: 'delegate',
    description: 'asks an agent that asks another',
    schema: z.object({}),
  });
  const guarded = guardTool(boss, between);
  await guarded.invoke({}, { configurable: { thread_id: 'thread-1' } });
  expect(sessions(made.store)).toEqual([
    ['boss', 'delegate', 'allow', 'thread-1'],
    ['middle', 'delegate', 'allow', 'thread-1'],
    ['helper', 'web', 'allow', 'thread-1'],
  ]);
});

it('two threads of one agent that run the same subagent at once stay apart', async () => {
  const made = setup();
  const boss = made.guard('boss');
  const helper = made.guard('helper');
  const own: Invocation = (agent) => agent.invoke({ messages: 'sub' }, { configurable: { thread_id: 'own' } });
  const threadWith = (thread: string, call: string) => {
    const model = fakeModel()
      .respond(asks({ name: 'delegate', args: {}, id: 'c1' }))
      .respond(asks({ name: 'mail', args: {}, id: 'c2' }))
      .respond(done());
    const tools = [delegate(made, helper, call, own, true), notingTool('mail', made.ran)];
    const agent = createAgent({ model, tools, middleware: [countersignMiddleware(boss)], checkpointer: new MemorySaver() });
    return agent.invoke({ messages: 'go' }, { configurable: { thread_id: thread } });
  };
  await Promise.all([threadWith('reads', 'web'), threadWith('mails', 'mail')]);
  const ofBoss = sessions(made.store).filter(([agent, name]) => agent === 'boss' && name === 'mail');
  expect(ofBoss).toContainEqual(['boss', 'mail', 'deny', 'reads']);
  expect(ofBoss).toContainEqual(['boss', 'mail', 'allow', 'mails']);
});
