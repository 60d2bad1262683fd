/**
 * The probe behind two frameworks: an agent's tool reads a key file, the read is refused before it happens, and the ledger says which
 * call it was.
 *
 * Real: LangChain, the AI SDK, the signed ledger, the rules. Scripted: the models. The key is a canary of this example.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createGuard, generateKey, rulePolicy, signerFromPem } from '@countersign/core';
import { openStore, verifyLedger } from '@countersign/core/sqlite';
import { countersignMiddleware } from '@countersign/langchain';
import { hostMonitor } from '@countersign/monitor';
import { guardTools } from '@countersign/vercel-ai';
import { generateText, isStepCount, tool as sdkTool } from 'ai';
import Sqlite from 'better-sqlite3';
import { createAgent, fakeModel, tool } from 'langchain';
import { z } from 'zod';
import { scriptedModel } from '../ai-sdk-agent/scripted-model.ts';

const home = realpathSync('.');
mkdirSync(join(home, '.ssh'));
const canary = join(home, '.ssh', 'id_ed25519');
writeFileSync(canary, 'a canary, and no key');
writeFileSync('notes.txt', 'buy tea');
writeFileSync('more.txt', 'and cake');

const origin = 'probe.example/ledger';
const key = generateKey(origin);
const store = openStore({ path: 'ledger.db', origin, signer: signerFromPem(key.privatePem, origin) });
const policy = rulePolicy({ id: 'notes', rules: [{ id: 'read', tools: ['read_note'], effect: 'allow' }] });

// #region guide
const monitor = hostMonitor({ probe: { home } });
const guard = createGuard({ agent: 'reader', policy, store, monitor });
// #endregion guide

/** The tool trusts its argument, which is the mistake. */
const read = async (path: string): Promise<string> => readFile(path, 'utf8');

const langchainTool = tool(({ path }) => read(path), {
  name: 'read_note',
  description: 'reads a note',
  schema: z.object({ path: z.string() }),
});
const agent = createAgent({
  model: fakeModel()
    .respondWithTools([{ name: 'read_note', args: { path: 'notes.txt' }, id: 'call-1' }])
    .respondWithTools([{ name: 'read_note', args: { path: canary }, id: 'call-2' }])
    .respondWithTools([{ name: 'read_note', args: { path: 'notes.txt' }, id: 'call-3' }])
    .respondWithTools([]),
  tools: [langchainTool],
  middleware: [countersignMiddleware(guard)],
});
const told: string[] = [];
try {
  const { messages } = await agent.invoke({ messages: 'read my notes' }, { configurable: { thread_id: 'langchain' } });
  for (const message of messages) if (message.type === 'tool') told.push(message.text);
} catch (error) {
  // What a tool throws ends the agent's run, unless the application handles it.
  assert(error instanceof Error);
  told.push(error.message);
}
assert(
  told.some((text) => text.includes('refused before it happened (read)')),
  told.join('\n'),
);
assert(!told.some((text) => text.includes('canary, and no key')));

const sdkTools = { read_note: sdkTool({ inputSchema: z.object({ path: z.string() }), execute: ({ path }) => read(path) }) };
const ask = async (path: string): Promise<string> => {
  const model = scriptedModel([{ toolName: 'read_note', input: { path } }]);
  const tools = guardTools(guard, sdkTools, { session: 'ai-sdk' });
  return JSON.stringify((await generateText({ model, tools, prompt: 'read', stopWhen: isStepCount(2) })).steps[0]?.content);
};
assert((await ask('notes.txt')).includes('buy tea'));
assert((await ask(canary)).includes('ACTIVITY_REFUSED'));
// The session stands still until an operator resumes it.
assert((await ask('more.txt')).includes('SESSION_HALTED'));

const { probe } = monitor.stats();
await guard.close();
await monitor.close();
await store.close();
assert.equal(readFileSync(canary, 'utf8'), 'a canary, and no key');

interface Entry {
  readonly kind: string;
  readonly call?: string;
  readonly session: string;
  readonly effect?: string;
  readonly level?: string;
  readonly rule?: string;
  readonly status?: string;
}
const database = new Sqlite('ledger.db', { readonly: true });
const entries = database
  .prepare<[], string>('SELECT body FROM entries ORDER BY seq')
  .pluck()
  .all()
  .map((body) => JSON.parse(body) as Entry);
database.close();
const verdicts = entries.filter(({ kind }) => kind === 'verdict');
for (const session of ['langchain', 'ai-sdk']) {
  const verdict = verdicts.find((entry) => entry.session === session);
  assert(verdict?.level === 'KILL' && verdict.rule !== undefined);
  // Attributed to the very call: the one that the guard allowed and whose outcome was an error.
  const outcome = entries.find(({ kind, call }) => kind === 'outcome' && call === verdict.call);
  assert.equal(outcome?.status, 'error');
  console.log(`${session}: ${verdict.rule} refused`);
}
assert.equal(verdicts.length, 2, 'the ledger, its thread and the frameworks themselves are no incidents');
assert((probe?.seen ?? 0) > 0 && probe?.refused === 2);
const report = await verifyLedger('ledger.db', { publicKeys: [key.vkey] });
console.log(`${report.status}, authorship ${report.authorship}`);
