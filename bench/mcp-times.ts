/** Calls of the SDK's client, one directly and one through the proxy, each of them first in turn. */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';

const PAIRS = 2000;
const WARM_UP_PAIRS = 200;

export interface Times {
  readonly directMs: readonly number[];
  readonly proxiedMs: readonly number[];
  /** What was done beside each pair. */
  readonly besideMs: readonly number[];
}

/** @param beside - done and timed after each pair. */
export async function interleaved(direct: Client, proxied: Client, beside: () => void = () => {}): Promise<Times> {
  const directMs: number[] = [];
  const proxiedMs: number[] = [];
  const besideMs: number[] = [];
  for (let i = -WARM_UP_PAIRS; i < PAIRS; i++) {
    const isDirectFirst = i % 2 === 0;
    const first = await timed(() => echo(isDirectFirst ? direct : proxied));
    const second = await timed(() => echo(isDirectFirst ? proxied : direct));
    const done = await timed(async () => beside());
    if (i < 0) continue;
    directMs.push(isDirectFirst ? first : second);
    proxiedMs.push(isDirectFirst ? second : first);
    besideMs.push(done);
  }
  return { directMs, proxiedMs, besideMs };
}

export async function echo(client: Client): Promise<void> {
  const { isError } = await client.callTool({ name: 'echo', arguments: { text: 'hello from the bench' } });
  if (isError === true) throw new Error('the bench call was refused');
}

export async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

export function quantileRatio({ directMs, proxiedMs }: Times, quantile: number): number {
  return quantileOf(proxiedMs, quantile) / quantileOf(directMs, quantile);
}

function quantileOf(values: readonly number[], quantile: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? Number.NaN;
}
