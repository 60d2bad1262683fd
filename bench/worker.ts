/**
 * What a crowd of callers does to the event loop: 512 loops append decisions, unsigned, to a store that writes on this
 * thread and to one that writes on a thread of its own, in turn. Compared is the 99th percentile of the loop's delay while
 * each of them worked (`monitorEventLoopDelay`, resolution 1 ms); the figure is the median of the rounds' ratios.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { SqliteStore } from '@countersign/core/sqlite';
import { decideUnit } from './calls.ts';
import { atMost, type Claim } from './figure.ts';
import { benchStore, freshPath } from './fixtures.ts';
import { median } from './measure.ts';

const CALLERS = 512;
const APPENDS = 12;
const ROUNDS = 7;
const name = '512 callers, worker writer / inline writer, event loop delay p99';

export const workerClaims: readonly Claim[] = [{ name, measure: async () => atMost(name, await delayRatio(), 0.5) }];

async function delayRatio(): Promise<number> {
  const inline = benchStore('none');
  const worker = benchStore('none', freshPath('ledger.db'), 'worker');
  const ratios: number[] = [];
  for (let round = -2; round < ROUNDS; round++) {
    globalThis.gc?.();
    const inlineNs = await delayDuring(inline);
    globalThis.gc?.();
    const workerNs = await delayDuring(worker);
    if (round >= 0) ratios.push(workerNs / inlineNs);
  }
  await inline.close();
  await worker.close();
  return median(ratios);
}

async function delayDuring(store: SqliteStore): Promise<number> {
  const caller = async (): Promise<void> => {
    for (let i = 0; i < APPENDS; i++) await store.commit(decideUnit());
  };
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await Promise.all(Array.from({ length: CALLERS }, caller));
  delay.disable();
  return delay.percentile(99);
}
