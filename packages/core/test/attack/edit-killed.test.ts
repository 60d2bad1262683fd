/** `kill -9` at every point between a person's edit and the end of the call it makes: it runs at most once, the original never. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { rulePolicy } from '../../src/index.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const SCRIPT = fileURLToPath(new URL('../fixtures/edit-killed.ts', import.meta.url));
const KEY = Buffer.from(LEDGER_PEM).toString('base64');

async function edited(): Promise<{ readonly path: string; readonly trace: string }> {
  const folder = tempDirectory();
  const path = join(folder, 'ledger.db');
  const store = openLedger(path);
  const policy = rulePolicy({
    id: 'pay',
    rules: [
      { id: 'ask', tools: ['pay'], when: 'args.amount > 100', effect: 'require_approval' },
      { id: 'small', tools: ['pay'], effect: 'allow' },
    ],
  });
  const guard = guardOn(store, { policy });
  const asked = await guard.authorize({ tool: { name: 'pay' }, args: { amount: 700 }, id: 'f1', turn: 't' }, { approval: 'suspend' });
  if (asked.kind !== 'pending') throw new Error('it did not ask');
  await guard.approvals.resolve(asked.approvalId, { decision: 'edit', args: { amount: 70 } }, { id: 'alice', method: 'host' });
  await guard.close();
  await store.close();
  return { path, trace: join(folder, 'ran') };
}

function comeBack(path: string, where: string, trace: string): { readonly signal: string | null; readonly said: string } {
  const args = ['--conditions=@countersign/source', SCRIPT, path, KEY, where, trace];
  const { signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  if (signal === null && stdout === '') throw new Error(stderr);
  return { signal, said: stdout.trim() };
}

const ran = (trace: string): readonly string[] => (existsSync(trace) ? readFileSync(trace, 'utf8').trim().split('\n') : []);

const ONCE = ['{"amount":70}'];

// Its commits: the policy (1), the decision about the edited call (2), the refusal of the original (3).
it.each<[string, readonly string[], readonly string[], string]>([
  ['before 2', [], ONCE, 'permit POLICY_ALLOW_LOW_RISK'],
  ['after 2', [], [], 'refusal CALL_OUTCOME_UNKNOWN'],
  ['before 3', [], [], 'refusal CALL_OUTCOME_UNKNOWN'],
  ['running', ONCE, ONCE, 'refusal CALL_OUTCOME_UNKNOWN'],
])('killed %s', { timeout: 120_000 }, async (where, before, after, said) => {
  const { path, trace } = await edited();
  expect(comeBack(path, where, trace).signal).toBe('SIGKILL');
  expect(ran(trace)).toEqual(before);
  expect(comeBack(path, 'never', trace)).toEqual({ signal: null, said });
  expect(ran(trace)).toEqual(after);
  // And whoever comes after that.
  expect(comeBack(path, 'never', trace).said).toMatch(/^refusal /);
  expect(ran(trace)).toEqual(after);
  expect((await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).problems).toEqual([]);
});
