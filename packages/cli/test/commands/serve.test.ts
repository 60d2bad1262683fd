import { appendFileSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { json, project, type Ran, type RunOptions, run, Sink } from '../harness.ts';

const TOKEN = 't'.repeat(40);
const CLIENT = `serve: { socket: s/d.sock, clients: [{ agent: helper, token: { env: HELPER_TOKEN } }] }\n`;

interface Opened {
  readonly stderr: Sink;
  readonly url: string;
  readonly ran: Promise<Ran>;
  readonly stop: () => Promise<Ran>;
}

async function opened(cwd: string, argv: readonly string[] = [], options: RunOptions = {}): Promise<Opened> {
  const stdin = new PassThrough();
  const stderr = new Sink();
  const listening = new Promise<void>((resolve) => {
    stderr.onText = (text) => {
      if (text.includes('Ctrl-C: end it.')) resolve();
    };
  });
  const ran = run(['serve', ...argv], { cwd, tty: true, stdin, stderr, ...options });
  const stop = (): Promise<Ran> => {
    stdin.end();
    return ran;
  };
  onTestFinished(async () => void (await stop()));
  await Promise.race([listening, ran]);
  return { stderr, ran, stop, url: /http:\/\/127\.0\.0\.1:\d+/.exec(stderr.text)?.[0] ?? '' };
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function ask(
  where: { readonly socketPath: string } | { readonly port: string },
  path: string,
  body: unknown,
  token = '',
): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...(token !== '' && { authorization: `Bearer ${token}` }) };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(
      { ...where, host: '127.0.0.1', path, method: 'POST', headers: { ...headers, ...('socketPath' in where && { host: 'localhost' }) } },
      resolve,
    );
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] };
}

function call(agent: string, tool: string, args: unknown, id = 'c1'): unknown {
  return {
    subject: { type: 'agent', id: agent },
    action: { name: 'call', properties: { args } },
    resource: { type: 'tool', id: tool },
    call: { id },
  };
}

const PERMITS = '/countersign/v1/permits';

