/**
 * A ledger written by a real guard; an export and a receipt made by the real command, and checked by a program that
 * shares no line with Countersign: `verify.py` beside this file. Then they are tampered with, and both must refuse them.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createGuard, generateKey, rulePolicy, signerFromPem } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';

const ORIGIN = 'example.com/refunds';
const CLI = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const VERIFIER = fileURLToPath(new URL('./verify.py', import.meta.url));
const folder = resolve('verify-in-python');

const python = ['python3', '/usr/bin/python3'].find((command) => spawnSync(command, ['-c', 'import cryptography']).status === 0);
if (python === undefined) {
  console.log('SKIPPED: no python3 with the package cryptography; on Debian: apt-get install python3-cryptography');
  process.exit(0);
}

mkdirSync(folder);
const { privatePem, vkey } = generateKey(ORIGIN);
const ledger = join(folder, 'ledger.db');
const store = openStore({ path: ledger, origin: ORIGIN, signer: signerFromPem(privatePem, ORIGIN) });
const rules = [{ id: 'small', tools: ['refund'], when: 'args.amount <= 500.0', effect: 'allow' }] as const;
const guard = createGuard({ agent: 'billing-bot', policy: rulePolicy({ id: 'refunds', rules }), store });
const refund = guard.tool('refund', async (args: { amount: number; to: string }) => `refunded ${args.amount} to ${args.to}`);
for (const amount of [120, 0.1, 1e-7, 499.99]) await refund({ amount, to: 'Zoë' });
await refund({ amount: 9000, to: 'Eve' }).catch(() => undefined);
await guard.close();
await store.close();

const whole = join(folder, 'all.ndjson');
countersign('export', ledger, '--output', whole);
report('the export', whole, 0);

const receipt = join(folder, 'receipt.json');
// After key, policy and start of the session, entry 4 is the first refund.
countersign('receipt', 'make', ledger, '--entry', '4', '--output', receipt);
report('the receipt of a call', receipt, 0);
const other = join(folder, 'other-receipt.json');
writeFileSync(other, readFileSync(receipt, 'utf8').replace('"to":"Zoë"', '"to":"Eve"'));
report('another name in the receipt', other, 1);

const text = readFileSync(whole, 'utf8');
for (const [what, from, to] of [
  ['an amount changed in the clear text', '"amount":120', '"amount":12'],
  ['an agent changed in an entry', '"agent":"billing-bot"', '"agent":"another-bot"'],
  ['a refusal turned into an allow', '"effect":"deny"', '"effect":"allow"'],
] as const) {
  if (!text.includes(from)) throw new Error(`the export does not hold ${from}`);
  const tampered = join(folder, 'tampered.ndjson');
  writeFileSync(tampered, text.replace(from, to));
  report(what, tampered, 1);
}

/** Both verifiers, which must exit alike. */
function report(what: string, file: string, expected: number): void {
  const theirs = spawnSync(python as string, [VERIFIER, file, vkey], { encoding: 'utf8' });
  const verb = file.endsWith('.json') ? ['receipt', 'check'] : ['verify'];
  const ours = countersign(...verb, file, '--public-key', vkey);
  const agree = theirs.status === expected && ours === expected;
  console.log(
    `${agree ? 'as stated' : 'NOT AS STATED'}: ${what}: python ${theirs.status}, countersign ${ours}: ${theirs.stdout.split('\n')[0]}`,
  );
  if (!agree) process.exitCode = 1;
}

function countersign(...args: readonly string[]): number | null {
  return spawnSync(process.execPath, ['--conditions=@countersign/source', '--no-warnings', CLI, ...args], { encoding: 'utf8' }).status;
}
