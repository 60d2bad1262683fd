/** What tools return and throw reaches the model as it does without us: each agent is run bare and guarded, and compared. */
import { allowAll } from '@countersign/core';
import { Command, isGraphBubbleUp } from '@langchain/langgraph';
import {
  type AgentMiddleware,
  createAgent,
  DynamicTool,
  fakeModel,
  ToolInvocationError,
  ToolMessage,
  tool,
  toolErrorMiddleware,
  toolStrategy,
} from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware } from '../src/index.ts';
import { asks, bench, decisions, done, outcomes } from './agent.ts';

type AgentTool = NonNullable<Parameters<typeof createAgent>[0]['tools']>[number];

const throwing = (thrown: unknown) => () => {
  throw thrown;
};
const named = (run: (args: never, config: never) => unknown, more: object = {}) =>
  tool(run as never, { name: 'read', description: 'reads', schema: z.object({}), ...more } as never) as unknown as AgentTool;

class OddError extends TypeError {
  override readonly name = 'OddError';
}

/** A fresh tool per run: some keep what they threw. */
const CASES: readonly (readonly [string, () => AgentTool, Record<string, unknown>?])[] = [
  ['throws an Error', () => named(throwing(new Error('no such file')))],
  ['throws an error of its own class', () => named(throwing(new OddError('odd')))],
  ['throws a string', () => named(throwing('just a text'))],
  ['throws a number', () => named(throwing(7))],
  ['throws undefined', () => named(throwing(undefined))],
  ['throws an object', () => named(throwing({ code: 42 }))],
  ['throws an error without a message', () => named(throwing(new Error()))],
  [
    'throws what LangChain throws for bad input',
    () => named(throwing(new ToolInvocationError(new Error('bad'), { name: 'read', args: {}, id: 'c1' }))),
  ],
  ['rejects later', () => named(async () => Promise.reject(new Error('later')))],
  ['returns a text', () => named(() => 'text')],
  ['returns the empty text', () => named(() => '')],
  ['returns undefined', () => named(() => undefined)],
  ['returns null', () => named(() => null)],
  ['returns a number', () => named(() => 7)],
  ['returns false', () => named(() => false)],
  ['returns an object', () => named(() => ({ rows: [1, 2] }))],
  ['returns a list', () => named(() => [1, 'two'])],
  ['returns an empty list', () => named(() => [])],
  ['returns content blocks', () => named(() => [{ type: 'text', text: 'a block' }])],
  [
    'returns a message',
    () => named((_args, { toolCallId }) => new ToolMessage({ tool_call_id: toolCallId, name: 'read', content: 'mine' })),
  ],
  [
    'returns a message with status error',
    () => named((_args, { toolCallId }) => new ToolMessage({ tool_call_id: toolCallId, name: 'read', status: 'error', content: 'mine' })),
  ],
  [
    'returns a command',
    () =>
      named(
        (_args, { toolCallId }) =>
          new Command({ update: { messages: [new ToolMessage({ tool_call_id: toolCallId, name: 'read', content: 'written' })] } }),
      ),
  ],
  [
    'returns a command that ends the run',
    () =>
      named(
        (_args, { toolCallId }) =>
          new Command({ goto: '__end__', update: { messages: [new ToolMessage({ tool_call_id: toolCallId, content: 'over' })] } }),
      ),
  ],
  ['returns content and artifact', () => named(() => ['content', { artifact: 1 }], { responseFormat: 'content_and_artifact' })],
  ['returns no pair where one is due', () => named(() => 'alone', { responseFormat: 'content_and_artifact' })],
  ['throws where a pair is due', () => named(throwing(new Error('no pair')), { responseFormat: 'content_and_artifact' })],
  ['answers the user directly', () => named(() => 'direct', { returnDirect: true })],
  ['throws where it should answer directly', () => named(throwing(new Error('not direct')), { returnDirect: true })],
  ['gets arguments that do not fit', () => named(() => 'x', { schema: z.object({ n: z.number(), m: z.string() }) }), { n: 'many' }],
  [
    'gets arguments that a refinement turns down',
    () => named(() => 'x', { schema: z.object({ n: z.number() }).refine(() => false, 'never') }),
    { n: 1 },
  ],
  [
    'gets arguments its schema throws at',
    () => named(() => 'x', { schema: z.object({ n: z.number() }).transform(throwing(new Error('schema'))) }),
    { n: 1 },
  ],
  [
    'gets arguments its JSON schema refuses',
    () => named(() => 'x', { schema: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } }),
    { n: 'many' },
  ],
  ['takes one text', () => new DynamicTool({ name: 'read', description: 'x', func: async (input) => `got ${input}` }), { input: 'a' }],
  [
    'is a generator',
    () =>
      named(async function* () {
        yield 'first';
        yield 'second';
        return 'last';
      }),
  ],
  [
    'is a generator that throws',
    () =>
      named(async function* () {
        yield 'first';
        throw new Error('half way');
      }),
  ],
];

const TOOLS = CASES.map(([what, make, args = {}]) => [what, make, args] as const);

