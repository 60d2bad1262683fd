/**
 * Waiting for people: 1,000 calls wait in this process on one ledger, 10,000 more approvals stand in it, and another process
 * answers.
 *
 * Resumption is the time from just before the other process gives its answer (`approvals.resolve`) until the call has its
 * permit here. Both read the same monotonic clock (`process.hrtime`, one per machine). In between lie two durable commits,
 * the answer's there and the decision's here, and the notification. Against it stands what cannot be left out: two raw
 * durable commits and one wake-up of another process (a message there and back over an IPC pipe, halved), measured in turn.
 * What the process uses while everybody waits and nobody answers is its processor time over 10 seconds. The busy figure is
 * the same while the other process commits notes as fast as it can.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createGuard, definePolicy, type Guard } from '@countersign/core';
import { readLedger, type SqliteStore } from '@countersign/core/sqlite';
import { atMost, type Claim, printed } from './figure.ts';
import { benchStore, freshPath, type RawTable, rawTable } from './fixtures.ts';
import { median } from './measure.ts';

const resumes = 'approve in another process -> call resumes, 1,000 waiting, p95';
const overNeeded = 'approve in another process -> call resumes / two raw durable commits and a wake-up, median';
const waitsQuietly = 'processor time of a process in which 1,000 calls wait, of a core';
const waitsBusily = 'the same while another process commits without pause, of a core';
const listsPage = 'list of 100 of 10,000 pending approvals, p95';
const listsInFull = 'list of 100 of 10,000 pending approvals, ledger opened for it, with counts, p95';

const WAITING = 1000;
const PENDING = 10_000;
const ANSWERS = 200;
const PAUSE_MS = 20;
const QUIET_MS = 10_000;
const LISTS = 100;
const DAY_MS = 86_400_000;

export const approvalClaims: readonly Claim[] = [
  { name: resumes, measure: async () => atMost(resumes, percentile(95, (await waited()).resumedMs), 50, 'ms') },
  {
    name: overNeeded,
    async measure() {
      const { resumedMs, neededMs } = await waited();
      return printed(overNeeded, median(resumedMs) / median(neededMs));
    },
  },
  { name: waitsQuietly, measure: async () => atMost(waitsQuietly, 100 * (await waited()).quietShare, 1, '%') },
  { name: waitsBusily, measure: async () => atMost(waitsBusily, 100 * (await waited()).busyShare, 5, '%') },
  { name: listsPage, measure: async () => atMost(listsPage, percentile(95, (await waited()).listedMs), 50, 'ms') },
  { name: listsInFull, measure: async () => atMost(listsInFull, percentile(95, (await waited()).readMs), 50, 'ms') },
];

interface Waited {
  readonly resumedMs: readonly number[];
  readonly neededMs: readonly number[];
  readonly quietShare: number;
  readonly busyShare: number;
  readonly listedMs: readonly number[];
  readonly readMs: readonly number[];
}

let run: Promise<Waited> | undefined;

/** One run serves all figures. */
function waited(): Promise<Waited> {
  run ??= wait();
  return run;
}

async function wait(): Promise<Waited> {
  const path = freshPath('waiting.db');
  const store = benchStore('none', path);
  const policy = definePolicy({ id: 'bench', evaluate: () => ({ effect: 'require_approval', rule: 'ask', terms: { ttlMs: DAY_MS } }) });
  const guard = createGuard({ agent: 'bench', policy, store, approvals: { maxTtlMs: DAY_MS } });
  await suspend(guard, PENDING - WAITING);
  const { listedMs, readMs } = await list(guard, path, WAITING);
  const child = await answering(path);
  const stop = new AbortController();
  const { ids, permits } = await waitForAll(guard, store, stop.signal);

  const quietShare = await processorShare(QUIET_MS);
  const resumedMs: number[] = [];
  const neededMs: number[] = [];
  const raw = rawTable();
  for (const id of ids.slice(0, ANSWERS)) {
    resumedMs.push(await resume(child, id, permits));
    neededMs.push(await needed(child, raw));
    await pause(PAUSE_MS);
  }
  raw.database.close();
  child.send({ noiseMs: QUIET_MS });
  const busyShare = await processorShare(QUIET_MS);
  await once(child, 'message');

  stop.abort();
  child.disconnect();
  await Promise.all([...permits.values()]);
  await guard.close();
  await store.close();
  return { resumedMs, neededMs, quietShare, busyShare, listedMs, readMs };
}

