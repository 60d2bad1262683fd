import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folder, json, project, run } from '../harness.ts';

const TOKEN = 'ghp_0123456789abcdefghijABCDEFGHIJ012345';
const CURSOR = `{
  // mine
  "mcpServers": {
    "files": { "command": "npx", "args": ["-y", "x"], "env": { "TOKEN": "${TOKEN}" } },
    "far": { "url": "https://far.example/mcp" },
  },
}
`;

/** A home with files in it. */
function home(files: Readonly<Record<string, string>>): string {
  const path = folder();
  for (const [name, text] of Object.entries(files)) put(path, name, text);
  return path;
}

function put(base: string, name: string, text: string): void {
  mkdirSync(dirname(join(base, name)), { recursive: true });
  writeFileSync(join(base, name), text, { mode: 0o600 });
}

describe('wrap and unwrap', () => {
  it('tell what was wrapped, what not and why, and what to do next; then give the old bytes back', async () => {
    const env = { HOME: home({ '.cursor/mcp.json': CURSOR }) };
    const cwd = folder();
    const path = join(env.HOME, '.cursor/mcp.json');
    const ran = await run(['wrap', 'cursor'], { cwd, env });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toContain(path);
    expect(ran.stdout).toMatch(/wrapped +files\n/);
    expect(ran.stdout).toMatch(/not-wrapped +far: it is remote and sends no headers/);
    expect(ran.stdout).toContain(`back-up: ${path}.countersign-backup`);
    expect(ran.stdout).toContain('NOTHING IS BLOCKED');
    expect(ran.stdout).toContain('countersign init');
    expect(ran.stdout).toContain('restart Cursor');
    expect(ran.stdout).toContain('countersign unwrap cursor');
    expect(ran.stdout).not.toContain(TOKEN);
    const wrapped = readFileSync(path, 'utf8');
    expect(wrapped).toContain('// mine');
    expect(wrapped).toContain(JSON.stringify(process.execPath));

    const again = await run(['wrap', 'cursor'], { cwd, env });
    expect(again.stdout).toMatch(/unchanged +files/);
    expect(readFileSync(path, 'utf8')).toBe(wrapped);
    expect(readdirSync(dirname(path)).toSorted()).toEqual(['mcp.json', 'mcp.json.countersign-backup']);

    const back = await run(['unwrap', 'cursor'], { cwd, env });
    expect(back.stdout).toMatch(/restored +files/);
    expect(back.stdout).toContain('no longer guarded');
    expect(readFileSync(path, 'utf8')).toBe(CURSOR);
    expect((await run(['unwrap', 'cursor'], { cwd, env })).stdout).toContain('Nothing was wrapped.');
  });

  it('have this JSON shape', async () => {
    const env = { HOME: home({ '.cursor/mcp.json': CURSOR }) };
    const cwd = folder();
    const path = join(env.HOME, '.cursor/mcp.json');
    const server = { project: null, server: null, config: null, why: null };
    expect(json(await run(['wrap', 'cursor', '--json'], { cwd, env }))).toEqual({
      client: 'cursor',
      config: null,
      dry_run: false,
      files: [
        {
          file: path,
          changed: true,
          backup: `${path}.countersign-backup`,
          servers: [
            { ...server, name: 'files', status: 'wrapped', server: 'files' },
            { ...server, name: 'far', status: 'not-wrapped', why: expect.stringContaining('with --server NAME') },
          ],
        },
      ],
    });
    expect(json(await run(['wrap', '--json'], { cwd, env }))).toEqual({
      clients: [{ client: 'cursor', scope: 'user', file: path, servers: 2, wrapped: 1, problem: null }],
    });
    expect(json(await run(['unwrap', 'cursor', '--json'], { cwd, env }))).toMatchObject({
      client: 'cursor',
      dry_run: false,
      files: [{ changed: true, servers: [{ name: 'files', status: 'restored' }] }],
    });
  });

  it('show with --dry-run what would change, without secrets, and write nothing', async () => {
    const env = {
      HOME: home({
        '.cursor/mcp.json': CURSOR.replace('"x"]', `"x", "--key=${TOKEN}"]`).replace(
          '"env": {',
          '"env": { "NAME": "plain words", "ASKED": "${input:n}",',
        ),
      }),
    };
    const cwd = folder();
    const before = readFileSync(join(env.HOME, '.cursor/mcp.json'), 'utf8');
    const ran = await run(['wrap', 'cursor', '--dry-run'], { cwd, env, tty: true });
    expect(ran.stdout).toContain('@@ -1,');
    expect(ran.stdout).toMatch(/\u001b\[32m\+ .*"--wrapped", "stdio"/);
    expect(ran.stdout).toMatch(/\u001b\[31m- .*"npx"/);
    expect(ran.stdout).not.toContain(TOKEN);
    expect(ran.stdout).not.toContain('plain words');
    expect(ran.stdout).toContain('"NAME": "[hidden]", "ASKED": "${input:n}"');
    expect(ran.stdout).toContain('Nothing was written');
    expect(readFileSync(join(env.HOME, '.cursor/mcp.json'), 'utf8')).toBe(before);
    expect(readdirSync(join(env.HOME, '.cursor'))).toEqual(['mcp.json']);
    expect(JSON.stringify(json(await run(['wrap', 'cursor', '--dry-run', '--json'], { cwd, env })))).not.toContain(TOKEN);
  });

  it('name with --dry-run the variables that headers move to, and nothing of what is in them', async () => {
    const far = {
      type: 'http',
      url: 'https://far.example/mcp',
      headers: { Authorization: `Bearer ${TOKEN}`, 'X-Api-Key': 'hunter2 and more', [`X-${TOKEN}`]: 'x' },
    };
    const env = { HOME: home({ '.cursor/mcp.json': JSON.stringify({ mcpServers: { far } }, undefined, 2) }) };
    const cwd = folder();
    for (const argv of [
      ['wrap', 'cursor', '--dry-run'],
      ['wrap', 'cursor'],
      ['unwrap', 'cursor', '--dry-run'],
    ]) {
      const { stdout } = await run(argv, { cwd, env });
      expect(stdout).not.toContain(TOKEN);
      expect(stdout).not.toContain('hunter2');
      if (!argv.includes('--dry-run')) continue;
      expect(stdout).toContain('"Authorization=COUNTERSIGN_HEADER_1"');
      expect(stdout).toContain('"X-Api-Key=COUNTERSIGN_HEADER_2"');
      expect(stdout).toContain('[redacted:github-token]');
    }
  });

  it.each([
    ['a secret behind the name of a variable', `"Authorization=COUNTERSIGN_HEADER_1${TOKEN}"`],
    ['another name than ours', '"Authorization=hunter2-COUNTERSIGN_HEADER_1"'],
    ['a secret beside it', `"Authorization=COUNTERSIGN_HEADER_1", "--token=${TOKEN}", "password=hunter2"`],
    ['a secret where a long line is cut', `"${'x '.repeat(990)}", "${TOKEN}"`],
    ['a secret that the cut halves', `"${'x '.repeat(950)}", "--key", "${'x'.repeat(20)}", "${TOKEN}"`],
  ])('hide with --dry-run %s', async (_what, args) => {
    for (let cut = 0; cut < 40; cut += 3) {
      const text = `{"mcpServers":{"a":{"command":"x","args":[${'"", '.repeat(cut)}${args}]}}}`;
      const env = { HOME: home({ '.cursor/mcp.json': text }) };
      const { code, stdout } = await run(['wrap', 'cursor', '--dry-run'], { cwd: folder(), env });
      expect(code).toBe(0);
      expect(stdout).not.toMatch(/ghp_|hunter2/);
    }
  });

  it('choose servers, files and projects', async () => {
    const text = '{"mcpServers":{"a":{"command":"x"},"b":{"command":"y"}}}';
    const env = { HOME: home({ '.claude.json': text }) };
    const cwd = home({ '.mcp.json': text, 'other.json': text });
    await run(['wrap', 'claude-code', '--server', 'b'], { cwd, env });
    expect(JSON.parse(readFileSync(join(env.HOME, '.claude.json'), 'utf8')).mcpServers.a).toEqual({ command: 'x' });
    expect(readFileSync(join(cwd, '.mcp.json'), 'utf8')).toBe(text);
    const inProject = await run(['wrap', 'claude-code', '--project'], { cwd, env });
    expect(inProject.stdout).toContain('do not commit it');
    expect(readFileSync(join(cwd, '.mcp.json'), 'utf8')).not.toBe(text);
    await run(['wrap', 'claude-code', '--file', 'other.json'], { cwd, env });
    expect(readFileSync(join(cwd, 'other.json'), 'utf8')).toBe(readFileSync(join(cwd, '.mcp.json'), 'utf8'));
    await run(['unwrap', 'claude-code', '--project', '--server', 'a'], { cwd, env });
    expect(Object.keys(JSON.parse(readFileSync(join(cwd, '.mcp.json'), 'utf8')).mcpServers.a)).toEqual(['command']);
  });

  it('escape what a repository wrote', async () => {
    const cwd = home({
      '.mcp.json': JSON.stringify({
        mcpServers: { 'a\u001b[2J\u202e': { command: 'x', args: ['\u001b]0;owned\u0007'] }, 'b\u001b': { args: [] } },
      }),
    });
    for (const argv of [['--dry-run'], [], ['--json']]) {
      const ran = await run(['wrap', 'claude-code', '--project', ...argv], { cwd, env: { HOME: folder() } });
      expect(ran.code).toBe(0);
      expect(ran.stdout).not.toMatch(/[\u001b\u0007\u202e]/);
    }
  });

  it('leave an entry alone whose options were changed, and say so with exit 1', async () => {
    const env = { HOME: home({ '.cursor/mcp.json': CURSOR }) };
    const path = join(env.HOME, '.cursor/mcp.json');
    await run(['wrap', 'cursor'], { cwd: folder(), env });
    writeFileSync(path, readFileSync(path, 'utf8').replace('"--server", "files"', '"--server", "files", "--agent", "me"'));
    const before = readFileSync(path, 'utf8');
    const ran = await run(['unwrap', 'cursor'], { cwd: folder(), env });
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/left-alone +files: options were added/);
    expect(readFileSync(path, 'utf8')).toBe(before);
  });
});

describe('wrap without a client', () => {
  it('lists what is there and proposes the next step', async () => {
    const env = {
      HOME: home({
        '.cursor/mcp.json': CURSOR,
        '.codex/config.toml': '[mcp_servers.a]\ncommand = "x"\n',
        '.gemini/settings.json': '{"a":1,"a":2}',
      }),
    };
    const ran = await run(['wrap'], { cwd: home({ '.vscode/mcp.json': '{"servers":{}}' }), env });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/cursor +2 +0 +user/);
    expect(ran.stdout).toMatch(/codex +1 +0 +user/);
    expect(ran.stdout).toMatch(/vscode +0 +0 +project/);
    expect(ran.stdout).toMatch(/gemini-cli +\? +\? +user/);
    expect(ran.stdout).toContain('twice in one object');
    expect(ran.stdout).toContain('next: countersign wrap cursor --dry-run');
  });

  it('counts no server as wrapped that another program would start', async () => {
    const env = { HOME: home({ '.cursor/mcp.json': CURSOR }) };
    await run(['wrap', 'cursor'], { cwd: folder(), env });
    const path = join(env.HOME, '.cursor/mcp.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(JSON.stringify(process.execPath), '"/evil/node"'));
    expect(json(await run(['wrap', '--json'], { cwd: folder(), env }))).toMatchObject({ clients: [{ servers: 2, wrapped: 0 }] });
  });

  it('is friendly where there is none', async () => {
    const ran = await run(['wrap'], { cwd: folder(), env: { HOME: folder() } });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('No MCP client has a file on this machine yet');
    expect(ran.stdout).toContain('Claude Desktop, Claude Code, Cursor, VS Code, Windsurf, Gemini CLI, Codex');
  });
});

describe('--header-env', () => {
  it.each([
    ['X', 2, /a header has a name/],
    ['=X', 2, /a header has a name/],
    ['A b=X', 2, /a header has a name/],
    ['Host=X', 2, /the proxy sends the header Host itself/],
    ['A=', 2, /the name of a variable/],
    ['A=B C', 2, /the name of a variable/],
    ['A=UNSET', 2, /the variable UNSET is not set/],
    ['A=__proto__', 2, /the variable __proto__ is not set/],
  ])('%s is refused before anything is sent', async (given, code, why) => {
    const ran = await run(['proxy', '--url', 'http://127.0.0.1:1/mcp', '--header-env', given], { cwd: folder() });
    expect(ran.code).toBe(code);
    expect(ran.stderr).toMatch(why);
  });
});

describe('refusals', () => {
  const text = '{"mcpServers":{"a":{"command":"x"}}}';

  it.each([
    [['wrap', 'cusror'], 2, /unknown client "cusror", did you mean "cursor"\? \[USAGE\]/],
    [['wrap', '--project'], 2, /needs <client>/],
    [['wrap', 'windsurf', '--project'], 2, /no file for projects/],
    [['wrap', 'cursor', '--project', '--file', 'x'], 2, /exclude each other/],
    [['wrap', 'cursor', '--server', 'aa'], 2, /no server "aa" in that file/],
    [['wrap', 'codex'], 1, /Codex has no file at .*config\.toml \[FILE_REFUSED\]/],
    [['wrap', 'cursor', '--config', 'missing.yaml'], 4, /CONFIG_NOT_FOUND/],
    [['unwrap'], 2, /unwrap needs <client>/],
  ])('%j', async (argv, code, why) => {
    const env = { HOME: home({ '.cursor/mcp.json': text }) };
    const ran = await run(argv, { cwd: folder(), env });
    expect(ran.code).toBe(code);
    expect(ran.stderr).toMatch(why);
    expect(readFileSync(join(env.HOME, '.cursor/mcp.json'), 'utf8')).toBe(text);
  });

  it('a configuration that would not start is refused before anything is written', async () => {
    const env = { HOME: home({ '.cursor/mcp.json': text }) };
    const ran = await run(['wrap', 'cursor'], { cwd: home({ 'countersign.yaml': 'version: 1\nagennt: x\n' }), env });
    expect(ran.stderr).toContain('[CONFIG_INVALID]');
    expect(readFileSync(join(env.HOME, '.cursor/mcp.json'), 'utf8')).toBe(text);
  });

  it('when one of two files is refused, neither is written', async () => {
    const env = {
      HOME: home({ '.config/Code/User/mcp.json': '{"servers":{"a":{"command":"x"}}}', '.config/Code - Insiders/User/mcp.json': '{' }),
    };
    const ran = await run(['wrap', 'vscode'], { cwd: folder(), env });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('line 1');
    expect(readdirSync(join(env.HOME, '.config/Code/User'))).toEqual(['mcp.json']);
  });

  it('a file others may write, through a link too', async () => {
    const env = { HOME: home({ 'real.json': text }) };
    chmodSync(join(env.HOME, 'real.json'), 0o666);
    mkdirSync(join(env.HOME, '.cursor'));
    symlinkSync(join(env.HOME, 'real.json'), join(env.HOME, '.cursor/mcp.json'));
    const ran = await run(['wrap', 'cursor'], { cwd: folder(), env });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/may be written by others.*\[FILE_REFUSED\]\n {2}next: take the permission away/);
    expect(readFileSync(join(env.HOME, 'real.json'), 'utf8')).toBe(text);
  });
});