describe('serve', () => {
  it('decides, waits for the command that approves, takes the outcome, and the ledger verifies', async () => {
    const cwd = await project(CLIENT);
    const { stop } = await opened(cwd, [], { env: { HELPER_TOKEN: TOKEN } });
    const socketPath = join(cwd, 's', 'd.sock');
    expect([lstatSync(socketPath).mode & 0o777, lstatSync(join(cwd, 's')).mode & 0o777]).toEqual([0o600, 0o700]);
    const read = await ask({ socketPath }, PERMITS, call('bot', 'files/read_file', { path: '/srv/a' }));
    expect(read.body).toMatchObject({ kind: 'permit' });
    const pending = await ask({ socketPath }, PERMITS, call('helper', 'files/write_file', { path: '/srv/a' }), TOKEN);
    expect(pending.body).toMatchObject({ kind: 'pending' });
    const listed = json(await run(['approvals', 'list', '--json'], { cwd }));
    expect(listed).toMatchObject({ approvals: [{ id: pending.body['approval_id'], agent: 'helper' }] });
    const told = { permit_token: read.body['permit_token'], status: 'success', result: 'text' };
    expect((await ask({ socketPath }, `${PERMITS}/${String(read.body['call'])}/outcome`, told)).body).toMatchObject({ kind: 'settled' });
    const { code, stderr } = await stop();
    expect([code, existsSync(socketPath)]).toEqual([0, false]);
    expect(stderr).not.toContain(TOKEN);
    expect((await run(['verify', '--public-key', '.countersign/ledger.key.pub'], { cwd })).code).toBe(0);
  });

  it('listens on a port, and says so in one document', async () => {
    const cwd = await project(CLIENT);
    const { url, stop } = await opened(cwd, ['--port', '0', '--json'], { env: { HELPER_TOKEN: TOKEN } });
    const { port } = new URL(url);
    expect((await ask({ port }, '/access/v1/evaluation', call('helper', 'files/read_file', {}), TOKEN)).body).toEqual({ decision: true });
    expect((await ask({ port }, '/access/v1/evaluation', call('bot', 'files/read_file', {}))).status).toBe(401);
    expect((await ask({ port }, '/access/v1/evaluation', call('bot', 'files/read_file', {}), TOKEN)).status).toBe(403);
    expect(json(await stop())).toMatchObject({ url, mode: 'enforce', agents: ['helper'] });
    expect(existsSync(join(cwd, 's'))).toBe(false);
  });

  it('puts a policy that changes in its file in force for every agent, and keeps the last good one for what does not load', async () => {
    const cwd = await project(CLIENT);
    const file = join(cwd, 'countersign.yaml');
    const before = readFileSync(file, 'utf8');
    const { stop, stderr } = await opened(cwd, [], { env: { HELPER_TOKEN: TOKEN } });
    const socketPath = join(cwd, 's', 'd.sock');
    const decided = async (agent: string, id: string): Promise<string> => {
      const { body } = await ask({ socketPath }, PERMITS, call(agent, 'files/read_file', {}, id), agent === 'helper' ? TOKEN : '');
      return (['kind', 'rule', 'reason_code'] as const).flatMap((name) => (typeof body[name] === 'string' ? [body[name]] : [])).join(' ');
    };
    const said = (text: string): Promise<void> => vi.waitFor(() => expect(stderr.text).toContain(text), { timeout: 20_000, interval: 20 });
    expect(await decided('helper', 'c1')).toBe('permit');
    writeFileSync(file, before.replace(/^ {2}rules:\n/m, '  rules:\n    - { id: stop, tools: ["*/*"], effect: deny }\n'));
    await said('was replaced by');
    // One that asked before, and one that did not.
    expect(await decided('helper', 'c2')).toBe('refusal stop POLICY_DENY_HIGH_RISK');
    expect(await decided('bot', 'c3')).toBe('refusal stop POLICY_DENY_HIGH_RISK');
    writeFileSync(file, 'nothing of use');
    await said('[CONFIG_INVALID]');
    expect(await decided('bot', 'c4')).toBe('refusal stop POLICY_DENY_HIGH_RISK');
    writeFileSync(file, before);
    await vi.waitFor(async () => expect(await decided('bot', `c${Math.random()}`)).toBe('permit'), { timeout: 20_000, interval: 50 });
    expect((await stop()).code).toBe(0);
    const { stdout: notes } = await run(['filter', '.countersign/ledger.db', '--kind', 'note'], { cwd });
    const topics = [...notes.matchAll(/policy-(?:changed|rejected)/g)].map(([topic]) => topic);
    // Of each agent its own; of what does not load one.
    expect(topics).toEqual(['policy-changed', 'policy-changed', 'policy-rejected', 'policy-changed', 'policy-changed']);
    expect(json(await run(['verify', '--json'], { cwd }))).toMatchObject({ status: 'valid' });
  });

  it('tells of a call that has no outcome when it ends', async () => {
    const cwd = await project();
    const { stop } = await opened(cwd, ['--socket', 'own/d.sock']);
    const { body } = await ask({ socketPath: join(cwd, 'own', 'd.sock') }, PERMITS, call('bot', 'files/read_file', {}));
    expect((await stop()).stderr).toContain(`call ${String(body['call'])} of bot`);
  });

  it('says that somebody asked with a wrong token, and nothing of what was sent', async () => {
    const cwd = await project(CLIENT);
    const { url, stop } = await opened(cwd, ['--port', '0'], { env: { HELPER_TOKEN: TOKEN } });
    const { port } = new URL(url);
    const wrong = 'w'.repeat(40);
    for (let i = 0; i < 3; i++) expect((await ask({ port }, PERMITS, call('helper', 'pay\u001b[2J', {}), wrong)).status).toBe(401);
    const { stderr } = await stop();
    expect(stderr).toContain('countersign: 1 request was refused: a bearer token of a configured client is needed [UNAUTHENTICATED]');
    expect(stderr).toContain('countersign: 2 requests were refused: ');
    for (const sent of [wrong, 'pay', 'helper']) expect(stderr).not.toContain(sent);
  });

  it('says what to do when the port is taken', async () => {
    const cwd = await project(CLIENT);
    const { url } = await opened(cwd, ['--port', '0'], { env: { HELPER_TOKEN: TOKEN } });
    const ran = await run(['serve', '--port', new URL(url).port], { cwd, env: { HELPER_TOKEN: TOKEN } });
    expect([ran.code, ran.stderr.includes('[EADDRINUSE]')]).toEqual([1, true]);
    expect(ran.stderr).toContain('perhaps another countersign: end it, or choose another with --port N');
    expect(ran.stderr).not.toContain('approvals.page');
  });

  it('says loudly that audit mode blocks nothing', async () => {
    const cwd = await project('', (text) => text.replace('mode: enforce', 'mode: audit'));
    const { stop } = await opened(cwd, ['--socket', 'own/d.sock']);
    expect((await stop()).stderr).toContain('mode audit: nothing is blocked');
  });

  it('never approves by itself, whatever the environment says', async () => {
    const cwd = await project();
    await opened(cwd, ['--socket', 'own/d.sock'], { env: { COUNTERSIGN_AUTO_APPROVE: '1' } });
    const { body } = await ask({ socketPath: join(cwd, 'own', 'd.sock') }, PERMITS, call('bot', 'files/write_file', {}));
    expect(body).toMatchObject({ kind: 'pending' });
  });

  it.each<[string, string, readonly string[], NodeJS.ProcessEnv, string]>([
    ['a token is not there', CLIENT, [], {}, 'serve.clients[0].token: the variable HELPER_TOKEN is not set'],
    ['a token is short', CLIENT, [], { HELPER_TOKEN: 'short' }, 'client helper: a token has 32 to 512 characters'],
    ['the port would have no clients', '', ['--port', '0'], {}, 'a port needs clients with tokens'],
    ['the folder of the socket is open to others', '', ['--socket', 'd.sock'], {}, ''],
    ['the port is none', CLIENT, ['--port', '65536'], { HELPER_TOKEN: TOKEN }, '--port'],
  ])('does not start when %s, and leaves no ledger half open', async (_name, extra, argv, env, message) => {
    const cwd = await project(extra);
    const socketInOpenFolder = message === '';
    if (socketInOpenFolder) (await import('node:fs')).chmodSync(cwd, 0o755);
    const ran = await run(['serve', ...argv], { cwd, env });
    expect(ran.code).toBeGreaterThan(0);
    expect(ran.stderr).toContain(socketInOpenFolder ? 'is open to other users (mode 755)' : message);
    expect(ran.stderr).not.toContain('INTERNAL_ERROR');
  });

  it('does not start with a token in a file that others can read', async () => {
    const cwd = await project();
    writeFileSync(join(cwd, 'helper.token'), TOKEN, { mode: 0o644 });
    appendFileSync(join(cwd, 'countersign.yaml'), 'serve: { clients: [{ agent: helper, token: { file: helper.token } }] }\n');
    const ran = await run(['serve'], { cwd });
    expect([ran.code, ran.stderr.includes('[CONFIG_INVALID]'), ran.stderr.includes(TOKEN)]).toEqual([1, true, false]);
  });
});
