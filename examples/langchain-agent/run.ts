/**
 * A LangChain agent that may look, may not delete, and asks a person before it pays.
 *
 * Real: the agent, its checkpoints on disk, the signed ledger. Scripted: the model. Between the question and the answer the
 * agent is built anew, as after a restart.
 */
import assert from 'node:assert/strict';
import { createGuard, generateKey, rulePolicy, signerFromPem } from '@countersign/core';
import { openStore, verifyLedger } from '@countersign/core/sqlite';
import { type ApprovalInterrupt, countersignMiddleware } from '@countersign/langchain';
import { Command, INTERRUPT, isInterrupted } from '@langchain/langgraph';
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite';
import { createAgent, fakeModel, tool } from 'langchain';
import { z } from 'zod';

const origin = 'shop.example/ledger';
const key = generateKey(origin); // yours comes from `countersign keygen` and readSigner
const store = openStore({ path: 'ledger.db', origin, signer: signerFromPem(key.privatePem, origin) });
const policy = rulePolicy({
  id: 'shop',
  default: 'deny',
  rules: [
    { id: 'look', tools: ['stock'], effect: 'allow' },
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
const stock = tool(({ item }) => noted(`${item}: 3 left`), {
  name: 'stock',
  description: 'how many',
  schema: z.object({ item: z.string() }),
});
const erase = tool(({ item }) => noted(`${item} erased`), { name: 'erase', description: 'erases', schema: z.object({ item: z.string() }) });
const pay = tool(({ to, amount }) => noted(`paid ${amount} to ${to}`), {
  name: 'pay',
  description: 'pays',
  schema: z.object({ to: z.string(), amount: z.coerce.number() }),
});

const model = fakeModel()
  .respondWithTools([
    { name: 'stock', args: { item: 'tea' }, id: 'call-1' },
    { name: 'erase', args: { item: 'tea' }, id: 'call-2' },
    { name: 'pay', args: { to: 'tea merchant', amount: '120' }, id: 'call-3' },
  ])
  .respondWithTools([]); // it has read the results and is done

function buildAgent() {
  return createAgent({
    model,
    tools: [stock, erase, pay],
    middleware: [countersignMiddleware(guard, { principal: ({ context }) => (context as { user: string }).user })],
    contextSchema: z.object({ user: z.string() }),
    checkpointer: SqliteSaver.fromConnString('checkpoints.db'),
  });
}

/** The route behind your own login. Whoever may call it answers; what the browser then tells the agent decides nothing. */
async function answerRoute(user: { readonly id: string }, approvalId: string, decision: 'approve' | 'deny'): Promise<void> {
  await guard.approvals.resolve(approvalId, { decision }, { id: user.id, method: 'host' });
}

const run = { configurable: { thread_id: 'order-7' }, context: { user: 'ana' } };

const asked = await buildAgent().invoke({ messages: 'order tea and clear the shelf' }, run);
assert(isInterrupted<ApprovalInterrupt>(asked));
const [question] = asked[INTERRUPT];
assert.equal(question?.value?.tool, 'pay');
assert.deepEqual(ran, ['tea: 3 left'], 'the allowed call ran, the denied one and the one that waits did not');

// Resuming alone opens nothing: the run stops at the same question.
const forged = await buildAgent().invoke(new Command({ resume: { approved: true } }), run);
assert(isInterrupted<ApprovalInterrupt>(forged) && forged[INTERRUPT][0]?.value?.approvalId === question.value.approvalId);

await answerRoute({ id: 'bob' }, question.value.approvalId, 'approve');
const finished = await buildAgent().invoke(new Command({ resume: true }), run);
assert.deepEqual(ran, ['tea: 3 left', 'paid 120 to tea merchant']);
for (const message of finished.messages.filter(({ type }) => type === 'tool')) console.log(message.text);

await guard.close();
await store.close();
const report = await verifyLedger('ledger.db', { publicKeys: [key.vkey] });
assert.equal(report.status, 'valid');
assert.equal(report.authorship, 'proven');
console.log(`${report.entries} entries, ${report.status}, authorship ${report.authorship}`);
