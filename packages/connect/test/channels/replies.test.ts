import { describe, expect, it } from 'vitest';
import { Replies, type Reply } from '../../src/channels/replies.ts';

/** Counts how often it was worked out. */
function counted(status = 200): { readonly workOut: () => Promise<Reply>; times: () => number } {
  let times = 0;
  return {
    times: () => times,
    workOut: async () => {
      times++;
      return { status, body: times };
    },
  };
}

describe('replies that are remembered', () => {
  it('are worked out once, also while they are being worked out', async () => {
    const replies = new Replies(1000, 10);
    const { workOut, times } = counted();
    const all = await Promise.all([1, 2, 3].map(() => replies.once('a', 'd', 0, workOut)));
    expect(all).toEqual([
      { status: 200, body: 1 },
      { status: 200, body: 1 },
      { status: 200, body: 1 },
    ]);
    expect(times()).toBe(1);
  });

  it('belong to one message', async () => {
    const replies = new Replies(1000, 10);
    const { workOut, times } = counted();
    await replies.once('a', 'd', 0, workOut);
    expect(await replies.once('a', 'other', 0, workOut)).toBeUndefined();
    await replies.once('b', 'd', 0, workOut);
    expect(times()).toBe(2);
  });

  it('are forgotten when their time is over, and not before', async () => {
    const replies = new Replies(1000, 10);
    const { workOut, times } = counted();
    await replies.once('a', 'd', 0, workOut);
    await replies.once('a', 'd', 999, workOut);
    expect(times()).toBe(1);
    await replies.once('a', 'd', 1000, workOut);
    expect(times()).toBe(2);
  });

  it('are so many, the oldest go first', async () => {
    const replies = new Replies(1_000_000, 3);
    const { workOut, times } = counted();
    for (const id of ['a', 'b', 'c', 'd']) await replies.once(id, 'd', 0, workOut);
    for (const id of ['b', 'c', 'd', 'b']) await replies.once(id, 'd', 0, workOut);
    expect(times()).toBe(4);
    await replies.once('a', 'd', 0, workOut);
    expect(times()).toBe(5);
  });

  it('are not those that failed', async () => {
    const replies = new Replies(1000, 10);
    const { workOut, times } = counted(503);
    await replies.once('a', 'd', 0, workOut);
    await replies.once('a', 'd', 0, workOut);
    expect(times()).toBe(2);
    const broken = (): Promise<Reply> => Promise.reject(new Error('broken'));
    await expect(replies.once('b', 'd', 0, broken)).rejects.toThrow('broken');
    expect(await replies.once('b', 'd', 0, counted().workOut)).toEqual({ status: 200, body: 1 });
  });
});
