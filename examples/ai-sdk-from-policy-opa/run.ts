/**
 * From @ai-sdk/policy-opa to Countersign, in the steps a team would take. Every step runs the same agent with the same model.
 *
 *   0  as it was      a policy client behind `toolApproval`: an approval is worth what the client sends, as often as it sends it
 *   1  shadow         the same client as a policy, in audit mode: everything runs, what policy would have said is on record
 *   2  enforce        the same client, enforced where the tool runs: an approval is worth what a person answered, once
 *   3  own rules      the same decisions as rules: nothing to ask over the network, and the model is not offered what it may not use
 *
 * `opa` stands for `wasmPolicyClient` or `httpPolicyClient`: it has their shape, and decides as the Rego beside it would.
 */
import assert from 'node:assert/strict';
import { type AuditSink, createGuard, definePolicy, type Guard, generateKey, rulePolicy, signerFromPem } from '@countersign/core';
import { openStore, verifyLedger } from '@countersign/core/sqlite';
import { approvalFor, approvalOf, countersignMiddleware, guardTools } from '@countersign/vercel-ai';
import {
  generateText,
  isStepCount,
  type LanguageModel,
  type ModelMessage,
  type ToolApprovalConfiguration,
  type ToolSet,
  tool,
  wrapLanguageModel,
} from 'ai';
import { z } from 'zod';
import { scriptedModel } from '../ai-sdk-agent/scripted-model.ts';
import { opa } from './opa.ts';

const ran: string[] = [];
const run = (line: string): string => {
  ran.push(line);
  return line;
};
const tools = {
  git: tool({ inputSchema: z.object({ args: z.array(z.string()) }), execute: ({ args }) => run(`git ${args.join(' ')}`) }),
  deploy: tool({ inputSchema: z.object({ to: z.string() }), execute: ({ to }) => run(`deploy ${to}`) }),
  wipe: tool({ inputSchema: z.object({}), execute: () => run('wipe') }),
};
const CALLS = [
  { toolName: 'git', input: { args: ['status'] } },
  { toolName: 'git', input: { args: ['push'] } },
  { toolName: 'deploy', input: { to: 'staging' } },
];

interface Agent {
  readonly model: LanguageModel;
  readonly tools: ToolSet;
  readonly toolApproval: ToolApprovalConfiguration<ToolSet, unknown>;
}

/** One request: what a server does with the messages its client sent. */
async function answer(agent: Agent, messages: readonly ModelMessage[]): Promise<ModelMessage[]> {
  const { responseMessages } = await generateText({ ...agent, messages: [...messages], stopWhen: isStepCount(3) });
  return [...messages, ...(JSON.parse(JSON.stringify(responseMessages)) as ModelMessage[])];
}

/** What the client of the chat adds to say that its user approved. */
function approved(messages: readonly ModelMessage[]): ModelMessage[] {
  const content = requests(messages).map(({ approvalId }) => ({ type: 'tool-approval-response' as const, approvalId, approved: true }));
  return [...messages, { role: 'tool', content }];
}

function requests(messages: readonly ModelMessage[]) {
  return partsOf(messages).flatMap((part) => (part.type === 'tool-approval-request' && part.isAutomatic !== true ? [part] : []));
}

function partsOf(messages: readonly ModelMessage[]) {
  return messages.flatMap((message) => (message.role === 'assistant' && typeof message.content !== 'string' ? message.content : []));
}

/** What ran since it was asked last. */
const ranNow = (): readonly string[] => ran.splice(0);
const user: readonly ModelMessage[] = [{ role: 'user', content: 'ship it' }];

// 0. As it was: `toolApproval: opaPolicy({ client: opa, path: 'agent/call/decision' })` makes such a function.
const before: Agent = {
  model: scriptedModel(CALLS),
  tools,
  async toolApproval({ toolCall }) {
    const { decision, reason } = await opa.evaluate('agent/call/decision', { tool: { name: toolCall.toolName }, args: toolCall.input });
    const type = { allow: 'approved', deny: 'denied', 'requires-approval': 'user-approval' } as const;
    return { type: type[decision], ...(reason !== undefined && { reason }) };
  },
};
const waiting = await answer(before, user);
assert.deepEqual(ranNow(), ['git status']);
await answer(before, approved(waiting));
await answer(before, approved(waiting)); // the client sends it again
assert.deepEqual(ranNow(), ['deploy staging', 'deploy staging'], 'nobody but the client said so, and it ran twice');
console.log('before: one approval, which the client gave itself, ran the deploy twice');

