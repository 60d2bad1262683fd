/**
 * From watching to enforcing: an agent works for a while in audit mode, a draft of a policy is made from what it did, the
 * draft is checked and replayed over the past, and then it is enforced. Asserts every step.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@countersign/core';
import { guardFromConfig, storeFromConfig } from '@countersign/core/sqlite';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
// Where links lead is recorded, so the example names its folder as the disk does.
const work = realpathSync(process.cwd());
mkdirSync(join(work, 'reports'));

/** Runs `countersign`, as anybody would at a shell. */
function countersign(...argv: readonly string[]): { readonly code: number | null; readonly stdout: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=@countersign/source', '--no-warnings', CLI, ...argv], {
    cwd: work,
    encoding: 'utf8',
  });
  if (stderr !== '') process.stderr.write(stderr);
  return { code: status, stdout };
}

/** Puts calls through the configured guard; gives what was decided about each. */
async function calls(
  given: readonly { readonly server: string; readonly tool: string; readonly args: unknown }[],
): Promise<readonly string[]> {
  const config = loadConfig('countersign.yaml');
  const store = storeFromConfig(config);
  const guard = guardFromConfig(config, store);
  const effects: string[] = [];
  for (const { server, tool, args } of given) {
    const decided = await guard.authorize({ tool: { server, name: tool }, args }, { approval: 'suspend' });
    effects.push(decided.decision.effect);
    if (decided.kind === 'permit') await decided.settle({ status: 'success', result: 'ok' });
  }
  await guard.close();
  await store.close();
  return effects;
}

const read = (name: string) => ({ server: 'files', tool: 'read_file', args: { path: join(work, 'reports', name) } });
const refund = (amount: number) => ({ server: 'bank', tool: 'refund', args: { amount, currency: 'EUR' } });

// 1. Watch: nothing is blocked, everything is recorded.
assert.equal(countersign('init', '--agent', 'billing-bot').code, 0);
const watched = [read('q1.csv'), read('q2.csv'), read('q3.csv'), refund(120), refund(80), refund(400), refund(15)];
assert.deepEqual(new Set(await calls(watched)), new Set(['allow']));

// 2. Draft: what ran, and what held for every call of it.
assert.equal(countersign('policy', 'suggest', '--output', 'draft.yaml').code, 0);
const draft = readFileSync(join(work, 'draft.yaml'), 'utf8');
assert.match(draft, /args\.amount <= 500 && args\.amount >= 0/);
assert.match(draft, /path\.within\(args\.path, '.*\/reports'\)/);
assert.equal(countersign('policy', 'check', 'draft.yaml', '--strict').code, 0);

// 3. Replay: under the draft every past call is allowed, and nothing is left unanswered.
const replayed = countersign('policy', 'replay', '--policy', 'draft.yaml', '--assume-no-links', '--json');
assert.equal(replayed.code, 0);
const report = JSON.parse(replayed.stdout);
assert.deepEqual([report.calls, report.compared, report.not_replayable], [7, 7, {}]);
assert.ok(report.changes.every((change: { to: string }) => change.to === 'allow'));

// 4. Enforce: the draft becomes the policy.
const block = draft.split('\n').map((line) => `  ${line}`);
writeFileSync(
  'countersign.yaml',
  ['version: 1', 'agent: billing-bot', 'mode: enforce', 'ledger: { origin: countersign.local/billing-bot }', 'policy:', ...block].join(
    '\n',
  ),
);
const elsewhere = { server: 'files', tool: 'read_file', args: { path: '/etc/passwd' } };
const climbing = { server: 'files', tool: 'read_file', args: { path: join(work, 'reports') + '/../countersign.yaml' } };
const unseen = { server: 'files', tool: 'write_file', args: { path: join(work, 'reports', 'q1.csv') } };
const decided = await calls([...watched, refund(501), elsewhere, climbing, unseen]);
assert.deepEqual(
  decided.slice(0, 7),
  watched.map(() => 'allow'),
);
assert.deepEqual(decided.slice(7), ['deny', 'deny', 'deny', 'deny']);

// 5. And the record of all of it holds.
assert.equal(countersign('verify', '.countersign/ledger.db', '--public-key', '.countersign/ledger.key.pub').code, 0);
console.log('7 calls watched, 2 rules drafted, 7 replayed, 4 others refused');
