/** Every kind of tool the SDK has: enforced, recorded, and otherwise as it was. */
import { definePolicy, rulePolicy } from '@countersign/core';
import { dynamicTool, generateText, isStepCount, jsonSchema, type Tool, type ToolSet, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, guardTools } from '../src/index.ts';
import { bench, decisions, told } from './chat.ts';
import { scripted } from './stream.ts';

const policy = definePolicy({
  id: 'p',
  evaluate: ({ args }) => ((args as { x?: unknown }).x === 'bad' ? { effect: 'deny', reason: 'x is bad' } : { effect: 'allow' }),
});

class Shelf {
  readonly #items = ['a', 'b'];
  readonly ran: unknown[];
  readonly inputSchema = z.object({ x: z.string() });
  constructor(ran: unknown[]) {
    this.ran = ran;
  }
  execute(input: unknown) {
    this.ran.push(input);
    return this.#items.length;
  }
}

type Make = (ran: unknown[]) => unknown;
const inputSchema = z.object({ x: z.string() });
const noting = (ran: unknown[]) => (input: unknown) => (ran.push(input), 2);
/** Each returns 2 for any input. */
const KINDS: Record<string, Make> = {
  'a plain function': (ran) => tool({ inputSchema, execute: noting(ran) }),
  'an async function': (ran) => tool({ inputSchema, execute: async (input) => noting(ran)(input) }),
  'a dynamic tool': (ran) => dynamicTool({ inputSchema, execute: noting(ran) }),
  'a JSON schema': (ran) =>
    tool({ inputSchema: jsonSchema<{ x: string }>({ type: 'object', properties: { x: { type: 'string' } } }), execute: noting(ran) }),
  'a strict tool with examples': (ran) =>
    tool({ inputSchema, strict: true, inputExamples: [{ input: { x: 'y' } }], execute: noting(ran), outputSchema: z.number() }),
  'a tool with metadata and provider options': (ran) =>
    tool({ inputSchema, execute: noting(ran), metadata: { of: 'us' }, providerOptions: { p: { cache: true } } }),
  'a generator': (ran) =>
    tool({
      inputSchema,
      async *execute(input) {
        yield 1;
        yield noting(ran)(input);
      },
    }),
  'a bound generator': (ran) => ({
    inputSchema,
    execute: async function* (this: { readonly n: number }, input: unknown) {
      noting(ran)(input);
      yield this.n;
    }.bind({ n: 2 }),
  }),
  'a function that returns an async iterable': (ran) =>
    tool({
      inputSchema,
      execute: (input) =>
        (async function* () {
          yield 1;
          yield noting(ran)(input);
        })(),
    }),
  'a promise of an async iterable': (ran) => ({
    inputSchema,
    execute: async (input: unknown) =>
      (async function* () {
        yield noting(ran)(input);
      })(),
  }),
  'a function with properties': (ran) => Object.assign(() => ran.push('called'), { inputSchema, execute: noting(ran) }),
  'a class with private fields': (ran) => new Shelf(ran),
  'an object whose execute is inherited': (ran) => Object.create({ inputSchema, execute: noting(ran) }) as object,
  'a frozen object': (ran) => Object.freeze({ inputSchema, execute: noting(ran) }),
  'a provider-defined tool that we run': (ran) => ({
    type: 'provider',
    isProviderExecuted: false,
    id: 'anthropic.bash_1',
    args: {},
    inputSchema,
    execute: noting(ran),
  }),
};

describe.each(Object.entries(KINDS))('%s', (_name, make) => {
  async function run(input: unknown, withApproval: boolean) {
    const { guard, store } = bench({ policy });
    const ran: unknown[] = [];
    const made = make(ran) as Tool;
    const tools = guardTools(guard, { it: made });
    const { responseMessages } = await generateText({
      model: scripted([{ toolName: 'it', input }]),
      tools,
      ...(withApproval && { toolApproval: approvalFor(guard) }),
      prompt: 'go',
      stopWhen: isStepCount(3),
    });
    return { ran, words: told(responseMessages), decisions: decisions(store), made, guarded: tools.it };
  }

  it.each([false, true])('runs what is allowed, once and recorded (approvalFor: %s)', async (withApproval) => {
    const { ran, words, decisions: recorded } = await run({ x: 'good' }, withApproval);
    expect(ran).toEqual([{ x: 'good' }]);
    expect(words).toEqual(['json: 2']);
    expect(recorded).toEqual(['it allow POLICY_ALLOW_LOW_RISK']);
  });

  it.each([false, true])('does not run what is denied (approvalFor: %s)', async (withApproval) => {
    const { ran, words, decisions: recorded } = await run({ x: 'bad' }, withApproval);
    expect(ran).toEqual([]);
    expect(words[0]).toContain('x is bad [POLICY_DENY_HIGH_RISK');
    expect(recorded).toEqual(['it deny POLICY_DENY_HIGH_RISK']);
  });

  it('is otherwise the tool it was', async () => {
    const { made, guarded } = await run({ x: 'good' }, false);
    const { execute: _1, toModelOutput: _2, ...before } = Object.getOwnPropertyDescriptors(made);
    const { execute: _3, toModelOutput: _4, ...after } = Object.getOwnPropertyDescriptors(guarded);
    // A frozen tool makes a guarded one whose other properties are as frozen.
    expect(after).toEqual(before);
    expect(Object.getPrototypeOf(guarded)).toBe(Object.getPrototypeOf(made));
  });
});

