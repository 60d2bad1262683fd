import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { json as answered, decisionPoint } from '../../../connect/test/authzen/decision-point.ts';
import { folder, json, project, type Ran, run, Sink } from '../harness.ts';

const SERVER = [process.execPath, fileURLToPath(new URL('../fixtures/echo-server.mjs', import.meta.url))];

/** Sends messages, closes the input, and gives what came back by id. */
async function proxied(
  cwd: string,
  argv: readonly string[],
  messages: readonly object[],
): Promise<Ran & { readonly answers: ReadonlyMap<unknown, unknown> }> {
  const stdin = new PassThrough();
  for (const message of messages) stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  stdin.end();
  const ran = await run(['proxy', ...argv, '--', ...SERVER], { cwd, stdin });
  const lines = ran.stdout.split('\n').filter((line) => line !== '');
  // Every line is protocol: it would not parse otherwise.
  const answers = new Map(lines.map((line) => JSON.parse(line)).map((message) => [message.id, message.result ?? message.error]));
  return { ...ran, answers };
}

function call(id: number, name: string, args: object = {}): object {
  return { id, method: 'tools/call', params: { name, arguments: args } };
}

describe('proxy', () => {
  it('runs what the rules allow, refuses the rest, and writes both to the ledger', async () => {
    const cwd = await project();
    const { answers, code, stderr } = await proxied(
      cwd,
      ['--server', 'files'],
      [call(1, 'read_file', { path: '/srv/a' }), call(2, 'delete_file')],
    );
    expect(code).toBe(0);
    expect(answers.get(1)).toMatchObject({ content: [{ text: '{"name":"read_file","arguments":{"path":"/srv/a"}}' }] });
    expect(JSON.stringify(answers.get(2))).toContain('POLICY_DENY_HIGH_RISK');
    expect(stderr).toContain('guarding files as bot, mode enforce');
    const report = json(await run(['verify', '--json'], { cwd }));
    expect(report).toMatchObject({ status: 'valid', counts: { allowed: 1, refused: 1, outcomes: 1 }, open_decisions: 0 });
  });

  it('puts a policy that changes in its file in force while it runs, and keeps the last good one for what does not load', async () => {
    const cwd = await project();
    const file = join(cwd, 'countersign.yaml');
    const before = readFileSync(file, 'utf8');
    const [stdin, stdout, stderr] = [new PassThrough(), new Sink(), new Sink()];
    const running = run(['proxy', '--server', 'files', '--', ...SERVER], { cwd, stdin, stdout, stderr });
    const ask = async (id: number): Promise<string> => {
      stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...call(id, 'read_file', { path: '/srv/a' }) })}\n`);
      const answer = (): string | undefined => stdout.text.split('\n').find((line) => line.includes(`"id":${id}`));
      return vi.waitFor(() => answer() ?? Promise.reject(new Error('no answer yet')), { timeout: 20_000, interval: 20 });
    };
    expect(await ask(1)).toContain('/srv/a');
    writeFileSync(file, before.replace(/^ {2}rules:\n/m, '  rules:\n    - { id: stop, tools: ["*/*"], effect: deny }\n'));
    await vi.waitFor(() => expect(stderr.text).toContain('was replaced by'), { timeout: 20_000, interval: 20 });
    expect(await ask(2)).toContain('rule stop');
    writeFileSync(file, 'nothing of use');
    await vi.waitFor(() => expect(stderr.text).toContain('[CONFIG_INVALID]'), { timeout: 20_000, interval: 20 });
    expect(await ask(3)).toContain('rule stop');
    stdin.end();
    expect((await running).code).toBe(0);
    writeFileSync(file, before);
    expect(json(await run(['verify', '--json'], { cwd }))).toMatchObject({ status: 'valid', counts: { allowed: 1, refused: 2 } });
  });

  it('leaves what needs a person to `approvals`', async () => {
    const cwd = await project();
    const { answers } = await proxied(cwd, ['--server', 'files', '--agent', 'other'], [call(1, 'write_file', { path: '/srv/a' })]);
    expect(JSON.stringify(answers.get(1))).not.toContain('content":[{"type":"text","text":"{\\"name');
    const { approvals } = json(await run(['approvals', 'list', '--json'], { cwd }));
    expect(approvals).toMatchObject([{ agent: 'other', tool: { server: 'files', name: 'write_file' } }]);
  });

  it.each([
    ['', 'http://127.0.0.1:4680'],
    ['page: { port: 4999 }, ', 'http://127.0.0.1:4999'],
  ])('tells client and terminal where a person answers, when a page is configured: %j', async (page, url) => {
    const cwd = await project('', (text) => text.replace(/^approvals:\n(?: .*\n)+/m, `approvals: { ${page}channels: [page] }\n`));
    const { answers, stderr } = await proxied(cwd, ['--server', 'files'], [call(1, 'write_file', { path: '/srv/a' })]);
    const { approvals } = json(await run(['approvals', 'list', '--json'], { cwd }));
    expect(approvals).toMatchObject([{ tool: { name: 'write_file' }, state: 'pending' }]);
    const link = new RegExp(`${url}/approvals/[0-9a-f]{32}`).exec(stderr)?.[0] ?? 'none';
    expect(stderr).toContain(`files/write_file waits for an answer: ${link} (asked by bot; countersign console)`);
    expect(answers.get(1)).toMatchObject({ _meta: { 'countersign/approvalUrl': link } });
    expect(JSON.stringify(answers.get(1))).toContain(`A person can approve it at ${link} or with: countersign approvals approve`);
  });

  it('names no page where none is configured', async () => {
    const cwd = await project('', (text) => text.replace(/^approvals:\n(?: .*\n)+/m, 'approvals: { channels: [terminal] }\n'));
    const { answers, stderr } = await proxied(cwd, ['--server', 'files'], [call(1, 'write_file', { path: '/srv/a' })]);
    expect(JSON.stringify(answers.get(1)) + stderr).not.toContain('http://');
  });

  it('opens no ledger for a client that only looks, and tells the server that it is guarded', async () => {
    const cwd = await project();
    const { answers, stderr } = await proxied(cwd, ['--server', 'files'], [{ id: 1, method: 'initialize' }]);
    expect(answers.get(1)).toEqual({ guarded: '1' });
    expect(existsSync(join(cwd, '.countersign/ledger.db'))).toBe(false);
    expect(stderr).toBe('');
  });

  it('takes the name of the script when no server is named', async () => {
    const cwd = await project();
    const { stderr } = await proxied(cwd, [], [call(1, 'read_file')]);
    expect(stderr).toContain('guarding echo-server as bot');
  });

  it('without a configuration watches with the baseline, loudly, and on record all the same', async () => {
    const cwd = folder();
    const state = folder();
    const stdin = new PassThrough();
    for (const message of [call(1, 'write_file', { path: '/srv/a', content: 'x' }), call(2, 'bash', { command: 'rm -rf /' })])
      stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
    stdin.end();
    const env = { COUNTERSIGN_STATE_DIR: state };
    const ran = await run(['proxy', '--server', 'files', '--', ...SERVER], { cwd, stdin, env });
    expect(ran.code).toBe(0);
    const config = join(state, 'unconfigured/countersign.yaml');
    expect(ran.stderr).toContain('NO CONFIGURATION FOUND: mode audit, NOTHING IS BLOCKED; pack baseline; ledger ');
    expect(ran.stderr).toContain(join(state, 'unconfigured/ledger.db'));
    expect(ran.stderr).toContain('to enforce rules of your own: countersign init');
    // Both ran; what the baseline would have done is on record, signed.
    expect(ran.stdout).toContain('rm -rf /');
    const found = await run(['filter', '--reason-code', 'BASELINE_DESTRUCTIVE_COMMAND', '--json', '--config', config], { cwd, env });
    expect(found.stdout).toContain('baseline.destructive-command');
    expect(json(await run(['verify', '--json', '--config', config], { cwd, env }))).toMatchObject({
      status: 'valid',
      counts: { allowed: 2 },
    });
    expect(existsSync(join(cwd, 'countersign.yaml'))).toBe(false);
    // The second time everything is there already, and is used again.
    const again = new PassThrough();
    again.write(`${JSON.stringify({ jsonrpc: '2.0', ...call(1, 'read_file', { path: '/srv/a' }) })}\n`);
    again.end();
    expect((await run(['proxy', '--server', 'files', '--', ...SERVER], { cwd, stdin: again, env })).code).toBe(0);
    expect(json(await run(['verify', '--json', '--config', config], { cwd, env }))).toMatchObject({
      status: 'valid',
      counts: { allowed: 3 },
    });
  });

  describe('with a webhook', () => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const asking = (url: string, more = '') =>
      project('', (text) =>
        text.replace(
          'approvals:\n',
          `approvals:\n  channels: [{ webhook: { url: "${url}", secret: { env: HOOK_SECRET }, settled: true } }]\n${more}`,
        ),
      );
    const env = { HOOK_SECRET: secret };

    it('asks there, and tells it when the approval is settled', async () => {
      const point = await decisionPoint(answered({}));
      const cwd = await asking(point.url);
      const { stdout: vkey } = await run(['keygen', '--out', 'finance.key'], { cwd });
      appendFileSync(join(cwd, 'countersign.yaml'), `approvers: { finance: { key: ${JSON.stringify(vkey.trim())} } }\n`);
      const stdin = new PassThrough();
      stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...call(1, 'write_file', { path: '/srv/a', token: 'hunter2' }) })}\n`);
      const ran = run(['proxy', '--server', 'files', '--', ...SERVER], { cwd, stdin, env });
      await vi.waitFor(() => expect(point.received).toHaveLength(1), 20_000);
      const asked = JSON.parse(point.received[0]?.body ?? '') as { type: string; data: { id: string; args: unknown } };
      expect(asked).toMatchObject({ type: 'approval.asked', data: { agent: 'bot', tool: { server: 'files', name: 'write_file' } } });
      expect(asked.data.args).toEqual({ path: '/srv/a', token: '[redacted:key-name]' });
      await run(['approvals', 'deny', asked.data.id, '--key', 'finance.key', '--as', 'finance'], { cwd });
      await vi.waitFor(() => expect(point.received).toHaveLength(2), 20_000);
      expect(JSON.parse(point.received[1]?.body ?? '')).toMatchObject({
        type: 'approval.settled',
        data: { id: asked.data.id, state: 'denied' },
      });
      stdin.end();
      const { stderr, stdout } = await ran;
      expect(stderr + stdout + JSON.stringify(point.received)).not.toMatch(/hunter2|whsec_/);
    });

    it('does not start without its secret, and names the variable', async () => {
      const cwd = await asking('https://pager.example/x');
      const mark = join(cwd, 'started');
      const server = [process.execPath, '-e', `require('fs').writeFileSync(${JSON.stringify(mark)}, '')`];
      const ran = await run(['proxy', '--server', 'x', '--', ...server], { cwd });
      expect(ran).toMatchObject({ code: 1, stdout: '' });
      expect(ran.stderr).toContain('approvals.channels[0].webhook.secret: the variable HOOK_SECRET is not set');
      expect(existsSync(mark)).toBe(false);
    });

    it('keeps the secrets of channels and senders from the server', async () => {
      const cwd = await asking('https://pager.example/x', '  senders: { pager: { secret: { env: PAGER_SECRET } } }\n');
      const script = `console.log(JSON.stringify({ jsonrpc: '2.0', method: 'x', params: Object.keys(process.env).filter((name) => name.endsWith('_SECRET')) }))`;
      const ran = await run(['proxy', '--server', 'x', '--', process.execPath, '-e', script], {
        cwd,
        env: { ...env, PAGER_SECRET: secret, OTHER_SECRET: 'x' },
      });
      expect(JSON.parse(ran.stdout)).toMatchObject({ params: ['OTHER_SECRET'] });
    });
  });

  it('refuses calls it cannot record', async () => {
    const cwd = await project();
    writeFileSync(join(cwd, '.countersign/ledger.db'), 'no database');
    const { answers, stderr } = await proxied(cwd, ['--server', 'files'], [call(1, 'read_file')]);
    expect(JSON.stringify(answers.get(1))).toContain('LEDGER_WRITE_FAILED_DECISION');
    expect(stderr).toContain('the guard could not be opened');
  });

  it('ends with the exit code of the server, and 127 when there is none', async () => {
    const cwd = await project();
    expect((await run(['proxy', '--server', 'x', '--', process.execPath, '-e', 'process.exit(7)'], { cwd })).code).toBe(7);
    expect((await run(['proxy', '--server', 'x', '--', join(cwd, 'no-such-server')], { cwd })).code).toBe(127);
  });

  it.each([
    [[], '--config=nowhere.yaml', 4, 'CONFIG_NOT_FOUND'],
    [[], '--server=a/b', 2, 'USAGE'],
    [[], '--server=..', 2, 'USAGE'],
    [[], '--server=\u001b[2J', 2, 'USAGE'],
    [[], '--agent=a b', 1, 'CONFIG_INVALID'],
  ])('does not start the server with %j %s', async (_, flag, code, name) => {
    const cwd = await project();
    const mark = join(cwd, 'started');
    const ran = await run(
      ['proxy', '--json', flag, '--', process.execPath, '-e', `require('fs').writeFileSync(${JSON.stringify(mark)}, '')`],
      { cwd },
    );
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toContain(`[${name}]`);
    expect(ran.stderr.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(existsSync(mark)).toBe(false);
  });

  it('a configuration that was named and is not there is an error, not a reason to watch only', async () => {
    const ran = await run(['proxy', '--config', 'nope.yaml', '--', 'true'], { cwd: folder() });
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    expect(ran.stderr).toContain('countersign init');
  });
});

it('a server may not be called like the one whose calls Countersign makes', async () => {
  const ran = await run(['proxy', '--server', 'countersign', '--', 'node', 'x.mjs'], { cwd: await project() });
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain('countersign is the server of the calls that Countersign makes');
});
