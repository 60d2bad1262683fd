/**
 * An agent in plain Python, guarded over HTTP: `countersign serve` decides, a person approves with the `countersign` command, and
 * the ledger proves what was decided and what became of it.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const AGENT = fileURLToPath(new URL('./agent.py', import.meta.url));
const NODE = ['--conditions=@countersign/source', '--no-warnings'];
const PATIENCE_MS = 60_000;
const WANTED = /^Python 3\.(?:[89]|\d\d)/;

const python = ['python3', '/usr/bin/python3'].find((command) =>
  WANTED.test(spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout ?? ''),
);
if (python === undefined || process.platform === 'win32') {
  console.log('SKIPPED: no python3 of version 3.8 or later, or no unix sockets');
  process.exit(0);
}

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-py-')));
const { PATH = '', HOME = '' } = process.env;
const where = {
  cwd: folder,
  env: { PATH, HOME, COUNTERSIGN_STATE_DIR: join(folder, 'state'), NO_COLOR: '1', PYTHONDONTWRITEBYTECODE: '1' },
};

let server: ChildProcess | undefined;
try {
  const ana = await countersign('keygen', '--out', 'ana.key', '--name', 'ana');
  await countersign('keygen', '--out', 'ledger.key', '--name', 'example.com/refunds');
  writeFileSync(join(folder, 'countersign.yaml'), configuration(ana.stdout.trim()));

  server = spawn(process.execPath, [...NODE, CLI, 'serve'], { ...where, stdio: ['ignore', 'ignore', 'pipe'] });
  await saysOn(server, 'Ctrl-C: end it.');

  const agent = spawn(python, [AGENT, join(folder, 'serve', 'decide.sock')], { ...where, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  agent.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const ended = once(agent, 'close');
  const approval = await pending();
  say('nothing ran while the refund of 900 waits', readFileSync(join(folder, 'bank.txt'), 'utf8') === '120 to Zoë\n');
  const approved = await countersign('approvals', 'approve', approval, '--key', 'ana.key', '--as', 'ana');
  say('Ana approved it', approved.code === 0);
  await ended;

  const expected = [
    "result: {'order': 1042, 'amount': 900}",
    'result: refunded 120 to Zoë',
    'refused: call refused: no rule matches this call [POLICY_DEFAULT_DENY]',
    'result: refunded 900 to Ana',
    'result: refunded 50 to Bob',
    'refused: call refused: this call ran before and ended with success [CALL_ALREADY_RUN]',
    'unavailable: not JSON: Out of range float values are not JSON compliant',
    'unavailable: countersign answered 403 AGENT_REFUSED',
    'unavailable: countersign cannot be asked: FileNotFoundError',
  ];
  const lines = printed.trimEnd().split('\n');
  // Newer Pythons name the value at the end of that line.
  const same = lines.length === expected.length && expected.every((line, at) => lines[at]?.startsWith(line));
  say('the agent got what was decided', same);
  if (!same) console.log(printed);
  say('the bank paid what was permitted, once', readFileSync(join(folder, 'bank.txt'), 'utf8') === '120 to Zoë\n900 to Ana\n50 to Bob\n');

  server.kill('SIGTERM');
  const [code] = (await once(server, 'close')) as [number | null];
  say('the server ended by itself', code === 0);
  const verified = await countersign('verify', 'ledger.db', '--public-key', 'ledger.key.pub', '--json');
  const report = JSON.parse(verified.stdout) as { readonly status: string; readonly open_decisions: number };
  say('the ledger proves it, and no decision is open', verified.code === 0 && report.status === 'valid' && report.open_decisions === 0);
} finally {
  server?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

function configuration(ana: string): string {
  return `version: 1
agent: py-bot
policy:
  id: refunds
  rules:
    - { id: reads, tools: [lookup], effect: allow }
    - { id: small, tools: [refund], when: "args.amount <= 500", effect: allow }
    - { id: large, tools: [refund], when: "args.amount > 500", effect: require_approval, reason: over 500, approval: { approvers: [ana] } }
approvers: { ana: { key: "${ana}" } }
ledger: { path: ledger.db, key: ledger.key, origin: example.com/refunds }
serve: { socket: serve/decide.sock }
`;
}

function countersign(...args: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [...NODE, CLI, ...args], where, (error, stdout) => {
      done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, stdout });
    });
  });
}

async function saysOn(child: ChildProcess, text: string): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
      if (said.includes(text)) resolve();
    });
    child.once('close', () => reject(new Error(`the server ended: ${said}`)));
  });
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
