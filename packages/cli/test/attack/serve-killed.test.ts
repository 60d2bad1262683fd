/** `countersign serve` dies between a permit and its outcome. Nobody knows whether the tool ran, so it is not permitted again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { json, project, run } from '../harness.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const PERMITS = '/countersign/v1/permits';
const CALL = {
  subject: { type: 'agent', id: 'bot' },
  action: { name: 'call', properties: { args: { path: '/srv/a' } } },
  resource: { type: 'tool', id: 'files/read_file' },
  context: { session: { id: 's1' } },
  call: { id: 'call_1' },
};

interface Served {
  readonly kill: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>;
}

async function served(cwd: string): Promise<Served> {
  const child = spawn(process.execPath, ['--conditions=@countersign/source', MAIN, 'serve', '--socket', 'own/d.sock'], {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const closed = once(child, 'close');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('Ctrl-C: end it.')) resolve();
    });
    closed.then(() => reject(new Error(`it ended: ${said}`)), reject);
  });
  return {
    kill: async (signal) => {
      child.kill(signal);
      await closed;
    },
  };
}

async function ask(cwd: string, path: string, body: unknown): Promise<Readonly<Record<string, unknown>>> {
  const headers = { 'content-type': 'application/json', host: 'localhost' };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath: join(cwd, 'own', 'd.sock'), path, method: 'POST', headers }, resolve);
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}

describe.skipIf(process.platform === 'win32')('kill -9', () => {
  it('leaves the decision open: the same call is refused, its outcome is nobody’s, and the ledger says so', {
    timeout: 60_000,
  }, async () => {
    const cwd = await project();
    const first = await served(cwd);
    const { kind, call, permit_token } = await ask(cwd, PERMITS, CALL);
    expect(kind).toBe('permit');
    await first.kill('SIGKILL');
    // It lays its socket where the dead one lies.
    const second = await served(cwd);
    expect(await ask(cwd, PERMITS, CALL)).toMatchObject({ kind: 'refusal', reason_code: 'CALL_OUTCOME_UNKNOWN' });
    expect(await ask(cwd, `${PERMITS}/${String(call)}/outcome`, { permit_token, status: 'success' })).toMatchObject({
      error: { code: 'PERMIT_NOT_FOUND' },
    });
    expect(await ask(cwd, PERMITS, { ...CALL, call: { id: 'call_1', attempt: 2 } })).toMatchObject({ kind: 'permit' });
    await second.kill('SIGTERM');
    const verified = await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd });
    expect([verified.code, json(verified)]).toMatchObject([0, { status: 'valid', open_decisions: expect.any(Number) }]);
    expect(Number(json(verified)['open_decisions'])).toBeGreaterThan(0);
  });

  it('leaves an approval waiting, and its answer gives the permit to whoever comes back with the call, once', {
    timeout: 60_000,
  }, async () => {
    const cwd = await project();
    const { stdout } = await run(['keygen', '--out', 'ana.key'], { cwd });
    appendFileSync(join(cwd, 'countersign.yaml'), `approvers: { ana: { key: ${JSON.stringify(stdout.trim())} } }\n`);
    const first = await served(cwd);
    const body = { ...CALL, resource: { type: 'tool', id: 'files/write_file' } };
    const { approval_id } = await ask(cwd, PERMITS, body);
    await first.kill('SIGKILL');
    const answer = ['approvals', 'approve', String(approval_id), '--key', 'ana.key', '--as', 'ana'];
    const second = await served(cwd);
    expect(await ask(cwd, PERMITS, body)).toMatchObject({ kind: 'pending', approval_id });
    expect(await run(answer, { cwd })).toMatchObject({ code: 0 });
    expect(await ask(cwd, PERMITS, body)).toMatchObject({ kind: 'permit' });
    expect(await ask(cwd, PERMITS, body)).toMatchObject({ kind: 'refusal', reason_code: 'CALL_IN_PROGRESS' });
    await second.kill('SIGTERM');
  });
});
