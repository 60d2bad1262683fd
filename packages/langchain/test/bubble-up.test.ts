/** What tools throw to steer the graph is no error: it is thrown on, and the ledger does not call it one. */
import { allowAll } from '@countersign/core';
import {
  Annotation,
  Command,
  GraphInterrupt,
  interrupt,
  MemorySaver,
  MessagesAnnotation,
  ParentCommand,
  StateGraph,
} from '@langchain/langgraph';
import { createAgent, fakeModel, ToolMessage, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware, guardTool } from '../src/index.ts';
import { asks, bench, decisions, done, outcomes } from './agent.ts';

const thread = { configurable: { thread_id: 'thread-1' } };
const Parent = Annotation.Root({
  ...MessagesAnnotation.spec,
  visited: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

/** An agent as a node of a graph, with a node its tool may go to. */
function graphOf(act: (id: string) => unknown, how: 'middleware' | 'guardTool' | 'nothing', toolErrors: 'message' | 'throw' = 'message') {
  const { guard, store } = bench({ policy: allowAll() });
  let runs = 0;
  const leave = tool(
    (_, config) => {
      runs++;
      return act(String((config as { toolCall?: { id?: string } }).toolCall?.id)) as string;
    },
    { name: 'leave', description: 'leaves', schema: z.object({}) },
  );
  const model = fakeModel()
    .respond(asks({ name: 'leave', args: {}, id: 'c1' }))
    .respond(done());
  const agent =
    how === 'middleware'
      ? createAgent({ model, tools: [leave], middleware: [countersignMiddleware(guard, { toolErrors })] })
      : createAgent({ model, tools: [how === 'nothing' ? leave : guardTool(guard, leave)] });
  const graph = new StateGraph(Parent)
    .addNode('agent', agent.graph as never, { ends: ['other'] })
    .addNode('other', () => ({ visited: ['other'] }))
    .addEdge('__start__', 'agent')
    .compile({ checkpointer: new MemorySaver() });
  return { guard, store, graph, runs: () => runs };
}

const toParent = (id: string): Command =>
  new Command({
    graph: Command.PARENT,
    goto: 'other',
    update: { visited: ['command'], messages: [new ToolMessage({ content: 'left', tool_call_id: id })] },
  });

describe.each(['middleware', 'guardTool'] as const)('a tool guarded by %s', (how) => {
  it('that returns a command for the parent graph steers it, and has succeeded', async () => {
    const { graph, guard, store, runs } = graphOf(toParent, how);
    const { visited } = await graph.invoke({ messages: [{ role: 'user', content: 'go' }] }, thread);
    expect(visited).toEqual(['command', 'other']);
    expect(runs()).toBe(1);
    await guard.close();
    expect(decisions(store)).toEqual(['leave allow POLICY_ALLOW_LOW_RISK']);
    expect(outcomes(store)).toEqual(['success']);
  });

  it.each(['message', 'throw'] as const)(
    'that throws one does what it does without us, and has succeeded (toolErrors: %s)',
    async (toolErrors) => {
      const thrown = (id: string): never => {
        throw new ParentCommand(toParent(id));
      };
      const { graph, guard, store, runs } = graphOf(thrown, how, toolErrors);
      const { visited } = await graph.invoke({ messages: [{ role: 'user', content: 'go' }] }, thread);
      const bare = await graphOf(thrown, 'nothing').graph.invoke({ messages: [{ role: 'user', content: 'go' }] }, thread);
      // LangChain makes a message of it where no middleware wraps tool calls.
      expect(bare.visited).toEqual([]);
      expect(visited).toEqual(how === 'middleware' ? ['command', 'other'] : bare.visited);
      expect(runs()).toBe(1);
      await guard.close();
      expect(outcomes(store)).toEqual(['success']);
    },
  );

  it.each([
    ['interrupt()', () => interrupt('which one?')],
    [
      'a GraphInterrupt of its own',
      () => {
        throw new GraphInterrupt([{ value: 'which one?' }]);
      },
    ],
  ])('that asks by %s suspends the run, and its call is cancelled, not failed', async (_, ask) => {
    const { graph, guard, store, runs } = graphOf(ask, how);
    await graph.invoke({ messages: [{ role: 'user', content: 'go' }] }, thread);
    const { tasks } = await graph.getState(thread);
    expect(tasks.flatMap(({ interrupts }) => interrupts.map(({ value }) => value as unknown))).toEqual(['which one?']);
    await guard.close();
    expect(outcomes(store)).toEqual(['cancelled']);
    // Not run again with the answer: its permit was for one run.
    await graph.invoke(new Command({ resume: 'this one' }), thread);
    expect(runs()).toBe(1);
  });
});
