/** Waiting for answers that other processes give. */
import { type ChildProcess, fork } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { watchedFiles } from '../../src/file-watch.ts';
import type { CountersignError, Guard } from '../../src/index.ts';
import { ApprovalWaiters } from '../../src/sqlite/approval-waiters.ts';
import type { SqliteStore } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const ANSWERING = new URL('../fixtures/answering-process.ts', import.meta.url);

interface Fake {
  readonly settled: Set<string>;
  readonly queries: (readonly string[])[];
  /** Ids of approvals that entries answer, one an entry. */
  readonly entries: string[];
  version: number;
  fault: Error | undefined;
}

function fake(): Fake & { readonly waiters: ApprovalWaiters; readonly errors: CountersignError[]; readonly live: () => number } {
  const errors: CountersignError[] = [];
  const state: Fake = { settled: new Set(), queries: [], entries: [], version: 1, fault: undefined };
  let watches = 0;
  const check = (): void => {
    if (state.fault !== undefined) throw state.fault;
  };
  const waiters = new ApprovalWaiters(
    {
      isPending: (id) => (check(), !state.settled.has(id)),
      settledAmong: (ids) => (check(), state.queries.push(ids), ids.filter((id) => state.settled.has(id))),
      answeredSince: (from) => (check(), state.entries.slice(from)),
      size: () => (check(), state.entries.length),
      version: () => (check(), { connection: 1, version: state.version }),
    },
    {
      file: '/ledger.db-wal',
      onError: (error) => errors.push(error),
      watch: () => {
        watches++;
        return () => watches--;
      },
    },
  );
  return Object.assign(state, { waiters, errors, live: () => watches });
}

afterEach(() => {
  vi.useRealTimers();
});

describe('ApprovalWaiters', () => {
  const never = new AbortController().signal;

  it('asks one question for a thousand waiters, and only when the version moved', async () => {
    vi.useFakeTimers();
    const it = fake();
    const settled: string[] = [];
    for (let i = 0; i < 1000; i++) void it.waiters.settled(`a${i}`, never).then(() => settled.push(`a${i}`));
    await vi.advanceTimersByTimeAsync(5000);
    expect(it.queries).toHaveLength(0);
    it.settled.add('a3').add('a999');
    it.entries.push('a3', 'of nobody here', 'a999', 'a4', 'a3');
    it.version++;
    await vi.advanceTimersByTimeAsync(200);
    // The first look after 5 seconds is at all of them.
    expect(it.queries.map((ids) => ids.length)).toEqual([1000]);
    expect(settled).toEqual(['a3', 'a999']);

    it.settled.add('a5');
    it.entries.push('a5', 'of nobody here', 'a6');
    it.version++;
    await vi.advanceTimersByTimeAsync(300);
    expect(it.queries.slice(1)).toEqual([['a5', 'a6']]);
    expect(settled).toEqual(['a3', 'a999', 'a5']);

    it.entries.push('of nobody here');
    it.version++;
    await vi.advanceTimersByTimeAsync(300);
    expect(it.queries).toHaveLength(2);
    it.waiters.close();
    await vi.advanceTimersByTimeAsync(0);
    expect(settled).toHaveLength(1000);
    expect([vi.getTimerCount(), it.live()]).toEqual([0, 0]);
  });

  it('an approval that lapsed in another process, without an entry, is found within seconds', async () => {
    vi.useFakeTimers();
    const it = fake();
    const woken = vi.fn<() => void>();
    void it.waiters.settled('x', never).then(woken);
    it.settled.add('x');
    it.version++;
    await vi.advanceTimersByTimeAsync(1000);
    expect(woken).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(4500);
    expect(woken).toHaveBeenCalledOnce();
    expect(it.queries).toEqual([['x']]);
    expect([vi.getTimerCount(), it.live()]).toEqual([0, 0]);
  });

  it('more new entries than are worth reading, or fewer than there were: the rows of all are looked at', async () => {
    vi.useFakeTimers();
    const it = fake();
    const woken = vi.fn<() => void>();
    void it.waiters.settled('x', never).then(woken);
    void it.waiters.settled('y', never);
    it.entries.push(...Array.from({ length: 5000 }, () => 'of nobody here'));
    it.version++;
    await vi.advanceTimersByTimeAsync(300);
    expect(it.queries).toEqual([['x', 'y']]);
    it.entries.length = 10;
    it.settled.add('x');
    it.version++;
    await vi.advanceTimersByTimeAsync(300);
    expect(woken).toHaveBeenCalledOnce();
    it.waiters.close();
  });

  it('leaves nothing behind when a waiter is answered, gives up, or never had to wait', async () => {
    vi.useFakeTimers();
    const it = fake();
    const stop = new AbortController();
    it.settled.add('done');
    await it.waiters.settled('done', stop.signal);
    expect([vi.getTimerCount(), it.live()]).toEqual([0, 0]);

    const [one, other] = [it.waiters.settled('x', stop.signal), it.waiters.settled('x', never)];
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
    stop.abort();
    await one;
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(1);
    it.settled.add('x');
    it.waiters.wake('x');
    await other;
    expect([vi.getTimerCount(), it.live()]).toEqual([0, 0]);

    await it.waiters.settled('late', AbortSignal.abort());
    expect([vi.getTimerCount(), it.live()]).toEqual([0, 0]);
  });

  it('a broken connection wakes everybody, a locked one nobody', async () => {
    vi.useFakeTimers();
    const it = fake();
    const woken = vi.fn<() => void>();
    void it.waiters.settled('x', never).then(woken);
    it.fault = Object.assign(new Error('locked'), { code: 'SQLITE_BUSY_RECOVERY' });
    await vi.advanceTimersByTimeAsync(3000);
    it.waiters.wake('x');
    await vi.advanceTimersByTimeAsync(0);
    expect(woken).not.toHaveBeenCalled();
    it.fault = Object.assign(new Error('gone'), { code: 'SQLITE_IOERR' });
    await vi.advanceTimersByTimeAsync(3000);
    expect(woken).toHaveBeenCalledOnce();
    expect([vi.getTimerCount(), it.live()]).toEqual([0, 0]);
  });

  it('an approval that is looked up while the file is locked is found with the next look', async () => {
    vi.useFakeTimers();
    const it = fake();
    it.fault = Object.assign(new Error('locked'), { code: 'SQLITE_BUSY' });
    it.settled.add('x');
    const waiting = it.waiters.settled('x', never);
    it.fault = undefined;
    await vi.advanceTimersByTimeAsync(300);
    await waiting;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe.each(['inline', 'worker', 'auto'] as const)('answers of another process, writer: %s', (writer) => {
  it('reach each of many waiting calls, on two guards that share the store', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path, { writer });
    const guards = [guardOn(store), guardOn(store, { agent: 'second' })];
    const child = await answering(path);
    const waiting = guards.map((guard) => callsOf(guard, 15));
    const ids = await pending(store, 30);
    expect(watchedFiles().length).toBeLessThanOrEqual(1);
    for (const [i, id] of ids.entries()) await order(child, i % 3 === 0 ? { deny: id } : { approve: id });
    const kinds = (await Promise.all(waiting.flat())).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'permit')).toHaveLength(20);
    expect(kinds.filter((kind) => kind === 'refusal')).toHaveLength(10);
    expect(watchedFiles()).toEqual([]);
    await ended(child);
    for (const guard of guards) await guard.close();
    await store.close();
  });

  it('are found among commits that have nothing to do with them', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path, { writer });
    const guard = guardOn(store);
    const child = await answering(path);
    const [waiting] = callsOf(guard, 1);
    const [id = ''] = await pending(store, 1);
    const noise = order(child, { note: 200 });
    await guard.run({ tool: { name: 'read' }, args: {} }, () => 1);
    await noise;
    await order(child, { approve: id });
    expect(await waiting).toMatchObject({ kind: 'permit' });
    await ended(child);
    await guard.close();
    await store.close();
  });
});

