/** Whichever way a run is streamed: of a result that was withheld or masked, nothing leaks past its release. */
import { rulePolicy } from '@countersign/core';
import { MemorySaver } from '@langchain/langgraph';
import { createAgent, fakeModel, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware } from '../src/index.ts';
import { asks, type Bench, bench, done, notingTool } from './agent.ts';

const SECRET = 'the-launch-code-is-8731';

const policy = rulePolicy({
  id: 'p',
  default: 'deny',
  rules: [
    { id: 'reading', tools: ['read', 'steps', 'boom', 'open'], effect: 'allow' },
    { id: 'paying', tools: ['pay'], effect: 'require_approval' },
    { id: 'closed', on: 'result', tools: ['read', 'steps', 'boom'], effect: 'withhold' },
  ],
});

const tools = [
  tool(() => SECRET, { name: 'read', description: 'x', schema: z.object({}) }),
  tool(
    async function* () {
      yield `step of ${SECRET}`;
      return SECRET;
    } as never,
    { name: 'steps', description: 'x', schema: z.object({}) },
  ),
  tool(
    () => {
      throw new Error(SECRET);
    },
    { name: 'boom', description: 'x', schema: z.object({}) },
  ),
  tool(() => 'an open result', { name: 'open', description: 'x', schema: z.object({}) }),
  notingTool('erase', []),
  notingTool('pay', []),
];

function agentOf(made: Bench, name: string) {
  const model = fakeModel()
    .respond(asks({ name, args: {}, id: 'c1' }))
    .respond(done());
  const middleware = [countersignMiddleware(made.guard)];
  return createAgent({ model, tools, middleware, checkpointer: new MemorySaver() });
}

const CONFIG = { configurable: { thread_id: 'thread-1' } };

async function streamed(name: string, streamMode: string | readonly string[]): Promise<string> {
  const made = bench({ policy });
  const chunks: unknown[] = [];
  const stream = (await agentOf(made, name).stream(
    { messages: 'go' },
    { ...CONFIG, streamMode: streamMode as never },
  )) as AsyncIterable<unknown>;
  for await (const chunk of stream) chunks.push(chunk);
  return JSON.stringify(chunks);
}

async function events(name: string): Promise<string> {
  const made = bench({ policy });
  const seen: unknown[] = [];
  const stream = agentOf(made, name).streamEvents({ messages: 'go' }, { ...CONFIG, version: 'v2' }) as AsyncIterable<unknown>;
  for await (const event of stream) seen.push(event);
  return JSON.stringify(seen);
}

const MODES = ['updates', 'values', 'messages', 'custom', 'tools', 'debug', 'checkpoints', 'tasks'] as const;

describe.each(['read', 'steps', 'boom'])('a withheld result of %s', (name) => {
  it.each(MODES)('is in no chunk of the mode %s', async (mode) => {
    expect(await streamed(name, mode)).not.toContain(SECRET);
  });

  it('is in no chunk of all of them together, and what stands for it is', async () => {
    const all = await streamed(name, MODES);
    expect(all).not.toContain(SECRET);
    expect(all).toContain('withheld');
  });

  it('is in no event of streamEvents', async () => {
    expect(await events(name)).not.toContain(SECRET);
  });
});

describe('a result nobody acts on', () => {
  it.each(['updates', 'values', 'messages', 'tools'])('comes with the mode %s', async (mode) => {
    expect(await streamed('open', mode)).toContain('an open result');
  });

  it('comes with the events', async () => {
    expect(await events('open')).toContain('an open result');
  });
});

it.each(['updates', 'values', 'messages'])('a refusal comes with the mode %s, as the message it is', async (mode) => {
  const all = await streamed('erase', mode);
  expect(all).toContain('call refused');
  expect(all).toContain('POLICY_DEFAULT_DENY');
});

it('a question comes with the mode updates, as the interrupt it is', async () => {
  const all = await streamed('pay', 'updates');
  expect(all).toContain('__interrupt__');
  expect(all).toContain('countersign.approval');
});

it('a secret is masked in every mode when the guard masks results', async () => {
  const key = `sk-ant-api03-${'Ab1'.repeat(31)}`;
  const made = bench({ maskResults: true });
  const leaking = tool(() => `the key is ${key}`, { name: 'read', description: 'x', schema: z.object({}) });
  const model = fakeModel()
    .respond(asks({ name: 'read', args: {}, id: 'c1' }))
    .respond(done());
  const agent = createAgent({ model, tools: [leaking], middleware: [countersignMiddleware(made.guard)] });
  const chunks: unknown[] = [];
  const stream = (await agent.stream(
    { messages: 'go' },
    { streamMode: ['updates', 'values', 'messages', 'custom', 'tools', 'debug'] as never },
  )) as AsyncIterable<unknown>;
  for await (const chunk of stream) chunks.push(chunk);
  expect(JSON.stringify(chunks)).not.toContain(key);
  expect(JSON.stringify(chunks)).toContain('[redacted:');
});