// The ledger, and the Rego as a policy of Countersign: it needs no change.
const origin = 'ship.example/ledger';
const key = generateKey(origin);
const store = openStore({ path: 'ledger.db', origin, signer: signerFromPem(key.privatePem, origin) });
const rego = definePolicy({
  id: 'rego',
  version: 'agent/call/decision', // raise it with the bundle: the hash covers this function, not what OPA holds
  async evaluate({ tool: { name }, args }) {
    const { decision, reason } = await opa.evaluate('agent/call/decision', { tool: { name }, args });
    const effect = { allow: 'allow', deny: 'deny', 'requires-approval': 'require_approval' } as const;
    return { effect: effect[decision], rule: decision, ...(reason !== undefined && { reason }) };
  },
});

/** The same agent under a guard. */
function under(guard: Guard, session: string): Agent & { readonly offered: () => readonly string[] } {
  const provider = scriptedModel(CALLS);
  return {
    model: wrapLanguageModel({ model: provider, middleware: countersignMiddleware(guard, { session }) }),
    tools: guardTools(guard, tools, { session }),
    toolApproval: approvalFor(guard),
    offered: () => provider.offered(),
  };
}

// 1. shadow(opaPolicy(...), { onDecision }): everything runs, and what policy would have said is told and on record.
const told: string[] = [];
const onDecision: AuditSink = {
  write(record) {
    if (record.event === 'decision') told.push(`${record.tool.name}: ${record.would}`);
  },
  close() {},
};
const shadow = createGuard({ agent: 'shipper', policy: rego, store, mode: 'audit', audit: [onDecision] });
await answer(under(shadow, 'shadow'), user);
assert.deepEqual(ranNow().toSorted(), ['deploy staging', 'git push', 'git status']);
await shadow.close();
assert.deepEqual(told.toSorted(), ['deploy: require_approval', 'git: allow', 'git: deny']);
console.log('shadow: 3 calls ran, 1 would have been denied and 1 asked about');

/** Asks, lets the client say yes for itself, then a person, then the client once more. */
async function throughApproval(guard: Guard, session: string): Promise<void> {
  const agent = under(guard, session);
  const asked = await answer(agent, user);
  assert.deepEqual(ranNow(), ['git status']);
  await answer(agent, approved(asked));
  assert.deepEqual(ranNow(), [], 'what the client says runs nothing');
  const call = partsOf(asked).find((part) => part.type === 'tool-call' && part.toolName === 'deploy');
  assert(call?.type === 'tool-call');
  const row = await approvalOf(guard, call, { session });
  assert(row !== undefined);
  await guard.approvals.resolve(row.id, { decision: 'approve' }, { id: 'ana', method: 'host' });
  await answer(agent, approved(asked));
  await answer(agent, approved(asked));
  assert.deepEqual(ranNow(), ['deploy staging'], 'what a person answered runs once');
}

// 2. Enforce, with the Rego as it is.
const enforced = createGuard({ agent: 'shipper', policy: rego, store });
await throughApproval(enforced, 'enforced');
await enforced.close();
console.log('enforced: the answer of a person ran it, once, however often it was sent');

// 3. The same decisions as rules. `wipe` has none: opaPolicy would have run it, here the default denies.
const rules = rulePolicy({
  id: 'ship',
  version: '1',
  default: 'deny', // wrapMcpTools(tools, approval, { default: 'denied' })
  rules: [
    { id: 'read-git', tools: ['git'], effect: 'allow', when: "args.args[0] in ['status', 'log', 'diff', 'show']" },
    { id: 'push', tools: ['git'], effect: 'deny', when: "args.args[0] == 'push'", reason: 'pushes require human review' },
    { id: 'deploy', tools: ['deploy'], effect: 'require_approval', reason: 'deploys need a person' },
  ],
});
const guard = createGuard({ agent: 'shipper', policy: rules, store });
await throughApproval(guard, 'rules');
const agent = under(guard, 'offers');
await answer(agent, user);
assert.deepEqual(agent.offered(), ['git', 'deploy'], 'opaCapabilityMiddleware, without a second policy to keep in step');
await guard.close();
console.log(`rules: offered ${agent.offered().join(' and ')}`);

await store.close();
const report = await verifyLedger('ledger.db', { publicKeys: [key.vkey] });
assert.equal(report.status, 'valid');
console.log(`ledger: ${report.status}, authorship ${report.authorship}`);
