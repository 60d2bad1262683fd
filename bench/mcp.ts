/**
 * What the proxy costs a client over stdio: the SDK's client calls the same server directly and through the proxy, one call
 * here, one call there, each of them first in turn. What stands between is a process, two pipes, the decision and its record.
 *
 * On a signed ledger a call waits for its decision to be durable. What that adds is told in raw durable commits, one of
 * which is made with each pair of calls.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { atLeast, atMost, type Claim, type Measured, printed } from './figure.ts';
import { freshPath, rawTable } from './fixtures.ts';
import { nodeScript, UPSTREAM } from './mcp-fixtures.ts';
import { median } from './measure.ts';

const PAIRS = 2000;
const WARM_UP_PAIRS = 200;
const AT_ONCE = 64;
const ROUNDS = 40;
const WARM_UP_ROUNDS = 5;

const over = 'MCP over stdio, memory store: a call through the proxy / the call without it, p50';
const overAt = (percent: number): string => `MCP over stdio, memory store: a call through the proxy / the call without it, p${percent}`;
const durable = 'MCP over stdio, signed ledger: what the proxy adds to a call, p50 / raw durable commits';
const crowd = `MCP over stdio, memory store: ${AT_ONCE} calls at once, throughput through the proxy / without it`;

export const mcpClaims: readonly Claim[] = [
  { name: over, measure: async () => atMost(over, quantileRatio(await onMemory(), 0.5), 1.7) },
  ...[95, 99].map((percent): Claim => {
    const name = overAt(percent);
    return { name, measure: async () => printed(name, quantileRatio(await onMemory(), percent / 100)) };
  }),
  { name: durable, measure: durablyAdded },
  { name: crowd, measure: async () => atLeast(crowd, await crowdRatio(), 0.7) },
];

interface Times {
  readonly directMs: readonly number[];
  readonly proxiedMs: readonly number[];
  /** One raw durable commit beside each pair. */
  readonly commitMs: readonly number[];
}

let memoryTimes: Promise<Times> | undefined;

/** One run serves the three quantiles. */
function onMemory(): Promise<Times> {
  memoryTimes ??= withClients(['memory'], (direct, proxied) => interleaved(direct, proxied, () => {}));
  return memoryTimes;
}

async function durablyAdded(): Promise<Measured> {
  const raw = rawTable();
  const body = 'x'.repeat(1200);
  const times = await withClients(['sqlite', freshPath('mcp.db')], (direct, proxied) =>
    interleaved(direct, proxied, () => raw.insert(body)),
  );
  raw.database.close();
  const added = median(times.proxiedMs) - median(times.directMs);
  return atMost(durable, added / median(times.commitMs), 1.5);
}

async function interleaved(direct: Client, proxied: Client, commit: () => void): Promise<Times> {
  const [directMs, proxiedMs, commitMs]: number[][] = [[], [], []] as number[][] as [number[], number[], number[]];
  for (let i = -WARM_UP_PAIRS; i < PAIRS; i++) {
    const order = i % 2 === 0 ? ([direct, proxied] as const) : ([proxied, direct] as const);
    const first = await timed(() => echo(order[0]));
    const second = await timed(() => echo(order[1]));
    const committed = await timed(async () => commit());
    if (i < 0) continue;
    directMs?.push(i % 2 === 0 ? first : second);
    proxiedMs?.push(i % 2 === 0 ? second : first);
    commitMs?.push(committed);
  }
  return { directMs: directMs ?? [], proxiedMs: proxiedMs ?? [], commitMs: commitMs ?? [] };
}

async function crowdRatio(): Promise<number> {
  return withClients(['memory'], async (direct, proxied) => {
    const ratios: number[] = [];
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
      const order = round % 2 === 0 ? ([direct, proxied] as const) : ([proxied, direct] as const);
      const first = await timed(() => atOnce(order[0]));
      const second = await timed(() => atOnce(order[1]));
      const [directMs, proxiedMs] = round % 2 === 0 ? [first, second] : [second, first];
      if (round >= 0) ratios.push(directMs / proxiedMs);
    }
    return median(ratios);
  });
}

async function atOnce(client: Client): Promise<void> {
  await Promise.all(Array.from({ length: AT_ONCE }, () => echo(client)));
}

async function echo(client: Client): Promise<void> {
  const { isError } = await client.callTool({ name: 'echo', arguments: { text: 'hello from the bench' } });
  if (isError === true) throw new Error('the bench call was refused');
}

async function withClients<T>(proxyArgs: readonly string[], use: (direct: Client, proxied: Client) => Promise<T>): Promise<T> {
  const direct = await connect(UPSTREAM);
  const proxied = await connect(nodeScript('./mcp-proxy-child.ts', ...proxyArgs));
  try {
    return await use(direct, proxied);
  } finally {
    await Promise.all([direct.close(), proxied.close()]);
  }
}

async function connect(server: { readonly command: string; readonly args: string[] }): Promise<Client> {
  const client = new Client({ name: 'bench', version: '1.0.0' });
  await client.connect(new StdioClientTransport({ ...server, stderr: 'ignore' }));
  return client;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function quantileRatio({ directMs, proxiedMs }: Times, quantile: number): number {
  return quantileOf(proxiedMs, quantile) / quantileOf(directMs, quantile);
}

function quantileOf(values: readonly number[], quantile: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? Number.NaN;
}
