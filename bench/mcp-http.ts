/** What the proxy costs a client over Streamable HTTP: as `mcp.ts`, with server and proxy in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { atMost, type Claim, printed } from './figure.ts';
import { interleaved, quantileRatio, type Times } from './mcp-times.ts';

const CHILD = './mcp-http-child.ts';
const RELAY = './mcp-http-relay-child.ts';

const relayed = 'floor: MCP over HTTP, a call through a process that only passes requests on / the call without it, p50';
const needed = 'floor: MCP over HTTP, a call through a process that does the needed work / the call without it, p50';
const name = (percent: number): string => `MCP over HTTP, memory store: a call through the proxy / the call without it, p${percent}`;

export const mcpHttpClaims: readonly Claim[] = [
  { name: name(50), measure: async () => atMost(name(50), quantileRatio(await measured(), 0.5), 1.4) },
  ...[95, 99].map((percent): Claim => {
    return { name: name(percent), measure: async () => printed(name(percent), quantileRatio(await measured(), percent / 100)) };
  }),
  { name: relayed, measure: async () => printed(relayed, quantileRatio(await measure(RELAY), 0.5)) },
  { name: needed, measure: async () => printed(needed, quantileRatio(await measure(RELAY, 'needed'), 0.5)) },
];

let times: Promise<Times> | undefined;

function measured(): Promise<Times> {
  times ??= measure(CHILD);
  return times;
}

async function measure(between: string, ...kind: string[]): Promise<Times> {
  const server = await start(CHILD);
  const proxy = await start(between, server.url, ...kind);
  const [direct, proxied] = [await connect(server.url), await connect(proxy.url)];
  try {
    return await interleaved(direct, proxied);
  } finally {
    await Promise.all([direct.close(), proxied.close()]);
    for (const { child } of [proxy, server]) child.disconnect();
  }
}

async function start(script: string, ...args: string[]): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = fork(file, args, { execArgv: ['--conditions=@countersign/source', '--no-warnings'] });
  const [url] = (await once(child, 'message')) as [string];
  return { url, child };
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ name: 'bench', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return client;
}
