// The AI SDK adapter in short, for versions of the SDK that the repository does not install. See ../test-peers.mjs.
import assert from 'node:assert/strict';
import test from 'node:test';
import { createGuard, definePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { approvalFor, approvalOf, guardTools } from '@countersign/vercel-ai';
import { generateText, isStepCount, streamText, tool } from 'ai';
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test';
import { z } from 'zod';

const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } };
const finish = (unified) => ({ unified, raw: unified });
const options = { session: 'chat-1' };

const policy = definePolicy({
  id: 'shop',
  evaluate: ({ tool: { name } }) => {
    if (name === 'read') return { effect: 'allow' };
    if (name === 'pay') return { effect: 'require_approval', reason: 'money leaves the house' };
    return { effect: 'deny', reason: 'not on the list' };
  },
});

function shop() {
  const ran = [];
  const store = memoryStore();
  const guard = createGuard({ agent: 'shopper', policy, store });
  const make = (name) =>
    tool({
      inputSchema: z.object({ amount: z.coerce.number().default(1) }),
      execute: ({ amount }) => {
        ran.push([name, amount]);
        return `${name} done`;
      },
    });
  const tools = guardTools(guard, { read: make('read'), pay: make('pay'), drop: make('drop') }, options);
  return { ran, store, guard, tools, toolApproval: approvalFor(guard, options) };
}

/** Calls tools in its first step, then says done. */
function model(...calls) {
  const content = calls.map(([toolName, input, toolCallId]) => ({ type: 'tool-call', toolCallId, toolName, input: JSON.stringify(input) }));
  let step = 0;
  const steps = [content, [{ type: 'text', text: 'done' }]];
  const next = () => (calls.length === 0 ? steps[1] : (steps[step++] ?? steps[1]));
  const reason = (parts) => finish(parts.some(({ type }) => type === 'tool-call') ? 'tool-calls' : 'stop');
  return new MockLanguageModelV4({
    doGenerate: async () => {
      const parts = next();
      return { content: parts, finishReason: reason(parts), usage, warnings: [] };
    },
    doStream: async () => {
      const parts = next();
      const texts = parts.flatMap((part) =>
        part.type === 'text'
          ? [
              { type: 'text-start', id: 't' },
              { type: 'text-delta', id: 't', delta: part.text },
              { type: 'text-end', id: 't' },
            ]
          : [part],
      );
      return {
        stream: convertArrayToReadableStream([
          { type: 'stream-start', warnings: [] },
          ...texts,
          { type: 'finish', finishReason: reason(parts), usage },
        ]),
      };
    },
  });
}

const user = [{ role: 'user', content: 'go' }];
const turn = ({ tools, toolApproval }, messages, ...calls) =>
  generateText({ model: model(...calls), tools, toolApproval, messages, stopWhen: isStepCount(3) });

test('allow and deny, on parsed arguments', async () => {
  const it = shop();
  const { steps } = await turn(it, user, ['read', { amount: '2' }, 'a'], ['drop', {}, 'b']);
  assert.deepEqual(it.ran, [['read', 2]]);
  assert.match(JSON.stringify(steps.map(({ content }) => content)), /not on the list/);
  assert.deepEqual(
    it.store
      .entries()
      .filter(({ kind }) => kind === 'decision')
      .map(({ tool: { name }, effect }) => `${name} ${effect}`)
      .toSorted(),
    ['drop deny', 'read allow'],
  );
});

test('an approval is asked for; a forged answer runs nothing, the answer in the store runs it once, a replay runs nothing', async () => {
  const it = shop();
  const asked = await turn(it, user, ['pay', { amount: 7 }, 'p']);
  const request = asked.content.find(({ type }) => type === 'tool-approval-request');
  assert.ok(request);
  const answer = { role: 'tool', content: [{ type: 'tool-approval-response', approvalId: request.approvalId, approved: true }] };
  const history = JSON.parse(JSON.stringify([...user, ...(asked.responseMessages ?? asked.response.messages), answer]));
  await turn(it, history);
  assert.deepEqual(it.ran, []);
  const row = await approvalOf(it.guard, { toolName: 'pay', toolCallId: 'p', input: { amount: 7 } }, options);
  await it.guard.approvals.resolve(row.id, { decision: 'approve' }, { id: 'alice', method: 'host' });
  await turn(it, history);
  assert.deepEqual(it.ran, [['pay', 7]]);
  await turn(it, history);
  assert.deepEqual(it.ran, [['pay', 7]]);
});

test('enforcement stands without toolApproval', async () => {
  const it = shop();
  await turn({ ...it, toolApproval: undefined }, user, ['drop', {}, 'a'], ['pay', {}, 'b'], ['read', {}, 'c']);
  assert.deepEqual(it.ran, [['read', 1]]);
});

test('streaming: a tool runs, a denied one does not', async () => {
  const it = shop();
  const { tools, toolApproval } = it;
  const result = streamText({
    model: model(['read', {}, 'a'], ['drop', {}, 'b']),
    tools,
    toolApproval,
    messages: user,
    stopWhen: isStepCount(3),
  });
  const parts = [];
  for await (const part of result.stream ?? result.fullStream) parts.push(part);
  assert.deepEqual(it.ran, [['read', 1]]);
  assert.deepEqual(
    parts.filter(({ type }) => type === 'tool-result').map(({ output }) => output),
    ['read done'],
  );
  assert.match(JSON.stringify(parts), /not on the list/);
});

test('a tool that throws is told to the model and recorded', async () => {
  const { store, guard } = shop();
  const read = tool({
    inputSchema: z.object({}),
    execute: () => {
      throw new TypeError('no such file');
    },
  });
  const it = { tools: guardTools(guard, { read }, options), toolApproval: approvalFor(guard, options) };
  const { steps } = await turn(it, user, ['read', {}, 'a']);
  assert.match(JSON.stringify(steps.map(({ content }) => content.map((part) => String(part.error)))), /no such file/);
  await guard.close();
  assert.deepEqual(
    store
      .entries()
      .filter(({ kind }) => kind === 'outcome')
      .map(({ status }) => status),
    ['error'],
  );
});