async function suspend(guard: Guard, count: number): Promise<void> {
  const chunk = 500;
  for (let done = 0; done < count; done += chunk) {
    const calls = Array.from({ length: Math.min(chunk, count - done) }, (_, i) =>
      guard.authorize({ tool: { name: 'ask' }, args: { report: done + i, reason: 'quarterly figures' } }, { approval: 'suspend' }),
    );
    await Promise.all(calls);
  }
}

/** Pages from the start, each after the one before. */
async function list(guard: Guard, path: string, toCome: number): Promise<Pick<Waited, 'listedMs' | 'readMs'>> {
  await suspend(guard, toCome);
  const listedMs: number[] = [];
  const readMs: number[] = [];
  let after: string | undefined;
  for (let i = 0; i < LISTS; i++) {
    const filter = { state: 'pending', ...(after !== undefined && { after }) } as const;
    let startedAt = performance.now();
    const page = await guard.approvals.list(filter);
    listedMs.push(performance.now() - startedAt);
    startedAt = performance.now();
    const reader = readLedger(path);
    const views = reader.approvals(filter);
    const counts = reader.approvalCounts(filter);
    reader.close();
    readMs.push(performance.now() - startedAt);
    if (page.length !== 100 || views.length !== 100 || counts.pending !== PENDING) throw new Error('the list is not what it should be');
    if (views.some(({ mismatches }) => mismatches.length > 0)) throw new Error('the views do not agree with the ledger');
    after = i % 99 === 98 ? undefined : page.at(-1)?.id;
  }
  return { listedMs, readMs };
}

/** Calls that wait beside those that stand in the ledger; the permits come with the time they came at. */
async function waitForAll(
  guard: Guard,
  store: SqliteStore,
  signal: AbortSignal,
): Promise<{ readonly ids: readonly string[]; readonly permits: ReadonlyMap<string, Promise<number>> }> {
  const before = (await store.approvalCounts()).pending;
  const last = (await guard.approvals.list({ state: 'pending', limit: before })).at(-1);
  const waiting = Array.from({ length: WAITING }, (_, i) =>
    guard
      .authorize({ tool: { name: 'ask' }, args: { waiting: i } }, { signal })
      .then((answer) => ({ answer, at: process.hrtime.bigint() })),
  );
  while ((await store.approvalCounts()).pending < before + WAITING) await pause(10);
  const rows = await guard.approvals.list({ state: 'pending', limit: WAITING, ...(last !== undefined && { after: last.id }) });
  const numbers = rows.map(({ shown }) => (shown as { readonly waiting: number }).waiting);
  const permits = new Map(
    rows.map(({ id }, i) => [
      id,
      (waiting[numbers[i] as number] as (typeof waiting)[number]).then(({ answer, at }) => asTime(answer.kind, at, signal)),
    ]),
  );
  return { ids: rows.map(({ id }) => id), permits };
}

function asTime(kind: string, at: bigint, signal: AbortSignal): number {
  if (kind !== 'permit' && !signal.aborted) throw new Error(`an approved call became a ${kind}`);
  return Number(at) / 1e6;
}

async function resume(child: ChildProcess, id: string, permits: ReadonlyMap<string, Promise<number>>): Promise<number> {
  const told = once(child, 'message');
  child.send({ approve: id });
  const resumedAt = await permits.get(id);
  const [{ startedAt }] = (await told) as [{ readonly startedAt: number }];
  return (resumedAt as number) - startedAt;
}

async function needed(child: ChildProcess, raw: RawTable): Promise<number> {
  const body = 'x'.repeat(600);
  let startedAt = performance.now();
  raw.insert(body);
  raw.insert(body);
  const commitsMs = performance.now() - startedAt;
  const back = once(child, 'message');
  startedAt = performance.now();
  child.send({ ping: true });
  await back;
  return commitsMs + (performance.now() - startedAt) / 2;
}

async function processorShare(forMs: number): Promise<number> {
  globalThis.gc?.();
  await pause(500);
  const before = process.cpuUsage();
  const startedAt = performance.now();
  await pause(forMs);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / (performance.now() - startedAt);
}

async function answering(path: string): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('./approvals-child.ts', import.meta.url));
  const child = fork(file, [path], { execArgv: ['--conditions=@countersign/source', '--no-warnings'] });
  await once(child, 'message');
  return child;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function percentile(which: number, values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((which / 100) * sorted.length) - 1)] ?? Number.NaN;
}
