/**
 * A LangGraph graph of one's own, without `createAgent`: its tools ask the guard themselves, whatever node runs them.
 *
 * Real: graph, `ToolNode`, checkpoints, guard and ledger. Scripted: the model.
 */
import assert from 'node:assert/strict';
import { createGuard, rulePolicy } from '@countersign/core';
import { openStore, verifyLedger } from '@countersign/core/sqlite';
import { type ApprovalInterrupt, guardTools } from '@countersign/langchain';
import { Command, INTERRUPT, isInterrupted, MemorySaver, MessagesAnnotation, StateGraph } from '@langchain/langgraph';
import { ToolNode, toolsCondition } from '@langchain/langgraph/prebuilt';
import { fakeModel, tool } from 'langchain';
import { z } from 'zod';

const store = openStore({ path: 'ledger.db', origin: 'mail.example/ledger', signer: 'none' });
const policy = rulePolicy({
  id: 'mail',
  default: 'deny',
  rules: [
    { id: 'read', tools: ['inbox'], effect: 'allow' },
    { id: 'inside', tools: ['send'], when: "args.to.endsWith('@ours.example')", effect: 'allow' },
    {
      id: 'outside',
      tools: ['send'],
      when: "!args.to.endsWith('@ours.example')",
      effect: 'require_approval',
      reason: 'it leaves the house',
    },
  ],
});
const guard = createGuard({ agent: 'mailer', policy, store });

const sent: string[] = [];
const inbox = tool(() => '1 new message', { name: 'inbox', description: 'what came in', schema: z.object({}) });
const send = tool(
  ({ to }) => {
    sent.push(to);
    return `sent to ${to}`;
  },
  { name: 'send', description: 'sends a message', schema: z.object({ to: z.string(), text: z.string() }) },
);
const purge = tool(() => 'gone', { name: 'purge', description: 'empties the inbox', schema: z.object({}) });

const model = fakeModel()
  .respondWithTools([
    { name: 'inbox', args: {}, id: 'call-1' },
    { name: 'send', args: { to: 'bob@ours.example', text: 'hello' }, id: 'call-2' },
    { name: 'send', args: { to: 'eve@theirs.example', text: 'hello' }, id: 'call-3' },
    { name: 'purge', args: {}, id: 'call-4' },
  ])
  .respondWithTools([]); // it has read the results and is done

const graph = new StateGraph(MessagesAnnotation)
  .addNode('model', async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
  .addNode('tools', new ToolNode(guardTools(guard, [inbox, send, purge])))
  .addEdge('__start__', 'model')
  .addConditionalEdges('model', toolsCondition)
  .addEdge('tools', 'model')
  .compile({ checkpointer: new MemorySaver() });

const run = { configurable: { thread_id: 'mails-of-monday' } };
const asked = await graph.invoke({ messages: [{ role: 'user', content: 'answer my mails' }] }, run);
assert(isInterrupted<ApprovalInterrupt>(asked));
const question = asked[INTERRUPT][0]?.value;
assert.deepEqual(question?.args, { to: 'eve@theirs.example', text: 'hello' });
assert.deepEqual(sent, ['bob@ours.example']);

// In your own route, behind your own login.
await guard.approvals.resolve(question.approvalId, { decision: 'approve' }, { id: 'ana', method: 'host' });

// The node runs again from its start. What had run does not: it gets the result it had.
const finished = await graph.invoke(new Command({ resume: true }), run);
assert.deepEqual(sent, ['bob@ours.example', 'eve@theirs.example']);
for (const message of finished.messages.filter(({ type }) => type === 'tool')) console.log(message.text);

await guard.close();
await store.close();
const report = await verifyLedger('ledger.db');
assert.equal(report.status, 'valid');
console.log(`${report.entries} entries, ${report.status}`);
