/** Published servers behind `countersign proxy`: they look and answer as they do without it, and what is denied does not happen. */
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { afterEach, expect, it } from 'vitest';
import { SERVERS } from '../servers.ts';
import { TRANSPORTS } from '../transports.ts';
import { workplace } from '../workplace.ts';

interface Call {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

interface Case {
  readonly server: string;
  readonly args: (folder: string) => readonly string[];
  readonly env: (folder: string) => Readonly<Record<string, string>>;
  /** A deny rule. */
  readonly rule: string;
  /** Tools of which every call is denied. */
  readonly hidden: readonly string[];
  readonly allowed: (folder: string) => Call;
  readonly denied: (folder: string) => Call;
  /** What a denied call would have left behind; the same before and after it. */
  readonly effect: (folder: string, client: Client) => Promise<unknown>;
}

const THOUGHT = { thought: 'a thought', totalThoughts: 9, nextThoughtNeeded: true };
const CASES: readonly Case[] = [
  {
    server: 'filesystem',
    args: (folder) => [folder],
    env: () => ({}),
    rule: '{ id: no-writes, tools: ["filesystem/write_file"], effect: deny }',
    hidden: ['write_file'],
    allowed: (folder) => ({ name: 'read_text_file', arguments: { path: join(folder, 'notes.txt') } }),
    denied: (folder) => ({ name: 'write_file', arguments: { path: join(folder, 'written.txt'), content: 'x' } }),
    effect: async (folder) => existsSync(join(folder, 'written.txt')),
  },
  {
    server: 'memory',
    args: () => [],
    env: (folder) => ({ MEMORY_FILE_PATH: join(folder, 'memory.jsonl') }),
    rule: '{ id: no-forgetting, tools: ["memory/delete_entities"], effect: deny }',
    hidden: ['delete_entities'],
    allowed: () => ({ name: 'read_graph', arguments: {} }),
    denied: () => ({ name: 'delete_entities', arguments: { entityNames: ['ana'] } }),
    effect: async (folder) => readFileSync(join(folder, 'memory.jsonl'), 'utf8'),
  },
  {
    server: 'sequential-thinking',
    args: () => [],
    env: () => ({}),
    rule: '{ id: few-thoughts, tools: ["sequential-thinking/*"], when: "args.thoughtNumber > 5", effect: deny }',
    hidden: [],
    allowed: () => ({ name: 'sequentialthinking', arguments: { ...THOUGHT, thoughtNumber: 1 } }),
    denied: () => ({ name: 'sequentialthinking', arguments: { ...THOUGHT, thoughtNumber: 6 } }),
    // The server numbers what it was told: between two of these, nothing else was.
    effect: async (_folder, client) => {
      const result = await client.callTool({ name: 'sequentialthinking', arguments: { ...THOUGHT, thoughtNumber: 2 } });
      return Number((result.structuredContent as { readonly thoughtHistoryLength: number }).thoughtHistoryLength) - counted++;
    },
  },
  {
    server: 'everything',
    args: () => ['stdio'],
    env: () => ({ MARKER: 'of-the-environment' }),
    rule: '{ id: no-environment, tools: ["everything/get-env"], effect: deny }',
    hidden: ['get-env'],
    allowed: () => ({ name: 'get-structured-content', arguments: { location: 'New York' } }),
    denied: () => ({ name: 'get-env', arguments: {} }),
    effect: async () => undefined,
  },
];

let counted = 0;
const open: { close(): Promise<void> }[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

it.each(CASES)('server-$server over stdio', async (given) => {
  const folder = prepared();
  const command = [process.execPath, entryOf(given.server), ...given.args(folder)];
  const place = workplace(['{ id: all, tools: ["*/*"], effect: allow }', given.rule]);
  folders.push(place.folder);
  const env = { ...process.env, ...place.env, ...given.env(folder) } as Record<string, string>;
  const direct = await connected(overStdio(command, env));
  const proxied = await connected(overStdio(place.countersign('proxy', '--server', given.server, '--', ...command), env));
  await tried(given, { folder, direct, proxied });
  await proxied.close();
  expect(await place.verify()).toMatchObject({ status: 'valid', authorship: 'proven', open_decisions: 0, counts: { refused: 1 } });
});

it('server-everything over HTTP', async () => {
  const [given, server, transport] = [CASES[3], SERVERS[1], TRANSPORTS[0]];
  if (given === undefined || server === undefined || transport === undefined) throw new Error('there is no such server');
  const place = workplace(['{ id: all, tools: ["*/*"], effect: allow }', given.rule]);
  folders.push(place.folder);
  const itself = await server.http();
  const proxy = await transport.start({ server, url: itself.url, workplace: place });
  open.push(itself, { close: () => proxy.close() });
  const direct = await connected(new StreamableHTTPClientTransport(new URL(itself.url)));
  const proxied = await connected(new StreamableHTTPClientTransport(new URL(proxy.url)));
  await tried(given, { folder: prepared(), direct, proxied });
  await proxied.close();
  await proxy.close();
  expect(await place.verify()).toMatchObject({ status: 'valid', authorship: 'proven', open_decisions: 0, counts: { refused: 1 } });
});

interface Tried {
  readonly folder: string;
  readonly direct: Client;
  readonly proxied: Client;
}

async function tried({ hidden, allowed, denied, effect }: Case, { folder, direct, proxied }: Tried): Promise<void> {
  expect(proxied.getServerVersion()).toEqual(direct.getServerVersion());
  expect(proxied.getServerCapabilities()).toEqual(direct.getServerCapabilities());
  expect(proxied.getInstructions()).toEqual(direct.getInstructions());
  const { tools, ...list } = await direct.listTools();
  expect(tools.length).toBeGreaterThan(0);
  // As text: keys have an order.
  const offered = tools.filter(({ name }) => !hidden.includes(name));
  expect(JSON.stringify(await proxied.listTools())).toBe(JSON.stringify({ ...list, tools: offered }));
  expect(JSON.stringify(await proxied.callTool(allowed(folder)))).toBe(JSON.stringify(await direct.callTool(allowed(folder))));

  counted = 0;
  const before = await effect(folder, proxied);
  const refused = await proxied.callTool(denied(folder));
  expect(refused).toMatchObject({ isError: true, _meta: { 'countersign/callId': expect.any(String) as string } });
  expect(JSON.stringify(refused)).not.toMatch(/not found|unknown tool|of-the-environment/i);
  expect(await effect(folder, proxied)).toEqual(before);
  // It is the rule that keeps it from happening: without the proxy the same call runs.
  expect((await direct.callTool(denied(folder))).isError).not.toBe(true);
}

function prepared(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-real-')));
  folders.push(folder);
  writeFileSync(join(folder, 'notes.txt'), 'hello\n');
  writeFileSync(join(folder, 'memory.jsonl'), '{"type":"entity","name":"ana","entityType":"person","observations":["likes tea"]}');
  return folder;
}

function entryOf(server: string): string {
  return createRequire(import.meta.url).resolve(`@modelcontextprotocol/server-${server}/dist/index.js`);
}

function overStdio([command = '', ...args]: readonly string[], env: Record<string, string>): Transport {
  return new StdioClientTransport({ command, args, env, stderr: 'ignore' });
}

async function connected(transport: Transport): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' });
  open.push(client);
  await client.connect(transport);
  return client;
}
