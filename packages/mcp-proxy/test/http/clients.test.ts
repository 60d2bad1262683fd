/** The clients of both SDKs before servers of both, through the proxy and without it. */

import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createMcpHandler, McpServer as McpServerV2 } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type HttpProxy, startHttpProxy } from '../../src/http/http-proxy.ts';
import { FakeGuard } from '../fake-guard.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

const ran: string[] = [];

/** A server of the first SDK, with sessions. */
function serverV1(): Promise<string> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  return listening(
    createServer((request, response) => {
      const known = sessions.get(String(request.headers['mcp-session-id']));
      if (known !== undefined) return void known.handleRequest(request, response);
      const server = new McpServer({ name: 'v1', version: '1' }, { capabilities: { logging: {} } });
      for (const name of ['echo', 'denied'])
        server.registerTool(name, { inputSchema: { text: z.string() } }, async ({ text }, extra) => {
          ran.push(name);
          await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data: text } });
          return { content: [{ type: 'text', text: `v1 ${text}` }] };
        });
      const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        onsessioninitialized: (id) => void sessions.set(id, transport),
      });
      void server.connect(transport as never).then(() => transport.handleRequest(request, response));
    }),
  );
}

/** A server of the second SDK: 2026-07-28, and clients of 2025 without sessions. */
function serverV2(): Promise<string> {
  const handler = createMcpHandler(() => {
    const server = new McpServerV2({ name: 'v2', version: '1' });
    for (const name of ['echo', 'denied'])
      server.registerTool(name, { inputSchema: z.object({ text: z.string() }) }, async ({ text }) => {
        ran.push(name);
        return { content: [{ type: 'text', text: `v2 ${text}` }] };
      });
    return server;
  });
  const serve = toNodeHandler(handler);
  return listening(
    createServer(
      (
        request,
        response, // Its types ask for members that may be undefined in ours.
      ) => void serve(request as never, response),
    ),
  );
}

async function proxied(url: string, guard = new FakeGuard()): Promise<{ readonly proxy: HttpProxy; readonly guard: FakeGuard }> {
  const proxy = await startHttpProxy({ guard: async () => guard, server: 'web', url, port: 0, log: () => {}, mcp: { listing: 'show' } });
  open.push(() => proxy.close());
  return { proxy, guard };
}

interface AnyClient {
  listTools(): Promise<unknown>;
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  getServerVersion(): unknown;
  getServerCapabilities(): unknown;
  close(): Promise<void>;
}

const CLIENTS: Record<string, (url: string) => Promise<AnyClient>> = {
  v1: async (url) => {
    const client = new Client({ name: 't', version: '1' });
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    return client;
  },
  'v2, 2025': async (url) => {
    const client = new ClientV2({ name: 't', version: '1' });
    await client.connect(new TransportV2(new URL(url)));
    return client;
  },
  'v2, auto': async (url) => {
    const client = new ClientV2({ name: 't', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new TransportV2(new URL(url)));
    return client;
  },
  'v2, pinned 2026-07-28': async (url) => {
    const client = new ClientV2({ name: 't', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    await client.connect(new TransportV2(new URL(url)));
    return client;
  },
};

describe.each([
  ['v1', serverV1, ['v1', 'v2, 2025', 'v2, auto']],
  ['v2', serverV2, ['v1', 'v2, 2025', 'v2, auto', 'v2, pinned 2026-07-28']],
] as const)('a server of %s', (_name, start, names) => {
  it.each(names)('is the same through the proxy to a client of %s', async (name) => {
    const url = await start();
    const { proxy, guard } = await proxied(url);
    const connect = CLIENTS[name] as (at: string) => Promise<AnyClient>;
    const [direct, through] = [await connect(url), await connect(proxy.url)];
    open.push(
      () => direct.close(),
      () => through.close(),
    );
    expect(through.getServerVersion()).toEqual(direct.getServerVersion());
    expect(through.getServerCapabilities()).toEqual(direct.getServerCapabilities());
    expect(await through.listTools()).toEqual(await direct.listTools());
    const hello = { name: 'echo', arguments: { text: 'hello' } };
    expect(await through.callTool(hello)).toEqual(await direct.callTool(hello));
    const many = await Promise.all(
      Array.from({ length: 20 }, (_each, i) => through.callTool({ name: 'echo', arguments: { text: `n${i}` } })),
    );
    expect(many.map((each) => JSON.stringify(each).match(/n\d+/)?.[0])).toEqual(many.map((_each, i) => `n${i}`));
    ran.length = 0;
    const denied = await through.callTool({ name: 'denied', arguments: { text: 'x' } });
    expect(denied).toMatchObject({ isError: true, _meta: { 'countersign/reasonCode': 'POLICY_DENY_HIGH_RISK' } });
    expect(ran).toEqual([]);
    expect(guard.outcomes).toHaveLength(21);
    expect(guard.outcomes.every(({ outcome }) => outcome.status === 'success')).toBe(true);
  });
});
