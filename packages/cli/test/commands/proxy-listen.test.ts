import { request } from 'node:http';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { answeringServer } from '../answering-server.ts';
import { json, project, run, Sink } from '../harness.ts';

function post(url: string, name: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: name, method: 'tools/call', params: { name, arguments: { path: '/srv/a' } } });
    request(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers } }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    })
      .on('error', reject)
      .end(body);
  });
}

describe('proxy --listen', () => {
  it('serves clients over HTTP until it is told to end, and leaves a ledger that verifies', async () => {
    const cwd = await project();
    const { url, asked } = await answeringServer();
    const stderr = new Sink();
    const stdin = new PassThrough();
    const ready = new Promise<string>((resolve) => {
      stderr.onText = (text) => {
        const at = /clients connect to (\S+)/.exec(text)?.[1];
        if (at !== undefined) resolve(at);
      };
    });
    const argv = ['--server', 'files', '--listen', '0', '--url', url, '--header', 'X-Key: ${KEY}', '--allow-host', 'mine.example'];
    const ran = run(['proxy', ...argv], { cwd, stdin, stderr, tty: true, env: { KEY: 'env-secret' } });
    const at = await ready;
    expect(at).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
    expect(await post(at, 'read_file', { authorization: 'Bearer t0ken', host: 'mine.example' })).toMatch(/^200/);
    expect(await post(at, 'delete_file')).toContain('POLICY_DENY_HIGH_RISK');
    expect(await post(at, 'read_file', { host: 'attacker.example' })).toMatch(/^403/);
    const token = `ghp_${'a1B2c3D4e5F6'.repeat(3)}`;
    expect(await post(at, 'read_file', { host: `${token}.example` })).toMatch(/^403/);
    stdin.end();
    const { code, stdout } = await ran;
    expect([code, stdout]).toEqual([0, '']);
    expect(asked).toHaveLength(1);
    expect(asked[0]?.headers).toMatchObject({ authorization: 'Bearer t0ken', 'x-key': 'env-secret' });
    expect(stderr.text).not.toMatch(/t0ken|env-secret/);
    expect(stderr.text).toContain('attacker.example');
    expect(stderr.text).toContain('[redacted:github-token]');
    expect(stderr.text).not.toContain(token);
    expect(json(await run(['verify', '--json'], { cwd }))).toMatchObject({ status: 'valid' });
  });

  it.each([
    [['--listen', '0'], /needs a command after `--`, or --url, or `servers:` in the configuration/],
    [['--listen', '0', '--url', 'http://127.0.0.1:1/mcp', '--transport', 'sse'], /--listen takes no server over HTTP\+SSE/],
    [['--listen', '65536', '--url', 'http://127.0.0.1:1/mcp'], /--listen is a port/],
    [['--listen', 'example.com:1', '--url', 'http://127.0.0.1:1/mcp'], /--listen is a port/],
    [['--listen', '::1:1', '--url', 'http://127.0.0.1:1/mcp'], /--listen is a port/],
    [['--allow-host', 'x', '--url', 'http://127.0.0.1:1/mcp'], /--allow-host is for clients over HTTP/],
    [['--listen', '0', '--allow-origin', '*', '--url', 'http://127.0.0.1:1/mcp'], /allowed origins have a scheme/],
    [['--listen', '0', '--public-url', 'x', '--', 'server'], /the public URL is a scheme/],
    [['--listen', '0', '--public-url', 'x', '--url', 'http://127.0.0.1:1/mcp'], /the public URL is a scheme/],
  ])('%j is refused', async (argv, message) => {
    const { code, stderr } = await run(['proxy', '--server', 'files', ...argv], { cwd: await project() });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });
});
