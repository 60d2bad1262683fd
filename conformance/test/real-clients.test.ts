/** Clients as they are published, before the fixture behind `countersign proxy`: they list, they call, and they show why a call was refused. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createMCPClient } from '@ai-sdk/mcp';
import { Experimental_StdioMCPTransport as AiTransport } from '@ai-sdk/mcp/mcp-stdio';
import { MultiServerMCPClient } from '@langchain/mcp-adapters';
import { Client as Client2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as Transport2 } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SERVERS } from '../servers.ts';
import { type Workplace, workplace } from '../workplace.ts';

/** Listed, since not every call of it is denied. */
const TOOL = 'test_header_parameter';
const RULES = [
  '{ id: all, tools: ["fixture/*"], effect: allow }',
  `{ id: not-there, tools: ["fixture/${TOOL}"], when: "args.region == 'atlantis'", effect: deny, reason: it sank }`,
];

/** What a client makes of a tool result, as text, whether it returns or throws it. */
interface Used {
  names(): Promise<readonly string[]>;
  call(region: string): Promise<string>;
  close(): Promise<void>;
}

let place: Workplace;
let command: string;
let args: string[];
let env: Record<string, string>;
beforeEach(() => {
  place = workplace(RULES);
  const fixture = SERVERS.find(({ name }) => name === 'fixture');
  if (fixture === undefined) throw new Error('there is no fixture');
  [command, ...args] = place.countersign('proxy', '--server', 'fixture', '--', ...fixture.stdio);
  env = Object.fromEntries(Object.entries(place.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
});
afterEach(() => place.remove());

async function v1(): Promise<Used> {
  const client = new Client({ name: 'test', version: '1.0.0' });
  await client.connect(new StdioClientTransport({ command, args, env, stderr: 'ignore' }));
  return {
    names: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (region) => JSON.stringify(await client.callTool({ name: TOOL, arguments: { region } })),
    close: () => client.close(),
  };
}

async function v2(mode: 'auto' | { readonly pin: string }): Promise<Used> {
  const client = new Client2({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode } });
  await client.connect(new Transport2({ command, args, env, stderr: 'ignore' }));
  expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
  return {
    names: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (region) => JSON.stringify(await client.callTool({ name: TOOL, arguments: { region } })),
    close: () => client.close(),
  };
}

async function aiSdk(): Promise<Used> {
  const client = await createMCPClient({ transport: new AiTransport({ command, args, env, stderr: 'ignore' }) });
  const tools = await client.tools();
  return {
    names: async () => Object.keys(tools),
    call: async (region) => {
      const found = tools[TOOL];
      if (found === undefined) throw new Error(`${TOOL} is not listed`);
      return said(async () => found.execute({ region }, { toolCallId: 'call-1', messages: [], context: {} }));
    },
    close: () => client.close(),
  };
}

async function langchain(): Promise<Used> {
  const client = new MultiServerMCPClient({ fixture: { transport: 'stdio', command, args, env, stderr: 'ignore' } });
  const tools = await client.getTools();
  return {
    names: async () => tools.map(({ name }) => name),
    call: async (region) => {
      const found = tools.find(({ name }) => name === TOOL);
      if (found === undefined) throw new Error(`${TOOL} is not listed`);
      return said(async () => found.invoke({ region }) as Promise<unknown>);
    },
    close: () => client.close(),
  };
}

async function inspector(): Promise<Used> {
  // Its install script only serves checkouts of its own repository; what is published runs without.
  const program = join(
    dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/inspector/package.json')),
    'clients/launcher/build/index.js',
  );
  const run = (...method: readonly string[]): Promise<string> =>
    new Promise((resolve) => {
      // It takes options of its own up to `--`, and what the proxy has behind that it would take for its own, so a file says it.
      const config = JSON.stringify({ mcpServers: { proxied: { type: 'stdio', command, args, env } } });
      const file = join(place.folder, 'inspector.json');
      writeFileSync(file, config);
      execFile(process.execPath, [program, '--cli', '--config', file, '--server', 'proxied', ...method], (_error, stdout, stderr) =>
        resolve(`${stdout}${stderr}`),
      );
    });
  return {
    names: async () => [...(await run('--method', 'tools/list')).matchAll(/^ {6}"name": "(\w+)"/gm)].map(([, name = '']) => name),
    call: (region) => run('--method', 'tools/call', '--tool-name', TOOL, '--tool-arg', `region=${region}`),
    close: async () => {},
  };
}

it.each([
  ['@modelcontextprotocol/sdk (v1)', v1],
  ['@modelcontextprotocol/client (v2), which finds out the version', () => v2('auto')],
  ['@modelcontextprotocol/client (v2), which insists on 2026-07-28', () => v2({ pin: '2026-07-28' })],
  ['@ai-sdk/mcp', aiSdk],
  ['@langchain/mcp-adapters', langchain],
  ['the inspector, at the command line', inspector],
])('%s lists and calls, and shows why a call was refused', async (_name, use) => {
  const client = await use();
  try {
    expect(await client.names()).toContain(TOOL);
    expect(await client.call('eu')).toMatch(/region: eu/);
    const refused = await client.call('atlantis');
    expect(refused).toMatch(/it sank/);
    expect(refused).not.toMatch(/region: atlantis|not[ _]found|unknown tool/i);
    // It goes on from there.
    expect(await client.call('asia')).toMatch(/region: asia/);
  } finally {
    await client.close();
  }
  // Not every client waits for the process it ends, which still writes how the last call went.
  const ended = { status: 'valid', authorship: 'proven', counts: { allowed: 2, refused: 1, outcomes: 2 } };
  await vi.waitFor(async () => expect(await place.verify()).toMatchObject(ended), { timeout: 30_000, interval: 100 });
});

/** What a call returned, or the words of what it threw. */
async function said(call: () => Promise<unknown>): Promise<string> {
  try {
    const result = await call();
    return typeof result === 'string' ? result : JSON.stringify(result);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
