/** Channels that fail, in every way we could think of. A call is refused only when nobody was asked. */
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Authorization, Channel, Guard, Store } from '../../src/index.ts';
import { immediateApprover, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const ASK = { tool: { name: 'ask' }, args: { a: 1 } };
const BOB = { id: 'bob', method: 'host' } as const;

const failing = (error: unknown = new Error('smtp is down')): Channel => ({ name: 'failing', ask: async () => Promise.reject(error) });
const throwing: Channel = {
  name: 'throwing',
  ask: () => {
    throw new Error('a bug');
  },
};
const silent: Channel = { name: 'silent', ask: () => new Promise(() => {}) };
const toldOnly: Channel = { name: 'told', ask: async () => {} };

interface Tried {
  readonly answer: Authorization;
  readonly errors: readonly { readonly message: string; readonly during: string }[];
  readonly state: string | undefined;
}

async function tried(channels: readonly Channel[], store: Store, ttlMs = 60_000, act?: (guard: Guard) => Promise<void>): Promise<Tried> {
  const errors: { message: string; during: string }[] = [];
  const onError = (error: unknown, { during }: { readonly during: string }): void => {
    errors.push({ message: error instanceof Error ? error.message : String(error), during });
  };
  const guard = guardOn(store, { channels, approvals: { ttlMs }, onError });
  const waiting = guard.authorize(ASK);
  await act?.(guard);
  const answer = await waiting;
  const [row] = await store.approvals();
  return { answer, errors, state: row?.state };
}

const FAILED = {
  kind: 'refusal',
  decision: { effect: 'deny', reasonCode: 'APPROVAL_PROCESS_FAILED', reason: 'no approval channel could be reached' },
};

describe.each([
  ['memory', () => memoryStore()],
  ['sqlite', () => openLedger(join(tempDirectory(), 'ledger.db'))],
])('on the %s store', (_name, open) => {
  it.each([
    ['the only one rejects', [failing()], 1],
    ['the only one throws at once', [throwing], 1],
    ['it rejects with nothing', [failing(undefined)], 1],
    ['all of three fail', [failing(), throwing, failing()], 3],
  ])('%s: the call is refused at once, with its own code', async (_how, channels, count) => {
    const { answer, errors, state } = await tried(channels, open());
    expect(answer).toMatchObject(FAILED);
    expect(state).toBe('failed');
    expect(errors).toHaveLength(count);
    expect(errors.map(({ during }) => during)).toEqual(expect.arrayContaining([expect.stringMatching(/^approval channel /) as string]));
  });

  it.each([
    ['one rejects', [failing(), immediateApprover('approve')]],
    ['one throws at once', [throwing, immediateApprover('approve')]],
    ['one never says anything', [silent, immediateApprover('approve')]],
  ])('%s, the other answers: the call runs', async (_how, channels) => {
    const { answer, state } = await tried(channels, open());
    expect(answer).toMatchObject({ kind: 'permit', decision: { reasonCode: 'APPROVAL_GRANTED' } });
    expect(state).toBe('consumed');
  });

  it('one fails, the other only told somebody: the call waits', async () => {
    const { answer, errors } = await tried([failing(), toldOnly], open(), 60_000, async (guard) => {
      await vi.waitFor(async () => expect(await guard.approvals.list({ state: 'pending' })).toHaveLength(1), 20_000);
      const [row] = await guard.approvals.list();
      await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, BOB);
    });
    expect(answer.kind).toBe('permit');
    expect(errors).toHaveLength(1);
  });

  it('one fails long after the other answered: nothing is told and nothing is undone', async () => {
    let fail: (error: Error) => void = () => {};
    let signal: AbortSignal | undefined;
    const late: Channel = {
      name: 'late',
      ask: (_request, _answer, stop) => {
        signal = stop;
        return new Promise((_resolve, reject) => {
          fail = reject;
        });
      },
    };
    const store = open();
    const { answer, errors, state } = await tried([late, immediateApprover('approve')], store);
    expect(answer.kind).toBe('permit');
    await vi.waitFor(() => expect(signal?.aborted).toBe(true), 20_000);
    fail(new Error('too late'));
    await new Promise(setImmediate);
    expect(errors).toEqual([]);
    expect(state).toBe('consumed');
    expect((await store.approvals())[0]?.state).toBe('consumed');
  });

  it('one fails after the expiry: it stays expired', async () => {
    let fail: (error: Error) => void = () => {};
    const late: Channel = {
      name: 'late',
      ask: () =>
        new Promise((_resolve, reject) => {
          fail = reject;
        }),
    };
    const store = open();
    const { answer, state } = await tried([late], store, 30);
    expect(answer).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'APPROVAL_EXPIRED', reason: 'nobody answered in time' } });
    fail(new Error('too late'));
    await new Promise(setImmediate);
    expect([state, (await store.approvals())[0]?.state]).toEqual(['expired', 'expired']);
  });

  it('none ever says anything: the call expires', async () => {
    const { answer, errors } = await tried([silent, silent], open(), 30);
    expect(answer).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'APPROVAL_EXPIRED' } });
    expect(errors).toEqual([]);
  });

  it('one whose answer is refused has failed', async () => {
    const nobody = immediateApprover('approve', { id: 'bob', method: 'key' });
    const { answer, errors } = await tried([nobody], open());
    expect(answer).toMatchObject(FAILED);
    expect(errors[0]?.message).toContain('no key is configured');
  });

  it('one that answers twice is told so, and the first answer stands', async () => {
    const twice: Channel = {
      name: 'twice',
      async ask(_request, answer) {
        await answer({ decision: 'deny' }, BOB);
        await answer({ decision: 'approve' }, { id: 'alice', method: 'host' });
      },
    };
    const { answer } = await tried([twice], open());
    expect(answer).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'APPROVAL_DENIED' } });
  });
});

it('a ledger that cannot record that nobody was asked refuses the call all the same', async () => {
  const store = memoryStore();
  const broken: Channel = {
    name: 'broken',
    ask: async () => {
      store.failWith(new Error('disk full'));
      throw new Error('smtp is down');
    },
  };
  const { answer, errors } = await tried([broken], store, 50);
  expect(answer).toMatchObject({ kind: 'refusal', decision: { effect: 'deny' } });
  expect(errors.map(({ message }) => message)).toContain('disk full');
});

it('whoever looks when a prompt is withdrawn finds it expired, also where the clock is behind the timers', async () => {
  // The clock of the store and the one of timers are not the same: a timer fires a millisecond early now and then, here a tenth.
  const began = Date.now();
  const nowMs = (): number => Math.floor(began + (Date.now() - began) * 0.9);
  const found = Promise.withResolvers<string | undefined>();
  const channel: Channel = {
    name: 'looking',
    ask: async (request, _answer, signal) =>
      signal.addEventListener('abort', () => void guard.approvals.get(request.id).then((row) => found.resolve(row?.state))),
  };
  const guard = guardOn(memoryStore({ clock: { nowMs } }), { channels: [channel], approvals: { ttlMs: 500 } });
  onTestFinished(() => guard.close());
  await guard.authorize(ASK, { approval: 'suspend' });
  expect(await found.promise).toBe('expired');
});