it('a tool without execute is the very same', () => {
  const { guard } = bench();
  const client = tool({ inputSchema, outputSchema: z.string() });
  const provider = { type: 'provider', isProviderExecuted: true, id: 'openai.web_search', args: {}, inputSchema } as unknown as Tool;
  const none = undefined as unknown as Tool;
  const guarded = guardTools(guard, { client, provider, none });
  expect([guarded.client, guarded.provider, guarded.none]).toEqual([client, provider, undefined]);
  expect(guarded.client).toBe(client);
});

it('hands on abortSignal, context, toolCallId, messages and the sandbox as they are, and calls the hooks as before', async () => {
  const { guard } = bench({ policy });
  const seen: Record<string, unknown>[] = [];
  const sandbox = { id: 'sandbox' };
  const signal = new AbortController().signal;
  const read = tool({
    inputSchema,
    contextSchema: z.object({ user: z.string().transform((name) => name.toUpperCase()) }),
    onInputStart: ({ context }) => void seen.push({ hook: 'start', context }),
    onInputAvailable: ({ input, context }) => void seen.push({ hook: 'available', input, context }),
    execute: (input, given) => {
      seen.push({ input, ...given });
      return { text: 'seen' };
    },
    toModelOutput: ({ toolCallId, input, output }) => ({ type: 'text', value: `${toolCallId} ${input.x} ${output.text}` }),
  });
  const one = { tools: { read } as ToolSet, approve: {} };
  const two = { tools: guardTools(guard, { read }) as ToolSet, approve: { toolApproval: approvalFor(guard) } };
  const results: unknown[] = [];
  for (const { tools, approve } of [one, two]) {
    const { responseMessages } = await generateText({
      model: scripted([{ toolName: 'read', input: { x: 'y' } }]),
      tools,
      ...approve,
      toolsContext: { read: { user: 'mary' } } as never,
      experimental_sandbox: sandbox as never,
      abortSignal: signal,
      prompt: 'go',
      stopWhen: isStepCount(3),
    });
    results.push([seen.splice(0), told(responseMessages)]);
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[1]).toMatchObject([
    [
      { hook: 'start', context: { user: 'MARY' } },
      { hook: 'available', input: { x: 'y' } },
      { input: { x: 'y' }, toolCallId: 's1c1', context: { user: 'MARY' }, experimental_sandbox: sandbox },
    ],
    ['text: s1c1 y seen'],
  ]);
});

it('makes of results what the SDK makes of them', async () => {
  const values = ['text', '', 0, null, undefined, { a: [1, { b: undefined }] }, new Date(5), [undefined], { toJSON: () => 'made' }];
  for (const value of values) {
    const { guard } = bench({ policy });
    const bare = { read: tool({ inputSchema: z.object({}), execute: () => value }) };
    const outputs: unknown[] = [];
    for (const tools of [bare, guardTools(guard, bare)]) {
      const { responseMessages } = await generateText({
        model: scripted([{ toolName: 'read', input: {} }]),
        tools,
        prompt: 'go',
        stopWhen: isStepCount(3),
      });
      outputs.push(responseMessages);
    }
    expect(outputs[1]).toEqual(outputs[0]);
  }
});

it('a tool that changes its input changes nothing that is recorded or told', async () => {
  const { guard, store } = bench({ policy });
  const read = tool({
    inputSchema: z.object({ x: z.string(), list: z.array(z.number()) }),
    execute: (input) => {
      input.list.push(666);
      (input as { x: string }).x = 'tampered';
      return 'done';
    },
  });
  const { toolCalls, steps } = await generateText({
    model: scripted([{ toolName: 'read', input: { x: 'y', list: [1] } }]),
    tools: guardTools(guard, { read }),
    prompt: 'go',
  });
  await guard.close();
  expect(toolCalls[0]?.input).toEqual({ x: 'y', list: [1] });
  // Random keys stand beside it: hexadecimal digits alone could be theirs.
  expect(JSON.stringify([steps[0]?.content, [...store.openings().values()]])).not.toMatch(/,666\]|tampered/);
});

it('annotations in metadata reach the rules as hints, whatever else is in there', async () => {
  const rules = [
    { id: 'careful', tools: ['*'], when: 'has(annotations.destructiveHint) && annotations.destructiveHint', effect: 'deny' },
  ] as const;
  const { guard, store } = bench({ policy: rulePolicy({ id: 'p', default: 'allow', rules: [...rules] }) });
  const ran: unknown[] = [];
  const of = (annotations: unknown) => tool({ inputSchema, execute: noting(ran), metadata: { annotations } as never });
  const tools = guardTools(guard, {
    wipe: of({ destructiveHint: true, title: 'Wipe', extra: { nested: true } }),
    lies: of({ destructiveHint: 'no' }),
    odd: of('destructive'),
    read: of({ readOnlyHint: true }),
  });
  for (const [name, made] of Object.entries(tools)) {
    const running = Promise.resolve(made.execute?.({ x: 'y' }, { toolCallId: name, messages: [], context: {} }));
    if (name === 'wipe') await expect(running).rejects.toThrow('rule careful');
    else await running;
  }
  expect(ran).toHaveLength(3);
  await guard.close();
  expect(JSON.stringify([...store.openings().values(), ...store.entries()])).not.toMatch(/nested|extra/);
  const other = bench({ policy: rulePolicy({ id: 'p', default: 'allow', rules: [...rules] }) });
  const asked = await approvalFor(other.guard)({
    toolCall: { toolName: 'wipe', toolCallId: 'c9', input: { x: 'y' } },
    tools: { wipe: { inputSchema, metadata: { annotations: { destructiveHint: true } } } },
    toolsContext: {},
  });
  expect(asked).toMatchObject({ type: 'denied', reason: expect.stringContaining('rule careful') });
});
