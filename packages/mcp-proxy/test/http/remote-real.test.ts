import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Client as ModernClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { everythingServer } from './everything-server.ts';

const PROXY = fileURLToPath(new URL('../fixtures/remote-proxy-process.ts', import.meta.url));
const command = (url: string) => ({
  command: process.execPath,
  args: ['--conditions=@countersign/source', '--no-warnings', PROXY, url],
  stderr: 'ignore' as const,
});
const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

describe.each(['streamableHttp', 'sse'] as const)('the real server-everything over %s', (transport) => {
  it('looks the same to a client over stdio, and a denied call does not run', async () => {
    const server = await everythingServer(transport);
    open.push(server);
    const url = new URL(server.url);
    const capabilities = { sampling: {}, roots: {}, elicitation: {} };
    const direct = new Client({ name: 'test', version: '1' }, { capabilities });
    const proxied = new Client({ name: 'test', version: '1' }, { capabilities });
    await direct.connect(transport === 'sse' ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url));
    await proxied.connect(new StdioClientTransport(command(server.url)));
    open.push(direct, proxied);
    expect(proxied.getServerCapabilities()).toEqual(direct.getServerCapabilities());
    expect(proxied.getInstructions()).toEqual(direct.getInstructions());
    expect(await proxied.listTools()).toEqual(await direct.listTools());
    expect(await proxied.listResources()).toEqual(await direct.listResources());
    const sum = { name: 'get-sum', arguments: { a: 2, b: 3 } };
    expect(await proxied.callTool(sum)).toEqual(await direct.callTool(sum));
    const progress: unknown[] = [];
    const slow = { name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } };
    const done = await proxied.callTool(slow, undefined, { onprogress: (each) => progress.push(each) });
    expect(JSON.stringify(done.content)).toContain('completed');
    expect(progress.length).toBeGreaterThan(0);
    expect(await proxied.callTool({ name: 'get-env', arguments: {} })).toMatchObject({
      isError: true,
      _meta: { 'countersign/reasonCode': 'POLICY_DENY_HIGH_RISK' },
    });
  });

  it('asks the client things in the middle of a call', async () => {
    const server = await everythingServer(transport);
    open.push(server);
    const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {} } });
    const { CreateMessageRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
    client.setRequestHandler(CreateMessageRequestSchema, async () => ({
      model: 'm',
      role: 'assistant',
      content: { type: 'text', text: 'from the client' },
    }));
    await client.connect(new StdioClientTransport(command(server.url)));
    open.push(client);
    const result = await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'p', maxTokens: 5 } });
    expect(JSON.stringify(result.content)).toContain('from the client');
  });
});

describe('a server of the stateless protocol', () => {
  async function modernServer(): Promise<string> {
    const handler = toNodeHandler(
      createMcpHandler(({ era }) => {
        const server = new McpServer({ name: 'modern', version: '1' });
        const inputSchema = z.object({ amount: z.number(), region: z.string().meta({ 'x-mcp-header': 'Region' }) });
        server.registerTool('pay', { inputSchema }, async ({ amount, region }) => ({
          content: [{ type: 'text', text: `paid ${amount} in ${region} (${era})` }],
        }));
        server.registerTool('get-env', { inputSchema: z.object({}) }, async () => ({ content: [{ type: 'text', text: 'secret' }] }));
        return server;
      }),
    );
    // Their types and those of node differ in what may be undefined.
    const server = createServer((request, response) => void handler(request as Parameters<typeof handler>[0], response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({
      close: async () => {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        await closed;
      },
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  }

  it.each([
    ['auto', { mode: 'auto' }, 'modern'],
    ['pinned', { mode: { pin: '2026-07-28' } }, 'modern'],
    ['of the era before', { mode: 'legacy' }, 'legacy'],
  ] as const)('is reached by the v2 client (%s)', async (_what, versionNegotiation, era) => {
    const url = await modernServer();
    const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation });
    await client.connect(new ModernStdio(command(url)));
    open.push(client);
    expect(client.getProtocolEra()).toBe(era);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['pay', 'get-env']);
    // The server compares the header with the argument.
    expect(await client.callTool({ name: 'pay', arguments: { amount: 5, region: 'süd' } })).toMatchObject({
      content: [{ text: `paid 5 in süd (${era})` }],
    });
    expect(await client.callTool({ name: 'get-env', arguments: {} })).toMatchObject({ isError: true });
  });

  it('the v2 client falls back to the era before, in front of a server that only knows that', async () => {
    const server = await everythingServer('streamableHttp');
    open.push(server);
    const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new ModernStdio(command(server.url)));
    open.push(client);
    expect(client.getProtocolEra()).toBe('legacy');
    expect(await client.callTool({ name: 'get-sum', arguments: { a: 2, b: 3 } })).toMatchObject({ content: [{ type: 'text' }] });
  });
});