it('a thousand waiting calls cost one watch, and giving up costs nothing more', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store);
  const stop = new AbortController();
  const waiting = callsOf(guard, 1000, stop.signal);
  await pending(store, 1000);
  await vi.waitFor(() => expect(watchedFiles()).toEqual([`${path}-wal`]), 20_000);
  stop.abort();
  const codes = (await Promise.all(waiting)).map((answer) => answer.decision.reasonCode);
  expect(new Set(codes)).toEqual(new Set(['CALL_CANCELLED']));
  expect(watchedFiles()).toEqual([]);
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  await guard.close();
  await store.close();
});

it('expiry releases everything', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store, { approvals: { ttlMs: 50 } });
  const [answer] = await Promise.all(callsOf(guard, 20));
  expect(answer).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'APPROVAL_EXPIRED' } });
  expect(watchedFiles()).toEqual([]);
  await guard.close();
  await store.close();
});

it('a replaced file gives no answer: the call is refused', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const errors: unknown[] = [];
  const guard = guardOn(store, { approvals: { ttlMs: 5_000 }, onError: (error) => errors.push(error) });
  const [waiting] = callsOf(guard, 1);
  const [id = ''] = await pending(store, 1);
  // A copy in which the answer is "yes" takes the ledger's place.
  for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, `${path}.copy${suffix}`);
  const other = openLedger(`${path}.copy`);
  await guardOn(other).approvals.resolve(id, { decision: 'approve' }, { id: 'eve', method: 'host' });
  await other.close();
  renameSync(`${path}.copy`, path);
  expect(await waiting).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'LEDGER_WRITE_FAILED_DECISION' } });
  expect(errors).toContainEqual(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
  expect(watchedFiles()).toEqual([]);
  await store.close();
});

it('waiting keeps a process alive, and what is left open afterwards does not', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  await openLedger(path).close();
  const child = await answering(path);
  const gone = once(child, 'exit');
  child.send({ wait: 400 });
  expect((await gone)[0]).toBe(3);
});

function callsOf(guard: Guard, count: number, signal?: AbortSignal): readonly ReturnType<Guard['authorize']>[] {
  return Array.from({ length: count }, (_, i) =>
    guard.authorize({ tool: { name: 'ask' }, args: { i } }, { ...(signal !== undefined && { signal }) }),
  );
}

async function pending(store: SqliteStore, count: number): Promise<readonly string[]> {
  await vi.waitFor(async () => expect((await store.approvalCounts()).pending).toBe(count), { timeout: 30_000 });
  return (await store.approvals({ state: 'pending', limit: count })).map(({ id }) => id);
}

async function answering(path: string): Promise<ChildProcess> {
  const child = fork(ANSWERING, [path, Buffer.from(LEDGER_PEM).toString('base64')], {
    execArgv: ['--conditions=@countersign/source', '--no-warnings'],
  });
  expect((await once(child, 'message'))[0]).toBe('ready');
  return child;
}

async function order(child: ChildProcess, what: { approve: string } | { deny: string } | { note: number }): Promise<void> {
  const done = once(child, 'message');
  child.send(what);
  await done;
}

async function ended(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.disconnect();
  await gone;
}
