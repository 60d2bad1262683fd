/**
 * Run by `mcp-http.ts`, tells its URL: an MCP server with one tool over Streamable HTTP, with sessions; or the proxy before one,
 * its decisions kept in memory.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGuard } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { startHttpProxy } from '@countersign/mcp-proxy';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { echoServer } from './mcp-echo.ts';
import { ECHO_POLICY, ECHO_SERVER } from './mcp-fixtures.ts';

const [upstream] = process.argv.slice(2);
process.send?.(upstream === undefined ? await serve() : await proxy(upstream));
process.once('disconnect', () => process.exit(0));

async function serve(): Promise<string> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const server = createServer((request, response) => {
    void (async () => {
      const known = sessions.get(String(request.headers['mcp-session-id']));
      const transport = known ?? newSession(sessions);
      if (known === undefined) await echoServer().connect(transport);
      await transport.handleRequest(request, response);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

function newSession(sessions: Map<string, StreamableHTTPServerTransport>): StreamableHTTPServerTransport {
  const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
  });
  return transport;
}

async function proxy(url: string): Promise<string> {
  const guard = createGuard({ agent: 'bench', policy: ECHO_POLICY, store: memoryStore() });
  return (await startHttpProxy({ url, server: ECHO_SERVER, guard: async () => guard, port: 0, log: () => {} })).url;
}
