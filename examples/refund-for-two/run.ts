/**
 * A refund that two people have to approve, whose agent is killed while it waits, and which is paid once.
 *
 * Everything is real: the agent is a process of its own and dies by SIGKILL; Alice and Bob answer with the `countersign`
 * command and their own keys; the bank is a file with one line per payment.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const AGENT = fileURLToPath(new URL('./agent.ts', import.meta.url));
const NODE = ['--conditions=@countersign/source', '--no-warnings'];
const PATIENCE_MS = 60_000;

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-refund-')));
const { PATH = '', HOME = '' } = process.env;
const where = { cwd: folder, env: { PATH, HOME, COUNTERSIGN_STATE_DIR: join(folder, 'state'), NO_COLOR: '1' } };
const bank = join(folder, 'bank.txt');

try {
  const alice = await countersign('keygen', '--out', 'alice.key', '--name', 'alice');
  const bob = await countersign('keygen', '--out', 'bob.key', '--name', 'bob');
  await countersign('keygen', '--out', 'ledger.key', '--name', 'example.com/refunds');
  writeFileSync(join(folder, 'countersign.yaml'), configuration(alice.stdout.trim(), bob.stdout.trim()));

  const first = startAgent();
  const approval = await pending();
  first.process.kill('SIGKILL');
  await first.ended;
  say('the agent asked, and was killed while it waited', !existsSync(bank));

  const second = startAgent();
  const one = await countersign('approvals', 'approve', approval, '--key', 'alice.key', '--as', 'alice');
  say('Alice approved: one of two', one.code === 0 && one.stdout.includes('1 of 2'));
  const again = await countersign('approvals', 'approve', approval, '--key', 'alice.key', '--as', 'alice');
  say('Alice may not approve twice', again.code !== 0);
  const forged = await countersign('approvals', 'approve', approval, '--key', 'alice.key', '--as', 'bob');
  say("Bob's name does not work with Alice's key", forged.code !== 0 && !existsSync(bank));
  const two = await countersign('approvals', 'approve', approval, '--key', 'bob.key', '--as', 'bob');
  say('Bob approved: two of two', two.code === 0);
  say('the agent that was started again paid', (await second.ended).includes('refunded'));

  const third = startAgent();
  say('started a third time, it is refused', (await third.ended).includes('refused: CALL_ALREADY_RUN'));
  say('the bank saw one payment', readFileSync(bank, 'utf8') === 'refunded 9000 for order 1042\n');

  const verified = await countersign('verify', 'ledger.db', '--public-key', 'ledger.key.pub');
  say('the ledger proves it', verified.code === 0);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function configuration(alice: string, bob: string): string {
  return `version: 1
agent: billing-bot
mode: enforce
policy:
  id: refunds
  rules:
    - id: large
      tools: [refund]
      effect: require_approval
      reason: refunds are signed by two people
      approval: { quorum: 2, approvers: [alice, bob], ttl: 10m }
approvers:
  alice: { key: "${alice}" }
  bob: { key: "${bob}" }
ledger: { path: ledger.db, key: ledger.key, origin: example.com/refunds }
`;
}

function countersign(...args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [...NODE, CLI, ...args], where, (error, stdout) => {
      done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, stdout });
    });
  });
}

interface Agent {
  readonly process: ChildProcess;
  /** What it printed, once it is over. */
  readonly ended: Promise<string>;
}

function startAgent(): Agent {
  const child = spawn(process.execPath, [...NODE, AGENT], { ...where, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  return { process: child, ended: new Promise((done) => child.on('close', () => done(printed))) };
}

/** The id of the approval that waits. */
async function pending(): Promise<string> {
  const untilMs = Date.now() + PATIENCE_MS;
  while (Date.now() < untilMs) {
    const { code, stdout } = await countersign('approvals', 'list', '--json');
    const { approvals } =
      code === 0 ? (JSON.parse(stdout) as { readonly approvals: readonly { readonly id: string }[] }) : { approvals: [] };
    if (approvals[0] !== undefined) return approvals[0].id;
    await pause(100);
  }
  throw new Error('no approval came up');
}

function say(what: string, holds: boolean): void {
  console.log(`${holds ? 'ok' : 'NOT SO'}: ${what}`);
  if (!holds) process.exitCode = 1;
}
