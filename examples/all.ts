/** Runs every example; each asserts its own result, or has its output stated here. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const EXAMPLES: readonly { readonly name: string; readonly prints?: readonly string[] }[] = [
  {
    name: 'ai-sdk-agent',
    prints: [
      'stock {"type":"text","value":"tea: 3 left"}',
      'erase {"type":"execution-denied","reason":"call refused: stock is archived, never erased [POLICY_DENY_HIGH_RISK, rule keep]"}',
      'refund {"type":"execution-denied","reason":"call refused: no rule matches this call [POLICY_DEFAULT_DENY]"}',
      'pay {"type":"text","value":"paid 120 to tea merchant"}',
      '11 entries, valid, authorship proven',
    ],
  },
  { name: 'ai-sdk-chat' },
  {
    name: 'ai-sdk-from-policy-opa',
    prints: [
      'before: one approval, which the client gave itself, ran the deploy twice',
      'shadow: 3 calls ran, 1 would have been denied and 1 asked about',
      'enforced: the answer of a person ran it, once, however often it was sent',
      'rules: offered git and deploy',
      'ledger: valid, authorship proven',
    ],
  },
  {
    name: 'approval-webhook',
    prints: ['refunded 900', 'call refused: an approver denied this call: by the refund desk [APPROVAL_DENIED]'],
  },
  { name: 'guard-a-python-agent' },
  { name: 'audit-to-enforce', prints: ['7 calls watched, 2 rules drafted, 7 replayed, 4 others refused'] },
  { name: 'guard-a-function', prints: ['refunded 120', 'call refused: no rule matches this call [POLICY_DEFAULT_DENY]'] },
  {
    name: 'langchain-agent',
    prints: [
      'tea: 3 left',
      'call refused: stock is archived, never erased [POLICY_DENY_HIGH_RISK, rule keep]',
      'paid 120 to tea merchant',
      '10 entries, valid, authorship proven',
    ],
  },
  {
    name: 'langchain-graph',
    prints: [
      '1 new message',
      'sent to bob@ours.example',
      'sent to eve@theirs.example',
      'call refused: this call was refused before [POLICY_DEFAULT_DENY]',
      '11 entries, valid',
    ],
  },
  { name: 'main-job' },
  { name: 'mcp-gateway' },
  { name: 'monitor-build' },
  { name: 'monitor-hold' },
  { name: 'monitor-rogue' },
  { name: 'monitor-probe' },
  { name: 'refund-for-two' },
  { name: 'verify-in-python' },
];

let failed = 0;
let skipped = 0;
for (const { name, prints } of EXAMPLES) {
  const folder = mkdtempSync(join(tmpdir(), `countersign-example-`));
  const file = fileURLToPath(new URL(`./${name}/run.ts`, import.meta.url));
  const env = { ...process.env, COUNTERSIGN_STATE_DIR: join(folder, 'state') };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=@countersign/source', '--no-warnings', file], {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  const ok = status === 0 && (prints === undefined || stdout.trimEnd() === prints.join('\n'));
  // An example that lacks a program of this machine says so itself.
  const isSkipped = ok && stdout.startsWith('SKIPPED');
  if (isSkipped) skipped++;
  console.log(isSkipped ? `SKIPPED ${name}: ${stdout.slice('SKIPPED: '.length).trimEnd()}` : `${ok ? 'ok    ' : 'FAILED'} ${name}`);
  if (!ok) {
    failed++;
    console.log(`${stdout}${stderr}`);
  }
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `${EXAMPLES.length - failed - skipped} of ${EXAMPLES.length} examples came out as stated${skipped > 0 ? `, ${skipped} were SKIPPED` : ''}`,
);
process.exitCode = failed === 0 ? 0 : 1;
