import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { watchedFiles } from '../../src/file-watch.ts';
import type { ApprovalEvent, Guard } from '../../src/index.ts';
import { type ApprovalView, followApprovals } from '../../src/sqlite/index.ts';
import { guardOn, inlineConnection, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const BOB = { id: 'bob', method: 'host' } as const;

/** Follows in the background; what comes is collected. */
function following(path: string) {
  const stop = new AbortController();
  const events: ApprovalEvent<ApprovalView>[] = [];
  const done = (async (): Promise<unknown> => {
    try {
      for await (const event of followApprovals(path, { signal: stop.signal })) events.push(event);
      return 'ended';
    } catch (error) {
      return error;
    }
  })();
  onTestFinished(() => stop.abort());
  const told = (): readonly string[] =>
    events.map(({ approval, ...event }) => {
      const what = event.kind === 'answered' ? event.answer.answer : event.kind === 'settled' ? approval.state : event.kind;
      return `${(approval.shown as { readonly n?: number } | undefined)?.n ?? '?'} ${what}`;
    });
  const becomes = (wanted: readonly string[]): Promise<void> => vi.waitFor(() => expect(told()).toEqual(wanted), { timeout: 20_000 });
  return { events, done, becomes, stop: () => stop.abort() };
}

async function ask(guard: Guard, n: number): Promise<string> {
  const asked = await guard.authorize({ tool: { name: 'ask' }, args: { n }, id: `call-${n}` }, { approval: 'suspend' });
  if (asked.kind !== 'pending') throw new Error(asked.kind);
  return asked.approvalId;
}

function opened(options: Parameters<typeof guardOn>[1] = {}) {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path, { writer: 'inline' });
  return { path, store, guard: guardOn(store, options) };
}

describe('followApprovals', () => {
  it('tells what waits, then asks, answers, states and uses as they come', async () => {
    const { path, store, guard } = opened();
    const first = await ask(guard, 1);
    const used = await ask(guard, 2);
    await guard.approvals.resolve(used, { decision: 'approve' }, BOB);
    const followed = following(path);
    await followed.becomes(['1 asked']);
    const third = await ask(guard, 3);
    await followed.becomes(['1 asked', '3 asked']);
    await guard.approvals.resolve(third, { decision: 'deny' }, BOB);
    await followed.becomes(['1 asked', '3 asked', '3 deny', '3 denied']);
    expect((await guard.authorize({ tool: { name: 'ask' }, args: { n: 2 }, id: 'call-2' })).kind).toBe('permit');
    await followed.becomes(['1 asked', '3 asked', '3 deny', '3 denied', '2 consumed']);
    await guard.approvals.resolve(first, { decision: 'approve' }, BOB);
    await followed.becomes(['1 asked', '3 asked', '3 deny', '3 denied', '2 consumed', '1 approve', '1 approved']);
    expect(followed.events.every(({ approval }) => approval.mismatches.length === 0)).toBe(true);
    followed.stop();
    expect(await followed.done).toBe('ended');
    expect(watchedFiles()).toEqual([]);
    await store.close();
  });

  it('tells of what no entry is written about: time ran out, nobody could be asked', async () => {
    const { path, store, guard } = opened();
    const followed = following(path);
    await ask(guardOn(store, { approvals: { ttlMs: 300 } }), 1);
    await followed.becomes(['1 asked', '1 expired']);
    const failed = await ask(guard, 2);
    await followed.becomes(['1 asked', '1 expired', '2 asked']);
    await store.commit({ kind: 'lapse', approval: failed, state: 'failed' });
    // The rows are looked at with the next change, once a second at most.
    await vi.waitFor(
      async () => {
        await store.commit({ kind: 'record', body: { kind: 'note', topic: 'test', data: 1 } });
        expect(followed.events).toHaveLength(4);
      },
      { timeout: 20_000, interval: 200 },
    );
    await followed.becomes(['1 asked', '1 expired', '2 asked', '2 failed']);
    await store.close();
  });

  it('misses nothing of a burst, and tells each once', async () => {
    const { path, store, guard } = opened();
    const followed = following(path);
    const ids = await Promise.all(Array.from({ length: 300 }, (_, n) => ask(guard, n)));
    await Promise.all(ids.map((id) => guard.approvals.resolve(id, { decision: 'approve' }, BOB)));
    await vi.waitFor(() => expect(followed.events).toHaveLength(900), { timeout: 20_000 });
    for (const kind of ['asked', 'answered', 'settled']) {
      const of = followed.events.filter((event) => event.kind === kind).map(({ approval }) => approval.id);
      expect(new Set(of)).toEqual(new Set(ids));
    }
    await store.close();
  });

  it('goes on after a checkpoint of the file, and holds none up', async () => {
    const { path, store, guard } = opened();
    const followed = following(path);
    await ask(guard, 1);
    await followed.becomes(['1 asked']);
    const [checkpoint] = inlineConnection(store).database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
    expect(checkpoint?.busy).toBe(0);
    await ask(guard, 2);
    await followed.becomes(['1 asked', '2 asked']);
    await store.close();
  });

  it('ends with a word when another file takes the place of the ledger', async () => {
    const { path, store, guard } = opened();
    await ask(guard, 1);
    const followed = following(path);
    await followed.becomes(['1 asked']);
    copyFileSync(path, `${path}.other`);
    renameSync(`${path}.other`, path);
    expect(await followed.done).toMatchObject({ code: 'LEDGER_REPLACED' });
    expect(watchedFiles()).toEqual([]);
    await store.close().catch(() => {});
  });

  it.each([
    ['is not there', () => join(tempDirectory(), 'none.db'), 'LEDGER_NOT_FOUND'],
    [
      'is no ledger',
      () => {
        const path = join(tempDirectory(), 'text.db');
        writeFileSync(path, 'just text, and more than a header would need to be read as one'.repeat(20));
        return path;
      },
      'LEDGER_UNREADABLE',
    ],
  ])('a file that %s is an error of its own', async (_how, make, code) => {
    expect(await following(make()).done).toMatchObject({ code });
    expect(watchedFiles()).toEqual([]);
  });

  it('writes no byte, and leaves no file beside a closed ledger', async () => {
    const { path, store, guard } = opened();
    await ask(guard, 1);
    await guard.close();
    await store.close();
    const before = readFileSync(path);
    const followed = following(path);
    await followed.becomes(['1 asked']);
    followed.stop();
    await followed.done;
    expect(readFileSync(path).equals(before)).toBe(true);
    expect([existsSync(`${path}-wal`), existsSync(`${path}-shm`)]).toEqual([false, false]);
  });

  it('says where a row differs from its entry', async () => {
    const { path, store, guard } = opened();
    await ask(guard, 1);
    const other = new Sqlite(path);
    other.exec(`UPDATE approvals SET tool = 'harmless'`);
    other.close();
    const followed = following(path);
    await vi.waitFor(() => expect(followed.events[0]?.approval.mismatches).toEqual(['tool']), 20_000);
    await store.close();
  });
});
