/**
 * What the proxy costs a client over stdio: the SDK's client calls the same server directly and through the proxy, one call
 * here, one call there, each of them first in turn. What stands between is a process, two pipes, the decision and its record.
 *
 * On a signed ledger a call waits for its decision to be durable. What that adds is told in raw durable commits, one of
 * which is made with each pair of calls.
 */
import { readFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { atLeast, atMost, type Claim, type Measured, printed } from './figure.ts';
import { freshPath, rawTable } from './fixtures.ts';
import { nodeScript, UPSTREAM } from './mcp-fixtures.ts';
import { echo, interleaved, quantileRatio, type Times, timed } from './mcp-times.ts';
import { median } from './measure.ts';

const AT_ONCE = 64;
const ROUNDS = 40;
const WARM_UP_ROUNDS = 5;

const over = 'MCP over stdio, memory store: a call through the proxy / the call without it, p50';
const overAt = (percent: number): string => `MCP over stdio, memory store: a call through the proxy / the call without it, p${percent}`;
const relayed = 'floor: MCP over stdio, a call through a process that only copies bytes / the call without it, p50';
const needed = 'floor: MCP over stdio, a call through a process that copies bytes and does the needed work / the call without it, p50';
const relayedCrowd = `floor: MCP over stdio, ${AT_ONCE} calls at once, throughput through a process that only copies bytes / without it`;
const neededCrowd = `floor: MCP over stdio, ${AT_ONCE} calls at once, throughput through a process that does the needed work / without it`;
const neededDurable = 'floor: MCP over stdio, what a process with the needed work, its rows and signature adds, p50 / raw durable commits';
const durable = 'MCP over stdio, signed ledger: what the proxy adds to a call, p50 / raw durable commits';
const crowd = `MCP over stdio, memory store: ${AT_ONCE} calls at once, throughput through the proxy / without it`;

const flat = 'MCP over stdio, signed ledger: memory of the proxy after 200,000 more calls / after its first 100,000';

export const mcpClaims: readonly Claim[] = [
  { name: over, measure: async () => atMost(over, quantileRatio(await onMemory(), 0.5), 1.7) },
  ...[95, 99].map((percent): Claim => {
    const name = overAt(percent);
    return { name, measure: async () => printed(name, quantileRatio(await onMemory(), percent / 100)) };
  }),
  { name: relayed, measure: async () => printed(relayed, quantileRatio(await withClients(relay(), interleaved), 0.5)) },
  { name: needed, measure: async () => printed(needed, quantileRatio(await withClients(relay('needed'), interleaved), 0.5)) },
  { name: durable, measure: async () => atMost(durable, await durablyAdded(proxy('sqlite', freshPath('mcp.db'))), 1.5) },
  { name: neededDurable, measure: async () => printed(neededDurable, await durablyAdded(relay('needed', freshPath('mcp.db')))) },
  { name: crowd, measure: async () => atLeast(crowd, await withClients(proxy('memory'), crowdRatio), 0.7) },
  { name: relayedCrowd, measure: async () => printed(relayedCrowd, await withClients(relay(), crowdRatio)) },
  { name: neededCrowd, measure: async () => printed(neededCrowd, await withClients(relay('needed'), crowdRatio)) },
  { name: flat, measure: memoryGrowth },
];

let memoryTimes: Promise<Times> | undefined;

/** One run serves the three quantiles. */
function onMemory(): Promise<Times> {
  memoryTimes ??= withClients(proxy('memory'), interleaved);
  return memoryTimes;
}

/** @returns in raw durable commits. */
async function durablyAdded(between: Server): Promise<number> {
  const raw = rawTable();
  const body = 'x'.repeat(1200);
  const times = await withClients(between, (direct, proxied) => interleaved(direct, proxied, () => raw.insert(body)));
  raw.database.close();
  return (median(times.proxiedMs) - median(times.directMs)) / median(times.besideMs);
}

async function crowdRatio(direct: Client, proxied: Client): Promise<number> {
  const ratios: number[] = [];
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? ([direct, proxied] as const) : ([proxied, direct] as const);
    const first = await timed(() => atOnce(order[0]));
    const second = await timed(() => atOnce(order[1]));
    const [directMs, proxiedMs] = round % 2 === 0 ? [first, second] : [second, first];
    if (round >= 0) ratios.push(directMs / proxiedMs);
  }
  return median(ratios);
}

const GROWN_CALLS = 200_000;
/** By then V8 has given the young generation all the room it means to: it grew until about 77,000 calls. */
const SETTLED_CALLS = 100_000;
const RSS_SAMPLES = 20;
const MOST_GROWTH = 1.05;

/** Medians of samples taken over the calls before each of the two marks. */
async function memoryGrowth(): Promise<Measured | undefined> {
  if (process.platform !== 'linux') {
    process.stderr.write(`${flat}: not measured, there is no /proc here\n`);
    return undefined;
  }
  const { client, transport } = await open(proxy('sqlite', freshPath('mcp-memory.db')));
  const settled = await rssOver(client, transport, SETTLED_CALLS);
  const grown = await rssOver(client, transport, GROWN_CALLS);
  await client.close();
  return atMost(flat, grown / settled, MOST_GROWTH);
}

/** Makes `calls` calls. @returns RSS during the last fifth of them, KiB. */
async function rssOver(client: Client, { pid }: StdioClientTransport, calls: number): Promise<number> {
  const rounds = Math.ceil(calls / AT_ONCE);
  const every = Math.ceil(rounds / 5 / RSS_SAMPLES);
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await atOnce(client);
    if (round >= (4 * rounds) / 5 && round % every === 0) samples.push(rssKiB(pid));
  }
  return median(samples);
}

function rssKiB(pid: number | null): number {
  const [, text] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(text);
}

async function atOnce(client: Client): Promise<void> {
  await Promise.all(Array.from({ length: AT_ONCE }, () => echo(client)));
}

type Server = typeof UPSTREAM;

function relay(...kind: string[]): Server {
  return nodeScript('./mcp-relay-child.ts', ...kind);
}

function proxy(...kind: string[]): Server {
  return nodeScript('./mcp-proxy-child.ts', ...kind);
}

async function withClients<T>(between: Server, use: (direct: Client, proxied: Client) => Promise<T>): Promise<T> {
  const direct = await connect(UPSTREAM);
  const proxied = await connect(between);
  try {
    return await use(direct, proxied);
  } finally {
    await Promise.all([direct.close(), proxied.close()]);
  }
}

async function connect(server: Server): Promise<Client> {
  return (await open(server)).client;
}

async function open(server: Server): Promise<{ readonly client: Client; readonly transport: StdioClientTransport }> {
  const client = new Client({ name: 'bench', version: '1.0.0' });
  const transport = new StdioClientTransport({ ...server, stderr: 'ignore' });
  await client.connect(transport);
  return { client, transport };
}
