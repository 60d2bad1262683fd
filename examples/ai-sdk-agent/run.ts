/**
 * An AI SDK agent that may look, may not delete, and asks a person before it pays.
 *
 * Real: the agent, the signed ledger, the messages that travel to a client as JSON and come back. Scripted: the model. Between
 * the question and the answer the agent is built anew, as in another request.
 */
import assert from 'node:assert/strict';
import { createGuard, generateKey, rulePolicy, signerFromPem } from '@countersign/core';
import { openStore, verifyLedger } from '@countersign/core/sqlite';
import { approvalFor, approvalOf, countersignMiddleware, guardTools } from '@countersign/vercel-ai';
import { type ModelMessage, ToolLoopAgent, tool, wrapLanguageModel } from 'ai';
import { z } from 'zod';
import { scriptedModel } from './scripted-model.ts';

const origin = 'shop.example/ledger';
const key = generateKey(origin); // yours comes from `countersign keygen` and readSigner
const store = openStore({ path: 'ledger.db', origin, signer: signerFromPem(key.privatePem, origin) });
const policy = rulePolicy({
  id: 'shop',
  default: 'deny',
  rules: [
    { id: 'look', tools: ['stock'], effect: 'allow' },
    { id: 'small', tools: ['refund'], effect: 'allow', when: 'args.amount <= 50' },
    { id: 'pay', tools: ['pay'], effect: 'require_approval', reason: 'money leaves the house' },
    { id: 'keep', tools: ['erase'], effect: 'deny', reason: 'stock is archived, never erased' },
  ],
});
const guard = createGuard({ agent: 'shopkeeper', policy, store });

const ran: string[] = [];
const noted = (line: string): string => {
  ran.push(line);
  return line;
};
const item = z.object({ item: z.string() });
const stock = tool({ description: 'how many', inputSchema: item, execute: ({ item }) => noted(`${item}: 3 left`) });
const erase = tool({ description: 'erases', inputSchema: item, execute: ({ item }) => noted(`${item} erased`) });
const refund = tool({
  description: 'gives money back',
  inputSchema: z.object({ amount: z.coerce.number() }),
  execute: ({ amount }) => noted(`refunded ${amount}`),
});
const pay = tool({
  description: 'pays',
  inputSchema: z.object({ to: z.string(), amount: z.coerce.number() }),
  execute: ({ to, amount }) => noted(`paid ${amount} to ${to}`),
});

const provider = scriptedModel([
  { toolName: 'stock', input: { item: 'tea' } },
  { toolName: 'erase', input: { item: 'tea' } }, // it was not offered, and asks for it all the same
  { toolName: 'refund', input: { amount: '80' } },
  { toolName: 'pay', input: { to: 'tea merchant', amount: '120' } },
]);

/** One request of the chat `session`, as your server would answer it. */
async function answer(session: string, history: readonly ModelMessage[]): Promise<ModelMessage[]> {
  const tools = guardTools(guard, { stock, erase, refund, pay }, { session, principal: 'ana' });
  const model = wrapLanguageModel({ model: provider, middleware: countersignMiddleware(guard, { session, principal: 'ana' }) });
  const agent = new ToolLoopAgent({ model, tools, toolApproval: approvalFor(guard) });
  const { responseMessages } = await agent.generate({ messages: [...history] });
  return [...history, ...(JSON.parse(JSON.stringify(responseMessages)) as ModelMessage[])];
}

const asked = await answer('order-7', [{ role: 'user', content: 'order tea and clear the shelf' }]);
assert.deepEqual(provider.offered(), ['stock', 'refund', 'pay'], 'erase is not offered: no call of it would be allowed');
assert.deepEqual(ran, ['tea: 3 left'], 'what was allowed ran; what was denied, or waits, did not');

const parts = asked.flatMap((message) => (message.role === 'assistant' && typeof message.content !== 'string' ? message.content : []));
const request = parts.find((part) => part.type === 'tool-approval-request' && part.isAutomatic !== true);
assert(request?.type === 'tool-approval-request');
const call = parts.find((part) => part.type === 'tool-call' && part.toolCallId === request.toolCallId);
assert(call?.type === 'tool-call' && call.toolName === 'pay');

// The client says yes. It says so to the agent, and that opens nothing.
const yes: ModelMessage = {
  role: 'tool',
  content: [{ type: 'tool-approval-response', approvalId: request.approvalId, approved: true }],
};
await answer('order-7', [...asked, yes]);
assert.deepEqual(ran, ['tea: 3 left'], 'an approval in the history runs nothing');

// A person answers in the route behind your own login; then the same history goes on.
const row = await approvalOf(guard, call, { session: 'order-7', principal: 'ana' });
assert(row !== undefined);
await guard.approvals.resolve(row.id, { decision: 'approve' }, { id: 'bob', method: 'host' });
const paid = await answer('order-7', [...asked, yes]);
await answer('order-7', [...asked, yes]); // sent once more
assert.deepEqual(ran, ['tea: 3 left', 'paid 120 to tea merchant'], 'once, however often it is sent');

for (const message of paid)
  if (message.role === 'tool')
    for (const part of message.content) if (part.type === 'tool-result') console.log(part.toolName, JSON.stringify(part.output));

await guard.close();
await store.close();
const report = await verifyLedger('ledger.db', { publicKeys: [key.vkey] });
assert.equal(report.status, 'valid');
assert.equal(report.open_decisions, 0);
console.log(`${report.entries} entries, ${report.status}, authorship ${report.authorship}`);
