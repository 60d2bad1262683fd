import { type IncomingHttpHeaders, request } from 'node:http';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { json, project, run, Sink } from '../harness.ts';

const SERVER = [process.execPath, fileURLToPath(new URL('../fixtures/echo-server.mjs', import.meta.url))];

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function send(url: string, method: string, message: object | undefined, headers: Readonly<Record<string, string>> = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const body = message === undefined ? undefined : JSON.stringify({ jsonrpc: '2.0', ...message });
    const accept = 'application/json, text/event-stream';
    request(url, { method, agent: false, headers: { accept, 'content-type': 'application/json', ...headers } }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    })
      .on('error', reject)
      .end(body);
  });
}

const call = (id: number, name: string): object => ({ id, method: 'tools/call', params: { name, arguments: { path: '/srv/a' } } });

describe('proxy --listen before a command', () => {
  it('serves clients over HTTP until it is told to end, and leaves a ledger that verifies', async () => {
    const cwd = await project();
    const [stdin, stderr] = [new PassThrough(), new Sink()];
    const ready = new Promise<string>((resolve) => {
      stderr.onText = (text) => {
        const at = /clients connect to (\S+)/.exec(text)?.[1];
        if (at !== undefined) resolve(at);
      };
    });
    const ran = run(['proxy', '--server', 'files', '--listen', '0', '--', ...SERVER], { cwd, stdin, stderr, tty: true });
    const url = await ready;
    const begun = await send(url, 'POST', { id: 0, method: 'initialize', params: {} });
    // The server may not answer approvals: it was told that it is guarded.
    expect(begun).toMatchObject({ status: 200, text: expect.stringContaining('"guarded":"1"') });
    const session = { 'mcp-session-id': String(begun.headers['mcp-session-id']) };
    expect((await send(url, 'POST', call(1, 'read_file'), session)).text).toContain('/srv/a');
    expect((await send(url, 'POST', call(2, 'delete_file'), session)).text).toContain('POLICY_DENY_HIGH_RISK');
    expect((await send(url, 'POST', call(3, 'read_file'))).status).toBe(400);
    expect((await send(url, 'POST', call(4, 'read_file'), { ...session, host: 'attacker.example' })).status).toBe(403);
    expect((await send(url, 'DELETE', undefined, session)).status).toBe(204);
    expect((await send(url, 'POST', call(5, 'read_file'), session)).status).toBe(404);
    stdin.end();
    const { code, stdout } = await ran;
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr.text).not.toContain(session['mcp-session-id']);
    const report = json(await run(['verify', '--json'], { cwd }));
    expect(report).toMatchObject({ status: 'valid', counts: { allowed: 1, refused: 1, outcomes: 1 }, open_decisions: 0 });
  });
});

const ENV_SERVER = fileURLToPath(new URL('../fixtures/env-server.mjs', import.meta.url));
const server = (): string => `{ command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(ENV_SERVER)}] }`;
const callOf = (id: number, name: string): object => ({ id, method: 'tools/call', params: { name, arguments: {} } });

describe('proxy --listen before the servers of the configuration', () => {
  it.each([
    ['all as one', [], 'countersign', 'a__env', 'c__env'],
    ['the one that is named', ['--server', 'c'], 'env', undefined, 'env'],
  ])('serves %s over HTTP, and decides by their names there', async (_what, argv, name, allowed, denied) => {
    const cwd = await project(`servers:\n  a: ${server()}\n  c: ${server()}\n`, (text) =>
      text.replace(
        /^ {2}rules:\n/m,
        '  rules:\n    - { id: env, tools: ["a/env"], effect: allow }\n    - { id: no, tools: ["c/*"], effect: deny }\n',
      ),
    );
    const [stdin, stderr] = [new PassThrough(), new Sink()];
    const ready = new Promise<string>((resolve) => {
      stderr.onText = (text) => {
        const at = /clients connect to (\S+)/.exec(text)?.[1];
        if (at !== undefined) resolve(at);
      };
    });
    const ran = run(['proxy', '--listen', '0', ...argv], { cwd, stdin, stderr, tty: true });
    const url = await ready;
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
    const begun = await send(url, 'POST', { id: 0, method: 'initialize', params });
    expect(begun).toMatchObject({ status: 200, text: expect.stringContaining(`"name":"${name}"`) });
    const session = { 'mcp-session-id': String(begun.headers['mcp-session-id']) };
    await send(url, 'POST', { method: 'notifications/initialized' }, session);
    if (allowed !== undefined) expect((await send(url, 'POST', callOf(1, allowed), session)).text).toContain('"content"');
    expect((await send(url, 'POST', callOf(2, denied), session)).text).toContain('POLICY_DENY_HIGH_RISK');
    expect((await send(url, 'DELETE', undefined, session)).status).toBe(204);
    stdin.end();
    expect((await ran).code).toBe(0);
    const report = json(await run(['verify', '--json'], { cwd }));
    expect(report).toMatchObject({ status: 'valid', counts: { refused: 1 }, open_decisions: 0 });
  });

  it('takes none over HTTP+SSE', async () => {
    const cwd = await project('servers:\n  old: { url: "http://127.0.0.1:1/sse", transport: sse }\n');
    const { code, stderr } = await run(['proxy', '--listen', '0', '--server', 'old'], { cwd });
    expect([code, stderr]).toEqual([2, expect.stringContaining('--listen takes no server over HTTP+SSE')]);
  });
});
