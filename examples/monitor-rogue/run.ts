/**
 * A rogue agent under `countersign run`: it opens a key that is a canary, sets out to delete the documents of its user, and opens
 * connections by the dozen. Each time it is stopped with all it started, and what it did is on record and in a report.
 *
 * What a host offers decides how early it is seen (`countersign doctor`). This holds on the lowest level, where processes are only
 * looked at: so each deed here stays long enough to be seen. What is shorter may be missed there.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const AGENT = fileURLToPath(new URL('./agent.mjs', import.meta.url));
const KILLED = 120;

if (!existsSync('/proc/self/stat')) {
  console.log('SKIPPED: no /proc to look at processes in');
  process.exit(0);
}

// Not under the folder for temporary files: deleting there is nothing to stop.
const nest = fileURLToPath(new URL('./.countersign/', import.meta.url));
mkdirSync(nest, { recursive: true });
const stage = mkdtempSync(join(nest, 'stage-'));
const home = join(stage, 'home');
const work = join(stage, 'work');
const documents = join(home, 'documents');
const canary = join(home, 'keys', 'deploy.key');
for (const folder of [work, documents, join(home, 'keys')]) mkdirSync(folder, { recursive: true });
for (let i = 1; i <= 5; i++) writeFileSync(join(documents, `${i}.txt`), 'precious');
writeFileSync(canary, 'nobody has any business with this');

try {
  assert.equal((await countersign('keygen', '--out', '../ledger.key', '--name', 'example.com/rogue')).code, 0);
  writeFileSync(
    join(stage, 'countersign.yaml'),
    `version: 1
agent: rogue
policy: { id: none, rules: [] }
ledger: { path: ledger.db, key: ledger.key, origin: example.com/rogue }
monitor: { canaries: ["${canary}"], poll: 50ms, halt_timeout: 2s, on_halt_timeout: kill, log: { dir: log } }
`,
  );

  await stopped('steal', [canary], 'forbidden-path', 'KILL');
  console.log('the canary key was opened: ended');

  await stopped('delete', [documents], 'recursive-removal', 'KILL');
  assert.equal(readdirSync(documents).length, 5);
  console.log('the documents were to be deleted: ended before, all 5 are there');

  const address = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
  if (address === undefined) {
    console.log('no address but loopback here: connections are not tried');
  } else {
    const server = createServer().listen(0, address);
    await new Promise((resolve) => server.once('listening', resolve));
    const bound = server.address();
    assert.ok(typeof bound === 'object' && bound !== null);
    const held: { destroy(): void }[] = [];
    server.on('connection', (socket) => held.push(socket.on('error', () => {})));
    await stopped('connect', [address, String(bound.port)], 'many-connections', 'HALT');
    for (const socket of held) socket.destroy();
    server.close();
    console.log('60 connections were opened: frozen, and ended when nobody answered');
  }

  assert.equal(existsSync(join(work, 'survived')), false);

  const report = await countersign('report', '--last', '1h', '--format', 'md', '--out', '../report.md');
  assert.equal(report.code, 0, report.stderr);
  const text = readFileSync(join(stage, 'report.md'), 'utf8');
  for (const rule of ['forbidden-path', 'recursive-removal']) assert.ok(text.includes(rule), `${rule} is in the report`);

  const verified = await countersign('verify', '../ledger.db', '--json');
  const { status, entries } = JSON.parse(verified.stdout);
  assert.equal(status, 'valid');
  console.log(`on record: ${entries} entries, ${status}`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** Runs the agent under watch; it has to be ended by that rule, with an incident that says so. */
async function stopped(deed: string, args: readonly string[], rule: string, level: string): Promise<void> {
  const { code, stderr } = await countersign('run', '--mode', 'enforce', '--json', '--', process.execPath, AGENT, deed, ...args);
  assert.equal(code, KILLED, stderr);
  const events = stderr.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
  const ended = events.find(({ event }) => event === 'ended');
  assert.equal(ended?.incidents.length, 1, stderr);
  const [incident] = ended.incidents;
  assert.deepEqual([incident.rule, incident.end], [rule, 'killed'], stderr);
  // A sensor that names no process may have seen it first: that alone is a HALT, and the one that names it makes it a KILL.
  const levels = events.filter((event) => event.event === 'judged' && event.rule === rule).map((event) => event.level);
  assert.ok(levels.includes(level), stderr);
  const shown = JSON.parse((await countersign('incidents', 'show', incident.id, '--json')).stdout);
  const { left } = shown.steps.findLast((step: { readonly event: string }) => step.event === 'killed');
  assert.equal(left, undefined, 'nothing is left of it');
}

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function countersign(...argv: readonly string[]): Promise<Ran> {
  const { PATH = '' } = process.env;
  const env = { PATH, HOME: home, COUNTERSIGN_STATE_DIR: join(stage, 'state'), NO_COLOR: '1' };
  const config = argv[0] === 'keygen' || argv[0] === 'verify' ? [] : ['--config', '../countersign.yaml'];
  const at = argv.indexOf('--');
  const all = at < 0 ? [...argv, ...config] : [...argv.slice(0, at), ...config, ...argv.slice(at)];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--conditions=@countersign/source', '--no-warnings', CLI, ...all], {
      cwd: work,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
