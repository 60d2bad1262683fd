import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { folder, project, type Ran, run } from '../harness.ts';

const SERVER = fileURLToPath(new URL('../fixtures/env-server.mjs', import.meta.url));
const HELLO = [
  { id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } } },
  { method: 'notifications/initialized' },
];

function command(more = ''): string {
  return `{ command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(SERVER)}]${more} }`;
}

async function withServers(servers: string): Promise<string> {
  return project(`servers:\n${servers}`, (text) =>
    text.replace(
      /^ {2}rules:\n/m,
      '  rules:\n    - { id: env, tools: ["a/env", "b.b/env"], effect: allow }\n    - { id: no, tools: ["c/*"], effect: deny }\n',
    ),
  );
}

async function proxied(
  cwd: string,
  argv: readonly string[],
  messages: readonly object[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ran & { readonly answers: ReadonlyMap<unknown, unknown> }> {
  const stdin = new PassThrough();
  for (const message of [...HELLO, ...messages]) stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  stdin.end();
  const ran = await run(['proxy', ...argv], { cwd, stdin, env });
  const lines = ran.stdout.split('\n').filter((line) => line !== '');
  const answers = new Map(lines.map((line) => JSON.parse(line)).map((message) => [message.id, message.result ?? message.error]));
  return { ...ran, answers };
}

const call = (id: number, name: string, ...names: readonly string[]): object => ({
  id,
  method: 'tools/call',
  params: { name, arguments: { names } },
});

describe('proxy before the servers of the configuration', () => {
  it('is one server to the client, decides by the names in the configuration, and gives each server its own secrets only', async () => {
    const cwd = await withServers(
      `  a: ${command(', env: { OWN: "x ${A_TOKEN}", FROM_FILE: { file: secret }, PATH: "${PATH}:/extra" }')}\n  b.b: ${command(', env: { B: { env: B_TOKEN } }')}\n  c: ${command()}\n`,
    );
    writeFileSync(join(cwd, 'secret'), 'of a file\n', { mode: 0o600 });
    const env = { A_TOKEN: 'secret-of-a', B_TOKEN: 'secret-of-b', PATH: process.env['PATH'] ?? '', PLAIN: 'plain' };
    const names = ['OWN', 'FROM_FILE', 'B', 'A_TOKEN', 'B_TOKEN', 'PLAIN', 'COUNTERSIGN_GUARDED'];
    const { answers, code, stderr } = await proxied(
      cwd,
      [],
      [call(1, 'a__env', ...names), call(2, 'b.b__env', ...names), call(3, 'c__env'), call(4, 'a__env', 'PATH')],
      env,
    );
    expect(code).toBe(0);
    expect(answers.get(0)).toMatchObject({ serverInfo: { name: 'countersign' }, instructions: expect.stringContaining('a, b.b, c') });
    const textOf = (id: number): unknown =>
      (answers.get(id) as { readonly content: readonly { readonly text: string }[] }).content[0]?.text;
    expect(textOf(1)).toBe(JSON.stringify(['x secret-of-a', 'of a file', null, null, null, 'plain', '1']));
    expect(textOf(2)).toBe(JSON.stringify([null, null, 'secret-of-b', null, null, 'plain', '1']));
    expect(answers.get(3)).toMatchObject({ isError: true, _meta: { 'countersign/reasonCode': 'POLICY_DENY_HIGH_RISK' } });
    expect(textOf(4)).toBe(JSON.stringify([`${env.PATH}:/extra`]));
    expect(stderr).toContain('guarding a, b.b, c as bot');
    const { stdout } = await run(['filter', '--json'], { cwd });
    const tools = [...stdout.matchAll(/"server":\s*"([^"]+)"/g)].map(([, server]) => server);
    expect(new Set(tools)).toEqual(new Set(['a', 'b.b', 'c']));
  });

  it('is the one that is named, as it is', async () => {
    const cwd = await withServers(`  a: ${command(', env: { OWN: mine }')}\n  c: ${command()}\n`);
    const { answers, code } = await proxied(cwd, ['--server', 'a'], [call(1, 'env', 'OWN'), { id: 2, method: 'tools/list' }]);
    expect(code).toBe(0);
    expect(answers.get(0)).toMatchObject({ serverInfo: { name: 'env' } });
    expect(answers.get(1)).toMatchObject({ content: [{ text: '["mine"]' }] });
    expect(answers.get(2)).toMatchObject({ tools: [{ name: 'env' }] });
  });

  it('starts nothing and opens no ledger for a client that only looks', async () => {
    const cwd = await withServers(`  a: ${command()}\n`);
    const { answers, stderr } = await proxied(cwd, [], []);
    expect(answers.get(0)).toMatchObject({ protocolVersion: '2025-11-25' });
    expect(existsSync(join(cwd, '.countersign/ledger.db'))).toBe(false);
    expect(stderr).toBe('');
  });

  it.each([
    ['a variable that is not set', command(', env: { K: "x ${NOT_SET}" }'), [], 'servers.a.env.K: the variable NOT_SET is not set'],
    ['a file that is not there', command(', env: { K: { file: nowhere } }'), [], 'servers.a.env.K: the file '],
    ['a name that is none', command(), ['--server', 'b'], 'no server "b" in the configuration'],
  ])('does not start with %s', async (_what, server, argv, text) => {
    const cwd = await withServers(`  a: ${server}\n`);
    const { code, stdout, stderr } = await run(['proxy', ...argv], { cwd });
    expect([code, stdout]).toEqual([argv.length === 0 ? 1 : 2, '']);
    expect(stderr).toContain(text);
  });

  it.each([
    ['no configuration', async () => folder()],
    ['no servers', async () => project()],
    ['an empty list of servers', async () => project('servers: {}\n')],
  ])('asks for a command where there is %s', async (_what, place) => {
    const { code, stderr } = await run(['proxy'], { cwd: await place() });
    expect(code).toBe(2);
    expect(stderr).toContain('proxy needs a command after `--`, or --url, or `servers:` in the configuration');
  });
});