async function messagesOf(
  tools: readonly AgentTool[],
  args: Record<string, unknown>,
  middleware: readonly AgentMiddleware[],
  name = 'read',
) {
  const model = fakeModel()
    .respond(asks({ name, args, id: 'c1' }))
    .respond(done());
  const agent = createAgent({ model, tools: [...tools], middleware: [...middleware] });
  const { messages } = await agent.invoke({ messages: 'go' });
  return messages.map((message) => ({
    type: message.type,
    content: typeof message.content === 'string' ? withoutFrames(message.content) : message.content,
    ...(ToolMessage.isInstance(message) && {
      id: message.tool_call_id,
      name: message.name,
      status: message.status ?? 'success',
      artifact: message.artifact as unknown,
    }),
  }));
}

/** LangChain quotes the stack of schema errors, which no two runs share. */
function withoutFrames(text: string): string {
  return text.replaceAll(/\n {4}at [^\n]+/g, '');
}

describe('a tool that', () => {
  it.each(TOOLS)('%s', async (_what, make, args) => {
    const bare = await messagesOf([make()], args, []);
    const { guard, store, errors } = bench({ policy: allowAll() });
    const guarded = await messagesOf([make()], args, [countersignMiddleware(guard)]);
    await guard.close();
    expect(guarded).toEqual(bare);
    expect(decisions(store)).toHaveLength(1);
    expect(errors).toEqual([]);
  });

  it.each(TOOLS)('%s, beside toolErrorMiddleware', async (_what, make, args) => {
    const onError = (error: unknown) => `it failed: ${error instanceof Error ? withoutFrames(error.message) : String(error)}`;
    const bare = await messagesOf([make()], args, [toolErrorMiddleware({ onError })]);
    const { guard } = bench({ policy: allowAll() });
    const guarded = await messagesOf([make()], args, [
      toolErrorMiddleware({ onError }),
      countersignMiddleware(guard, { toolErrors: 'throw' }),
    ]);
    expect(guarded).toEqual(bare);
  });
});

it('the stack of this machine is not told to the model', async () => {
  const { guard } = bench({ policy: allowAll() });
  const misfit = named(() => 'x', { schema: z.object({ n: z.number() }) });
  const model = fakeModel()
    .respond(asks({ name: 'read', args: { n: 'many' }, id: 'c1' }))
    .respond(done());
  const agent = createAgent({ model, tools: [misfit], middleware: [countersignMiddleware(guard)] });
  const { messages } = await agent.invoke({ messages: 'go' });
  const told = messages.map(({ text }) => text).join();
  expect(told).toContain('expected number');
  expect(told).not.toMatch(/node_modules|\.ts:\d/);
});

it('a tool that throws null, of which LangChain itself dies, is an error like any other', async () => {
  await expect(messagesOf([named(throwing(null))], {}, [])).rejects.toThrow(TypeError);
  const { guard, store } = bench({ policy: allowAll() });
  const messages = await messagesOf([named(throwing(null))], {}, [countersignMiddleware(guard)]);
  await guard.close();
  expect(messages[2]).toMatchObject({ status: 'error', content: 'null\n Please fix your mistakes.' });
  expect(outcomes(store)).toEqual(['error']);
});

it.each(['message', 'throw'] as const)('what steers the graph is thrown on (toolErrors: %s)', async (toolErrors) => {
  const { guard, store } = bench({ policy: allowAll() });
  const { NodeInterrupt } = await import('@langchain/langgraph');
  const seen: unknown[] = [];
  const model = fakeModel().respond(asks({ name: 'read', args: {}, id: 'c1' }));
  const watcher = toolErrorMiddleware({ onError: (error) => void seen.push(error) });
  const agent = createAgent({
    model,
    tools: [named(throwing(new NodeInterrupt('stop here')))],
    middleware: [watcher, countersignMiddleware(guard, { toolErrors })],
  });
  const result = (await agent.invoke({ messages: 'go' })) as { __interrupt__?: readonly { value: unknown }[]; messages: unknown[] };
  await guard.close();
  expect(seen.filter((error) => !isGraphBubbleUp(error))).toEqual([]);
  expect(result.__interrupt__?.map(({ value }) => value)).toEqual(['stop here']);
  expect(outcomes(store)).toEqual(['cancelled']);
});

it('a structured answer is what it is without us', async () => {
  const answerOf = async (middleware: AgentMiddleware[]) => {
    const strategy = toolStrategy(z.object({ price: z.number() }));
    const [{ name }] = strategy as unknown as [{ name: string }];
    const model = fakeModel().respond(asks({ name, args: { price: 3 }, id: 'c1' }));
    const agent = createAgent({ model, tools: [named(() => 'x')], responseFormat: strategy, middleware });
    return (await agent.invoke({ messages: 'go' })).structuredResponse;
  };
  const { guard } = bench();
  expect(await answerOf([countersignMiddleware(guard)])).toEqual(await answerOf([]));
  expect(await answerOf([])).toEqual({ price: 3 });
});