describe('a wrapped entry', () => {
  it('works as a client starts it: tools are listed, called, refused and on record', async () => {
    const filesystem = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-filesystem/dist/index.js');
    const data = folder();
    writeFileSync(join(data, 'hello.txt'), 'hello from the server');
    const text = JSON.stringify(
      { mcpServers: { files: { command: process.execPath, args: [filesystem, data], env: { KEPT: '1' } } } },
      undefined,
      2,
    );
    const env = { HOME: home({ '.cursor/mcp.json': text }) };
    const rules = `
policy:
  id: test
  version: "1"
  rules:
    - { id: reads, tools: ["files/read_*"], effect: allow }
    - { id: writes, tools: ["files/write_*"], effect: deny }
`;
    const cwd = await project('', (config) => config.replace(/\npolicy:[\s\S]*?\n(?=\w)/, `${rules}\n`));
    const wrapped = await run(['wrap', 'cursor', '--json'], { cwd, env });
    expect(json(wrapped)).toMatchObject({ config: join(cwd, 'countersign.yaml') });

    const entry = JSON.parse(readFileSync(join(env.HOME, '.cursor/mcp.json'), 'utf8')).mcpServers.files;
    const client = new Client({ name: 'test', version: '1' });
    // Somewhere else than the configuration, with the small environment that the SDK hands on.
    const transport = new StdioClientTransport({
      command: entry.command,
      args: entry.args,
      env: { ...entry.env, COUNTERSIGN_STATE_DIR: folder() },
      cwd: data,
      stderr: 'pipe',
    });
    try {
      await client.connect(transport);
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name)).toContain('read_text_file');
      const read = await client.callTool({ name: 'read_text_file', arguments: { path: join(data, 'hello.txt') } });
      expect(JSON.stringify(read.content)).toContain('hello from the server');
      const write = await client.callTool({ name: 'write_file', arguments: { path: join(data, 'no.txt'), content: 'x' } });
      expect(write.isError).toBe(true);
      expect(existsSync(join(data, 'no.txt'))).toBe(false);
    } finally {
      await client.close();
    }
    const found = await run(['filter', '--kind', 'decision'], { cwd });
    const decisions = found.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(decisions).toHaveLength(2);
    expect(found.stdout).toContain('read_text_file');
    expect(found.stdout).toContain('write_file');
    expect((await run(['verify'], { cwd })).code).toBe(0);

    await run(['unwrap', 'cursor'], { cwd, env });
    expect(readFileSync(join(env.HOME, '.cursor/mcp.json'), 'utf8')).toBe(text);
  });

  it('of a remote server sends its headers, from the environment', async () => {
    const seen: (string | undefined)[] = [];
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      seen.push(request.headers.authorization);
      // It offers no stream of its own.
      if (request.method !== 'POST') return void response.writeHead(405).end();
      const { id, method } = JSON.parse(await text(request)) as { readonly id?: number; readonly method?: string };
      if (id === undefined) return void response.writeHead(202).end();
      const info = { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'far', version: '1' } };
      const result =
        method === 'initialize' ? info : method === 'tools/list' ? { tools: [] } : { content: [{ type: 'text', text: 'far away' }] };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    };
    const server = createServer((request, response) => void answer(request, response));
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const before = JSON.stringify({
      mcpServers: { far: { type: 'http', url: `http://127.0.0.1:${port}/mcp`, headers: { Authorization: `Bearer ${TOKEN}` } } },
    });
    const env = { HOME: home({ '.cursor/mcp.json': before }) };
    const cwd = await project('', (config) => config.replace('mode: enforce', 'mode: audit'));
    await run(['wrap', 'cursor'], { cwd, env });

    const { far } = JSON.parse(readFileSync(join(env.HOME, '.cursor/mcp.json'), 'utf8')).mcpServers;
    expect(JSON.stringify(far.args)).not.toContain(TOKEN);
    const client = new Client({ name: 'test', version: '1' });
    const state = folder();
    await client.connect(
      new StdioClientTransport({
        command: far.command,
        args: far.args,
        env: { ...far.env, COUNTERSIGN_STATE_DIR: state },
        cwd: state,
        stderr: 'pipe',
      }),
    );
    try {
      expect(JSON.stringify((await client.callTool({ name: 'look', arguments: {} })).content)).toContain('far away');
    } finally {
      await client.close();
    }
    expect(new Set(seen)).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect((await run(['filter', '--tool', 'far/look'], { cwd })).stdout).toContain('"kind":"decision"');
    await run(['unwrap', 'cursor'], { cwd, env });
    expect(readFileSync(join(env.HOME, '.cursor/mcp.json'), 'utf8')).toBe(before);
  });
});
