import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createGuard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttp } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it } from 'vitest';
import { startHttpBridge } from '../../src/http/http-bridge.ts';
import { EVERYTHING_OVER_STDIO } from './everything-server.ts';

const MODERN = fileURLToPath(new URL('../fixtures/modern-stdio-server.mjs', import.meta.url));
const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function bridgeTo(command: readonly string[]): Promise<URL> {
  const policy = rulePolicy({ id: 'test', default: 'allow', rules: [{ id: 'no-env', tools: ['get-env'], effect: 'deny' }] });
  const guard = createGuard({ agent: 'test', policy, store: memoryStore() });
  const [program = '', ...args] = command;
  const stderr = new PassThrough().resume();
  const bridge = await startHttpBridge({ command: program, args, guard: async () => guard, server: 's', stderr, log: () => {}, port: 0 });
  open.push(bridge);
  return new URL(bridge.url);
}

describe('the real server-everything over stdio', () => {
  it('looks the same to the v1 client over HTTP', async () => {
    const url = await bridgeTo(EVERYTHING_OVER_STDIO);
    const [program = '', ...args] = EVERYTHING_OVER_STDIO;
    const capabilities = { sampling: {}, roots: {}, elicitation: {} };
    const direct = new Client({ name: 'test', version: '1' }, { capabilities });
    const proxied = new Client({ name: 'test', version: '1' }, { capabilities });
    await direct.connect(new StdioClientTransport({ command: program, args, stderr: 'ignore' }));
    const transport = new StreamableHTTPClientTransport(url);
    await proxied.connect(transport);
    open.push(direct, proxied);
    expect(proxied.getServerCapabilities()).toEqual(direct.getServerCapabilities());
    const hidden = ({ tools, ...rest }: Awaited<ReturnType<Client['listTools']>>) => ({
      ...rest,
      tools: tools.filter(({ name }) => name !== 'get-env'),
    });
    expect(hidden(await proxied.listTools())).toEqual(hidden(await direct.listTools()));
    const sum = { name: 'get-sum', arguments: { a: 2, b: 3 } };
    expect(await proxied.callTool(sum)).toEqual(await direct.callTool(sum));
    const progress: unknown[] = [];
    const slow = { name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } };
    const done = await proxied.callTool(slow, undefined, { onprogress: (each) => progress.push(each) });
    expect(JSON.stringify(done.content)).toContain('completed');
    expect(progress.length).toBeGreaterThan(0);
    expect(await proxied.callTool({ name: 'get-env', arguments: {} })).toMatchObject({ isError: true });
    await transport.terminateSession();
    await expect(proxied.callTool(sum)).rejects.toThrow(/session/i);
  });

  it('asks and tells the client things in the middle of a call', async () => {
    const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {} } });
    client.setRequestHandler(CreateMessageRequestSchema, async () => ({
      model: 'm',
      role: 'assistant',
      content: { type: 'text', text: 'from the client' },
    }));
    const told = new Promise((resolve) => client.setNotificationHandler(LoggingMessageNotificationSchema, resolve));
    await client.connect(new StreamableHTTPClientTransport(await bridgeTo(EVERYTHING_OVER_STDIO)));
    open.push(client);
    const result = await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'p', maxTokens: 5 } });
    expect(JSON.stringify(result.content)).toContain('from the client');
    await client.callTool({ name: 'toggle-simulated-logging', arguments: {} });
    await told;
  });

  it('serves the v2 client in the era the server knows', async () => {
    const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new ModernHttp(await bridgeTo(EVERYTHING_OVER_STDIO)));
    open.push(client);
    expect(client.getProtocolEra()).toBe('legacy');
    expect(await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } })).toMatchObject({ content: [{ type: 'text' }] });
  });
});

describe('a server of the stateless protocol over stdio', () => {
  it.each([
    ['auto', { mode: 'auto' }, 'modern'],
    ['pinned', { mode: { pin: '2026-07-28' } }, 'modern'],
    ['of the era before', { mode: 'legacy' }, 'legacy'],
  ] as const)('serves v2 clients over HTTP (%s), several at once', async (_what, versionNegotiation, era) => {
    const url = await bridgeTo([process.execPath, MODERN]);
    const clients = await Promise.all(
      [1, 2, 3].map(async () => {
        const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation });
        await client.connect(new ModernHttp(url));
        open.push(client);
        return client;
      }),
    );
    expect(clients.map((client) => client.getProtocolEra())).toEqual([era, era, era]);
    for (const client of clients) expect((await client.listTools()).tools.map(({ name }) => name)).toContain('pay');
    const calls = clients.map((client, amount) => client.callTool({ name: 'pay', arguments: { amount, region: 'süd' } }));
    for (const [amount, result] of (await Promise.all(calls)).entries())
      expect(result).toMatchObject({ content: [{ text: `paid ${amount} in süd (${era})` }] });
    expect(await clients[0]?.callTool({ name: 'get-env', arguments: {} })).toMatchObject({ isError: true });
  });
});
