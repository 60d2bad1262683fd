/** What is told, what is lost, and when nothing more is taken up. */
import { describe, expect, it } from 'vitest';
import { type Batch, FLUSH_MS, MAX_BATCH, MAX_UNSEEN, MAX_UNSEEN_GRAVE, Outbox } from '../../src/kernel/outbox.ts';
import type { Told } from '../../src/kernel/supervisor-protocol.ts';

const ONE: Told = { observation: { at: 1, sensor: 'seccomp', phase: 'before', action: { kind: 'read', path: '/x' } } };

function outboxOf() {
  const state = { now: 1_000, seen: 0, said: [] as Batch[] };
  const outbox = new Outbox(
    (message) => void state.said.push(message),
    () => state.seen,
    () => state.now,
  );
  const tell = (count: number, isSafe: boolean): void => {
    for (let i = 0; i < count; i++) outbox.tell(ONE, isSafe);
  };
  return { state, outbox, tell };
}

describe('what the main thread is to be told', () => {
  it('nothing, when there is nothing', () => {
    const { state, outbox } = outboxOf();
    outbox.flush();
    expect([outbox.isEmpty, outbox.isFull, outbox.isDue, state.said]).toEqual([true, false, false, []]);
  });

  it('waits for others of its kind, but not for long', () => {
    const { state, outbox, tell } = outboxOf();
    tell(MAX_BATCH - 1, true);
    expect(outbox.isDue).toBe(false);
    tell(1, true);
    expect(outbox.isDue).toBe(true);
    outbox.flush();
    outbox.count();
    state.now += FLUSH_MS - 1;
    expect(outbox.isDue).toBe(false);
    state.now += 1;
    expect(outbox.isDue).toBe(true);
    outbox.flush();
    expect(state.said.map(({ told, lost, counted }) => [told.length, lost, counted])).toEqual([
      [MAX_BATCH, 0, 0],
      [0, 0, 1],
    ]);
  });

  it('safe ones are lost and counted while it does not keep up, and none after that', () => {
    const { state, outbox, tell } = outboxOf();
    tell(MAX_UNSEEN + 3, true);
    outbox.flush();
    state.seen = 1;
    tell(1, true);
    tell(2, true);
    outbox.flush();
    expect(state.said.map(({ told, lost }) => [told.length, lost])).toEqual([
      [MAX_UNSEEN, 3],
      [1, 2],
    ]);
  });

  it('what is not safe is never lost: with too much of it nothing more is taken up, until that is looked at', () => {
    const { state, outbox, tell } = outboxOf();
    tell(MAX_UNSEEN_GRAVE - 1, false);
    expect(outbox.isFull).toBe(false);
    tell(1, false);
    expect(outbox.isFull).toBe(true);
    tell(1, false);
    outbox.flush();
    expect(outbox.isFull).toBe(true);
    expect(state.said.map(({ told, lost }) => [told.length, lost])).toEqual([[MAX_UNSEEN_GRAVE + 1, 0]]);
    state.seen = 2;
    expect(outbox.isFull).toBe(false);
  });
});
