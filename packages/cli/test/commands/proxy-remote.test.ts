import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { answeringServer } from '../answering-server.ts';
import { json, project, type Ran, run } from '../harness.ts';

async function proxied(cwd: string, argv: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const stdin = new PassThrough();
  for (const name of ['read_file', 'delete_file'])
    stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: name, method: 'tools/call', params: { name, arguments: { path: '/srv/a' } } })}\n`);
  stdin.end();
  return run(['proxy', ...argv], { cwd, stdin, env });
}

describe('proxy --url', () => {
  it('stands before a server over HTTP, with credentials from the environment and a file', async () => {
    const cwd = await project();
    const { url, asked } = await answeringServer();
    writeFileSync(join(cwd, 'headers'), '# of the team\nX-Team: blue\n\nX-Api-Key: file-secret\n');
    const argv = ['--server', 'files', '--url', url, '--header', 'Authorization: Bearer ${TOKEN}', '--header-file', 'headers'];
    const { code, stdout, stderr } = await proxied(cwd, argv, { TOKEN: 'env-secret' });
    expect(code).toBe(0);
    expect(asked.length).toBe(1);
    expect(asked[0]?.headers).toMatchObject({ authorization: 'Bearer env-secret', 'x-team': 'blue', 'x-api-key': 'file-secret' });
    expect(asked[0]?.body).toContain('read_file');
    expect(stdout).toContain('POLICY_DENY_HIGH_RISK');
    expect(stdout + stderr).not.toMatch(/env-secret|file-secret/);
    expect(json(await run(['verify', '--json'], { cwd }))).toMatchObject({
      status: 'valid',
      counts: { allowed: 1, refused: 1, outcomes: 1 },
    });
  });

  it('says what a credential on the command line is: readable', async () => {
    const { url } = await answeringServer();
    const { stderr } = await proxied(await project(), ['--url', url, '--header', 'Authorization: Bearer plain-secret']);
    expect(stderr).toContain('every user of this machine can read --header Authorization');
    expect(stderr).not.toContain('plain-secret');
  });

  it.each([
    [['--header', 'A: b'], /is for a server over HTTP/],
    [[], /needs a command after `--`, or --url/],
    [['--url', 'https://host/mcp', '--', 'node'], /a command were given/],
    [['--url', 'ftp://host/'], /is no http URL/],
    [['--url', 'nothing'], /is no http URL/],
    [['--url', 'https://user:hunter2@host/'], /holds credentials/],
    [['--url', 'http://host.example/mcp'], /plain http to another machine/],
    [['--url', 'https://host/mcp', '--transport', 'ws'], /--transport is http or sse/],
    [['--url', 'https://host/mcp', '--header', 'hunter2'], /a name, a colon and a value/],
    [['--url', 'https://host/mcp', '--header', 'A: ${MISSING}'], /the variable MISSING is not set/],
    [['--url', 'https://host/mcp', '--header', 'A: ${constructor}'], /the variable constructor is not set/],
    [['--url', 'https://host/mcp', '--header', 'A: ${a b}'], /comes the name of a variable/],
    [['--url', 'https://host/mcp', '--header', 'A: ${LINES}'], /no line of text/],
    [['--url', 'https://host/mcp', '--header', 'A: 1', '--header', 'a: 2'], /is given twice/],
    [['--url', 'https://host/mcp', '--header', 'Mcp-Session-Id: hunter2'], /sends the header Mcp-Session-Id itself/],
    [['--url', 'https://host/mcp', '--header', 'Host: other'], /sends the header Host itself/],
    [['--url', 'https://host/mcp', '--ca', 'countersign.yaml'], /holds no certificate/],
  ])('refuses %j', async (argv, text) => {
    const { code, stdout, stderr } = await proxied(await project(), argv, { LINES: 'a\r\nX-Evil: 1' });
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(text);
    expect(stderr).not.toMatch(/hunter2|X-Evil/);
  });
});
