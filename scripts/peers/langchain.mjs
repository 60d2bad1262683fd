// The LangChain adapter in short, for versions of the framework that the repository does not install. See ../test-peers.mjs.
import assert from 'node:assert/strict';
import test from 'node:test';
import { createGuard, definePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { countersignMiddleware, guardTool } from '@countersign/langchain';
import { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { Command, MemorySaver } from '@langchain/langgraph';
import { createAgent } from 'langchain';
import { z } from 'zod';

/** Says what it was given, message by message. Test models came to the frameworks later. */
class Scripted extends BaseChatModel {
  constructor(answers) {
    super({});
    this.answers = answers;
    this.said = 0;
  }
  _llmType() {
    return 'scripted';
  }
  bindTools() {
    return this;
  }
  async _generate() {
    const message = this.answers[this.said++] ?? new AIMessage('done');
    return { generations: [{ text: '', message }] };
  }
}

const policy = definePolicy({
  id: 'shop',
  evaluate: ({ tool: { name } }) => {
    if (name === 'read') return { effect: 'allow' };
    if (name === 'pay') return { effect: 'require_approval', reason: 'money leaves the house' };
    return { effect: 'deny', reason: 'not on the list' };
  },
});
const asks = (...calls) =>
  new AIMessage({ id: `m-${calls[0].id}`, content: '', tool_calls: calls.map((call) => ({ ...call, type: 'tool_call' })) });

function shop() {
  const ran = [];
  const store = memoryStore();
  const guard = createGuard({ agent: 'shopper', policy, store });
  const make = (name) =>
    tool(
      (args) => {
        ran.push([name, args.amount]);
        return `${name} done`;
      },
      { name, description: name, schema: z.object({ amount: z.coerce.number().default(1) }) },
    );
  const decided = () =>
    store
      .entries()
      .filter(({ kind }) => kind === 'decision')
      .map(({ tool: { name }, effect }) => `${name} ${effect}`);
  return { ran, store, guard, decided, tools: ['read', 'pay', 'drop'].map(make) };
}

const start = { messages: [new HumanMessage('go')] };
const told = ({ messages }) => messages.filter((message) => ToolMessage.isInstance(message));

test('allow and deny, on parsed arguments', async () => {
  const { ran, guard, decided, tools } = shop();
  const model = new Scripted([asks({ name: 'read', args: { amount: '2' }, id: 'a' }, { name: 'drop', args: {}, id: 'b' })]);
  const agent = createAgent({ model, tools, middleware: [countersignMiddleware(guard)] });
  const messages = told(await agent.invoke(start, { configurable: { thread_id: 't' } }));
  assert.deepEqual(ran, [['read', 2]]);
  assert.deepEqual(
    messages.map(({ status, content }) => [status === 'error', /not on the list/.test(content)]),
    [
      [false, false],
      [true, true],
    ],
  );
  assert.deepEqual(decided().toSorted(), ['drop deny', 'read allow']);
});

test('an approval interrupts, a resume alone runs nothing, an answer runs it once', async () => {
  const { ran, guard, tools } = shop();
  const model = new Scripted([asks({ name: 'pay', args: { amount: 7 }, id: 'p' })]);
  const agent = createAgent({ model, tools, middleware: [countersignMiddleware(guard)], checkpointer: new MemorySaver() });
  const config = { configurable: { thread_id: 't' } };
  const { __interrupt__: interrupts } = await agent.invoke(start, config);
  assert.equal(interrupts?.[0]?.value.kind, 'countersign.approval');
  await agent.invoke(new Command({ resume: 'approved, says the client' }), config);
  assert.deepEqual(ran, []);
  await guard.approvals.resolve(interrupts[0].value.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
  const messages = told(await agent.invoke(new Command({ resume: 'go on' }), config));
  assert.deepEqual(ran, [['pay', 7]]);
  assert.equal(messages.at(-1)?.content, 'pay done');
});

test('a guarded tool: allow, deny, and a replay runs nothing', async () => {
  const { ran, guard, tools } = shop();
  const [read, , drop] = tools.map((one) => guardTool(guard, one));
  const call = { name: 'read', args: { amount: 3 }, id: 'r', type: 'tool_call' };
  assert.equal((await read.invoke(call)).content, 'read done');
  await read.invoke(call);
  assert.deepEqual(ran, [['read', 3]]);
  await assert.rejects(drop.invoke({ amount: 1 }), { code: 'CALL_REFUSED' });
  assert.equal((await drop.invoke({ name: 'drop', args: {}, id: 'd', type: 'tool_call' })).status, 'error');
});

test('streaming brings the same messages', async () => {
  const { ran, guard, tools } = shop();
  const model = new Scripted([asks({ name: 'read', args: {}, id: 'a' })]);
  const agent = createAgent({ model, tools, middleware: [countersignMiddleware(guard)] });
  const updates = [];
  for await (const update of await agent.stream(start, { streamMode: 'updates' })) updates.push(...Object.values(update));
  const messages = updates.flatMap((update) => told({ messages: update?.messages ?? [] }));
  assert.deepEqual(
    messages.map(({ content }) => content),
    ['read done'],
  );
  assert.deepEqual(ran, [['read', 1]]);
});

test('a tool that throws is told to the model and recorded', async () => {
  const { store, guard } = shop();
  const broken = tool(
    () => {
      throw new TypeError('no such file');
    },
    { name: 'read', description: 'r', schema: z.object({}) },
  );
  const model = new Scripted([asks({ name: 'read', args: {}, id: 'a' })]);
  const agent = createAgent({ model, tools: [broken], middleware: [countersignMiddleware(guard)] });
  const [message] = told(await agent.invoke(start));
  assert.match(message.content, /no such file/);
  await guard.close();
  assert.deepEqual(
    store
      .entries()
      .filter(({ kind }) => kind === 'outcome')
      .map(({ status }) => status),
    ['error'],
  );
});
