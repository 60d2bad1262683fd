/** Guarded tools have the types of the bare ones, everywhere the SDK infers from tools. Checked by `tsc -p tsconfig.test.json`. */
import {
  dynamicTool,
  generateText,
  type InferUITools,
  streamText,
  ToolLoopAgent,
  type ToolSet,
  type TypedToolCall,
  type TypedToolError,
  type TypedToolResult,
  tool,
} from 'ai';
import { expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, guardTools } from '../src/index.ts';
import { bench, modelAsking } from './chat.ts';

const { guard } = bench();
const bare = {
  read: tool({ inputSchema: z.object({ path: z.string() }), execute: ({ path }) => ({ path, size: 3 }) }),
  count: tool({
    inputSchema: z.object({ to: z.coerce.number() }),
    contextSchema: z.object({ user: z.string() }),
    outputSchema: z.object({ sum: z.number() }),
    execute: async ({ to }, { context }) => ({ sum: to + context.user.length }),
    toModelOutput: ({ output }) => ({ type: 'text', value: String(output.sum) }),
  }),
  stream: tool({
    inputSchema: z.object({}),
    async *execute() {
      yield { half: true };
      yield { half: false };
    },
  }),
  browser: tool({ inputSchema: z.object({ x: z.number() }), outputSchema: z.object({ ok: z.boolean() }) }),
  any: dynamicTool({ inputSchema: z.object({}), execute: () => 1 }),
};
const guarded = guardTools(guard, bare);
const model = modelAsking();
const toolsContext = { count: { user: 'mary' } };
const settings = { model, toolsContext, toolApproval: approvalFor(guard), prompt: 'go' } as const;

type Bare = typeof bare;
type Guarded = typeof guarded;

it('keeps the type of every tool', () => {
  expectTypeOf<Guarded>().toEqualTypeOf<Bare>();
  expectTypeOf<Guarded>().toExtend<ToolSet>();
  expectTypeOf<Guarded['read']['execute']>().toEqualTypeOf<Bare['read']['execute']>();
  expectTypeOf<InferUITools<Guarded>>().toEqualTypeOf<InferUITools<Bare>>();
  expectTypeOf<InferUITools<Guarded>['count']>().toEqualTypeOf<{ input: { to: number }; output: { sum: number } }>();
  expectTypeOf<TypedToolCall<Guarded>>().toEqualTypeOf<TypedToolCall<Bare>>();
  expectTypeOf<TypedToolResult<Guarded>>().toEqualTypeOf<TypedToolResult<Bare>>();
  expectTypeOf<TypedToolError<Guarded>>().toEqualTypeOf<TypedToolError<Bare>>();
});

it('keeps what generateText gives back', async () => {
  const one = await generateText({ ...settings, model: modelAsking(), tools: guarded });
  const two = await generateText({ ...settings, tools: bare });
  expectTypeOf(one).toEqualTypeOf(two);
  const [call] = one.toolCalls;
  if (call?.dynamic !== true && call?.toolName === 'read') expectTypeOf(call.input).toEqualTypeOf<{ path: string }>();
  const [result] = one.toolResults;
  if (result?.dynamic !== true && result?.toolName === 'read') expectTypeOf(result.output).toEqualTypeOf<{ path: string; size: number }>();
  expect(one.text).toBe('done');
});

it('keeps what streamText and an agent give back', () => {
  const one = () => streamText({ ...settings, tools: guarded });
  const two = () => streamText({ ...settings, tools: bare });
  expectTypeOf(one).returns.toEqualTypeOf<ReturnType<typeof two>>();
  const { prompt: _, ...agentSettings } = settings;
  const first = new ToolLoopAgent({ ...agentSettings, tools: guarded });
  const second = new ToolLoopAgent({ ...agentSettings, tools: bare });
  expectTypeOf(first).toEqualTypeOf(second);
  expect(Object.keys(first.tools)).toEqual(Object.keys(bare));
});

it('turns away what is no set of tools', () => {
  // @ts-expect-error a tool is an object
  expect(guardTools(guard, { read: 'x' })).toEqual({ read: 'x' });
  // @ts-expect-error options have names
  guardTools(guard, bare, { sessions: 'x' });
});
