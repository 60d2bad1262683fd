import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { type BatchOutcome, type BatchWriter, GroupCommit } from '../src/group-commit.ts';
import type { Committed, Unit } from '../src/store-units.ts';

afterEach(() => {
  vi.useRealTimers();
});

const unit = (topic: string): Unit => ({ kind: 'record', body: { kind: 'note', topic, data: {} } });
const OUTCOME: Unit = {
  kind: 'outcome',
  body: { kind: 'outcome', agent: 'a', session: 's', call: 'c', decision: { of: 0, leaf: '' }, status: 'success', duration_ms: 1 },
};
const DONE: Committed = { kind: 'recorded' };
const topics = (units: readonly Unit[]): string =>
  units.map((each) => (each.kind === 'record' && each.body.kind === 'note' ? each.body.topic : '?')).join('');

/** Answers each batch with what `answer` says, and remembers what it was asked. */
function writer(
  answer: (units: readonly Unit[], call: number) => BatchOutcome | Promise<BatchOutcome>,
): BatchWriter & { readonly batches: string[] } {
  const batches: string[] = [];
  return {
    batches,
    commitBatch: (units) => {
      batches.push(topics(units));
      return answer(units, batches.length);
    },
    recover: () => {},
  };
}

it('a unit that was to be written alone and found the lock taken waits like any other, and the rest is not written twice', async () => {
  const own = writer((units, call) => (call === 1 ? [DONE, { kind: 'busy' }, DONE] : call < 5 ? 'busy' : units.map(() => DONE)));
  const queue = new GroupCommit(own);
  const answers = await Promise.all(['a', 'b', 'c'].map((topic) => queue.commit(unit(topic))));
  expect(answers).toEqual([DONE, DONE, DONE]);
  expect(own.batches).toEqual(['abc', 'b', 'b', 'b', 'b']);
});

it('a unit that stays locked out is refused at its deadline', async () => {
  const queue = new GroupCommit(
    writer((units) => units.map((each) => (topics([each]) === 'b' ? { kind: 'busy' as const } : DONE))),
    { deadlineMs: 30 },
  );
  const answers = await Promise.allSettled(['a', 'b'].map((topic) => queue.commit(unit(topic))));
  expect(answers).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'LEDGER_BUSY' } }]);
});

it('an outcome is still waiting when the call beside it was refused: nobody can bring it again', async () => {
  let isLocked = true;
  const queue = new GroupCommit(
    writer((units) => (isLocked ? 'busy' : units.map(() => DONE))),
    { deadlineMs: 200 },
  );
  const outcome = queue.commit(OUTCOME, { lazy: true });
  await expect(queue.commit(unit('a'))).rejects.toMatchObject({
    code: 'LEDGER_BUSY',
    message: expect.stringContaining('200 ms') as string,
  });
  isLocked = false;
  expect(await outcome).toEqual(DONE);
});

it('and is lost at its own deadline', async () => {
  const queue = new GroupCommit(
    writer(() => 'busy'),
    { deadlineMs: 5 },
  );
  await expect(queue.commit(OUTCOME)).rejects.toMatchObject({ code: 'LEDGER_BUSY', message: expect.stringContaining('30 ms') as string });
});

it('a writer on a thread has one batch in flight, and who comes meanwhile goes with the next', async () => {
  let inFlight = 0;
  const own = writer(async (units) => {
    expect(++inFlight).toBe(1);
    await sleep(10);
    inFlight--;
    return units.map(() => DONE);
  });
  const queue = new GroupCommit(own);
  const first = queue.commit(unit('a'));
  await sleep(2);
  await Promise.all([first, queue.commit(unit('b')), queue.commit(unit('c'), { lazy: true }), queue.commit(unit('d'))]);
  expect(own.batches).toEqual(['a', 'bcd']);
});

it('closing waits for the batch in flight and for what is queued', async () => {
  const own = writer(async (units) => {
    await sleep(10);
    return units.map(() => DONE);
  });
  const queue = new GroupCommit(own);
  const first = queue.commit(unit('a'));
  await sleep(2);
  const second = queue.commit(unit('b'), { lazy: true });
  await queue.close();
  expect(own.batches).toEqual(['a', 'b']);
  expect(await Promise.all([first, second])).toEqual([DONE, DONE]);
  await expect(queue.commit(unit('c'))).rejects.toMatchObject({ code: 'LEDGER_CLOSED' });
});

it('a batch that fails on its thread fails its callers; recovery is tried once at a time, with back-off', async () => {
  let recoveries = 0;
  let recovers = false;
  vi.useFakeTimers({ toFake: ['performance'] });
  const failing = writer((units, call) => (call === 1 ? Promise.reject(new Error('gone')) : Promise.resolve(units.map(() => DONE))));
  const queue = new GroupCommit({
    commitBatch: (units) => failing.commitBatch(units),
    recover: async () => {
      recoveries++;
      await sleep(10);
      if (!recovers) throw new Error('not yet');
    },
  });
  const refused = await Promise.allSettled(['a', 'b'].map((topic) => queue.commit(unit(topic))));
  expect(refused).toMatchObject([{ reason: { code: 'LEDGER_WRITE_FAILED' } }, { reason: { code: 'LEDGER_WRITE_FAILED' } }]);
  // Within the back-off nobody tries.
  await expect(queue.commit(unit('c'))).rejects.toMatchObject({ code: 'LEDGER_WRITE_FAILED' });
  expect(recoveries).toBe(0);
  vi.advanceTimersByTime(100);
  const reader = Promise.resolve(queue.revive());
  const tries = await Promise.allSettled([reader, queue.commit(unit('d')), queue.commit(unit('e'))]);
  expect(tries.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(recoveries).toBe(1);
  recovers = true;
  vi.advanceTimersByTime(200);
  expect(await queue.commit(unit('f'))).toEqual(DONE);
  expect(recoveries).toBe(2);
  expect(failing.batches).toEqual(['ab', 'f']);
});
