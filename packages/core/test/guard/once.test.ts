/** `guard.once`: what a framework that runs a call again is given, and all that it must not be given. */
import { describe, expect, it, vi } from 'vitest';
import {
  type Authorization,
  CallRefusedError,
  createGuard,
  currentCall,
  definePolicy,
  type Guard,
  type GuardOptions,
  type OnceOptions,
  type ToolCall,
} from '../../src/index.ts';
import { MAX_KEPT_RESULTS } from '../../src/run-results.ts';
import { type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn, testPolicy } from '../fixtures/ledger.ts';

const ALICE = { id: 'alice', method: 'host' } as const;
const FORM: OnceOptions = { form: 'message', approval: 'suspend' };
const base: ToolCall = { tool: { name: 'read' }, args: { a: 1 }, id: 'c1', turn: 't1' };

/** An adapter: the tool counts its runs, and the framework gets a message. */
function adapter(guard: Guard) {
  const ran: unknown[] = [];
  const use = async (authorization: Authorization, tool: () => unknown = () => undefined): Promise<string> => {
    if (authorization.kind !== 'permit') return `${authorization.kind}: ${authorization.decision.reasonCode}`;
    await authorization.within(async () => {
      ran.push(authorization.args);
      await tool();
    });
    await authorization.release({ status: 'success', result: 'raw' });
    return `message ${ran.length}`;
  };
  const come = (call: ToolCall = base, options: OnceOptions = FORM, tool?: () => unknown): Promise<string> =>
    guard.once(call, options, (authorization) => use(authorization, tool));
  return { ran, use, come };
}

function bench(options: Partial<GuardOptions> = {}) {
  const store = memoryStore();
  const guard = guardOn(store, options);
  return { store, guard, ...adapter(guard) };
}

const allowed = (store: MemoryStore): number =>
  store.entries().filter((entry) => entry.kind === 'decision' && entry.effect === 'allow').length;
const effects = (store: MemoryStore): string[] =>
  store.entries().flatMap((entry) => (entry.kind === 'decision' ? [`${entry.effect} ${entry.reason_code}`] : []));

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, open: resolve };
}

describe('the same call again', () => {
  it('is given what the framework got: while it runs, and afterwards', async () => {
    const { come, ran, store } = bench();
    const { promise, open } = gate();
    const running = [1, 2, 3].map(() => come(base, FORM, () => promise));
    open();
    expect(await Promise.all(running)).toEqual(['message 1', 'message 1', 'message 1']);
    expect(await come()).toBe('message 1');
    expect(ran).toHaveLength(1);
    expect(effects(store)).toEqual(['allow POLICY_ALLOW_LOW_RISK']);
  });

  it('is given what was thrown of a tool that failed', async () => {
    const { guard } = bench();
    const failed = new Error('no such file');
    const use = vi.fn(async (authorization: Authorization) => {
      if (authorization.kind === 'permit') await authorization.release({ status: 'error', error: failed });
      throw failed;
    });
    for (let i = 0; i < 2; i++) await expect(guard.once(base, FORM, use)).rejects.toBe(failed);
    expect(use).toHaveBeenCalledOnce();
  });

  it('runs once for one approval, and is given its result by the runs after that', async () => {
    const { come, ran, guard } = bench();
    const ask = { ...base, tool: { name: 'ask' } };
    for (let i = 0; i < 3; i++) expect(await come(ask)).toBe('pending: POLICY_REQUIRE_APPROVAL_HIGH_VALUE');
    const [waiting] = await guard.approvals.list({ state: 'pending' });
    await guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, ALICE);
    expect(await Promise.all([come(ask), come(ask)])).toEqual(['message 1', 'message 1']);
    expect(await come(ask)).toBe('message 1');
    expect(ran).toHaveLength(1);
  });

  it('is decided again after a refusal, and refused as before', async () => {
    const { come, ran, store } = bench();
    const no = { ...base, tool: { name: 'no' } };
    expect(await Promise.all([come(no), come(no)])).toEqual(['refusal: POLICY_DENY_HIGH_RISK', 'refusal: POLICY_DENY_HIGH_RISK']);
    expect(await come(no)).toBe('refusal: POLICY_DENY_HIGH_RISK');
    expect(ran).toEqual([]);
    expect(allowed(store)).toBe(0);
  });

  it.each([
    [
      'was interrupted or aborted',
      async (authorization: Authorization) => {
        if (authorization.kind === 'permit') await authorization.settle({ status: 'cancelled' });
      },
      'CALL_ALREADY_RUN',
    ],
    ['was never settled', () => undefined, 'CALL_IN_PROGRESS'],
  ] as const)('has no result when its first run %s, and does not run', async (_, end, code) => {
    const { guard, come, ran } = bench();
    const interrupt = new Error('interrupt');
    const stopped = async (authorization: Authorization): Promise<string> => {
      await end(authorization);
      throw interrupt;
    };
    await expect(guard.once(base, FORM, stopped)).rejects.toBe(interrupt);
    expect(await come()).toBe(`refusal: ${code}`);
    expect(ran).toEqual([]);
  });

  it('decides for itself when the run it joined is interrupted: an interrupt belongs to one run', async () => {
    const { guard, come, ran } = bench();
    const { promise, open } = gate();
    const first = guard.once(base, FORM, async (authorization) => {
      await promise;
      if (authorization.kind === 'permit') await authorization.settle({ status: 'cancelled' });
      throw new Error('interrupt');
    });
    const joined = [come(), come()];
    open();
    await expect(first).rejects.toThrow('interrupt');
    expect(await Promise.all(joined)).toEqual(['refusal: CALL_ALREADY_RUN', 'refusal: CALL_ALREADY_RUN']);
    expect(ran).toEqual([]);
  });

  it('stops waiting for the other run when its caller gives up', async () => {
    const { come, ran } = bench();
    const { promise, open } = gate();
    const first = come(base, FORM, () => promise);
    const controller = new AbortController();
    const joined = come(base, { ...FORM, signal: controller.signal });
    controller.abort();
    expect(await joined).toBe('refusal: CALL_CANCELLED');
    expect(await come(base, { ...FORM, signal: controller.signal })).toBe('refusal: CALL_CANCELLED');
    open();
    expect(await first).toBe('message 1');
    expect(ran).toHaveLength(1);
  });

  it('without an id of the framework is another call', async () => {
    const { come, ran } = bench();
    const { id: _, turn: __, ...nameless } = base;
    expect(await Promise.all([come(nameless), come(nameless)])).toHaveLength(2);
    expect(ran).toHaveLength(2);
  });

  it('that cannot be decided on is refused each time', async () => {
    const { come, ran } = bench();
    for (let i = 0; i < 2; i++) expect(await come({ ...base, args: { a: Number.NaN } })).toBe('refusal: ARGUMENTS_INVALID');
    expect(ran).toEqual([]);
  });
});

describe('a result is given to nobody else', () => {
  const others: readonly (readonly [string, Partial<ToolCall>])[] = [
    ['principal', { principal: 'mallory' }],
    ['session', { session: 's2' }],
    ['arguments', { args: { a: 2 } }],
    ['tool', { tool: { name: 'read2' } }],
    ['server', { tool: { name: 'read', server: 'x' } }],
    ['schema', { tool: { name: 'read', schema: 'ab' } }],
    ['id', { id: 'c2' }],
    ['turn', { turn: 't2' }],
    ['attempt', { attempt: 2 }],
  ];

  it.each(others)('with another %s: neither while the call runs nor afterwards', async (_, other) => {
    const { come, ran } = bench();
    const { promise, open } = gate();
    const mine = { ...base, principal: 'ana' };
    const first = come(mine, FORM, () => promise);
    expect(await come({ ...mine, ...other })).toMatch(/^message/);
    open();
    await first;
    expect(await come({ ...mine, ...other, id: 'later' })).toMatch(/^message/);
    expect(ran).toHaveLength(3);
  });

  it('with another agent', async () => {
    const store = memoryStore();
    const [one, two] = ['one', 'two'].map((agent) => adapter(createGuard({ agent, policy: testPolicy, store, session: 's1' })));
    expect([await one?.come(), await two?.come()]).toEqual(['message 1', 'message 1']);
    expect([one?.ran.length, two?.ran.length]).toEqual([1, 1]);
  });

  it('who expects another form: neither of two adapters, nor guard.run', async () => {
    const { come, guard, ran } = bench();
    const { promise, open } = gate();
    const first = come(base, FORM, () => promise);
    await new Promise(setImmediate);
    expect(await come(base, { ...FORM, form: 'parts' })).toBe('refusal: CALL_IN_PROGRESS');
    open();
    await first;
    expect(await come(base, { ...FORM, form: 'parts' })).toBe('refusal: CALL_ALREADY_RUN');
    await expect(guard.run(base, () => 'ran again')).rejects.toThrow(CallRefusedError);
    expect(ran).toHaveLength(1);
  });

  it('when the session is halted; when it is resumed, to the call again', async () => {
    const { come, store, ran, guard } = bench();
    await come();
    expect(await guard.preview(base, FORM)).toMatchObject({ isKept: true });
    const session = { kind: 'session', agent: 'tester', session: 's1' } as const;
    await store.commit({ kind: 'record', body: { ...session, event: 'halted', reason_code: 'X' } });
    expect(await come()).toBe('refusal: CALL_ALREADY_RUN');
    expect(await guard.preview(base, FORM)).not.toHaveProperty('isKept');
    await store.commit({ kind: 'record', body: { ...session, event: 'resumed', reason_code: 'X' } });
    expect(await come()).toBe('message 1');
    expect(ran).toHaveLength(1);
  });

  it('when another policy is in force, which might withhold it', async () => {
    const numbered = (version: string) => definePolicy({ id: 'p', version, evaluate: () => ({ effect: 'allow' }) });
    const { come, guard, ran } = bench({ policy: numbered('1') });
    await come();
    await guard.setPolicy(numbered('2'));
    expect(await come()).toBe('refusal: CALL_ALREADY_RUN');
    await guard.setPolicy(numbered('1'));
    expect(await come()).toBe('message 1');
    expect(ran).toHaveLength(1);
  });

  it('who waits for a run during which the session is halted, or another policy put in force', async () => {
    const numbered = (version: string) => definePolicy({ id: 'p', version, evaluate: () => ({ effect: 'allow' }) });
    const { come, store, guard, ran } = bench({ policy: numbered('1') });
    const session = { kind: 'session', agent: 'tester', session: 's1' } as const;
    const changes = [
      () => guard.setPolicy(numbered('2')),
      () => store.commit({ kind: 'record', body: { ...session, event: 'halted', reason_code: 'X' } }),
    ];
    for (const [at, change] of changes.entries()) {
      const { promise, open } = gate();
      const call = { ...base, id: `call-${at}` };
      const first = come(call, FORM, () => promise);
      await vi.waitFor(() => expect(ran).toHaveLength(at + 1), 20_000);
      const second = come(call);
      await change();
      open();
      expect([await first, await second]).toEqual([`message ${at + 1}`, 'refusal: CALL_ALREADY_RUN']);
    }
    expect(ran).toHaveLength(2);
  });

  it('when the store cannot say whether the session is halted', async () => {
    const { come, store, ran } = bench();
    await come();
    vi.spyOn(store, 'session').mockRejectedValue(new Error('disk on fire'));
    expect(await come()).toBe('refusal: CALL_ALREADY_RUN');
    expect(ran).toHaveLength(1);
  });

  it('holds for guard.run as well', async () => {
    const { guard, store } = bench();
    expect([await guard.run(base, () => 1), await guard.run(base, () => 2)]).toEqual([1, 1]);
    await store.commit({ kind: 'record', body: { kind: 'session', agent: 'tester', session: 's1', event: 'halted', reason_code: 'X' } });
    await expect(guard.run(base, () => 3)).rejects.toMatchObject({ refusal: { decision: { reasonCode: 'CALL_ALREADY_RUN' } } });
  });
});

describe('calls that come from inside of calls', () => {
  it('one that comes with itself is refused, and does not wait for itself', async () => {
    const { come, ran } = bench();
    const inner: string[] = [];
    expect(await come(base, FORM, async () => inner.push(await come()))).toBe('message 1');
    expect(inner).toEqual(['refusal: CALL_IN_PROGRESS']);
    expect(ran).toHaveLength(1);
  });

  it('two that come with each other do not wait for each other', async () => {
    const { come } = bench();
    const other = { ...base, id: 'c2' };
    const both = gate();
    let started = 0;
    const crossing = (call: ToolCall, next: ToolCall): Promise<string> =>
      come(call, FORM, async () => {
        if (++started === 2) both.open();
        await both.promise;
        expect(await come(next)).toBe('refusal: CALL_IN_PROGRESS');
      });
    expect(await Promise.all([crossing(base, other), crossing(other, base)])).toHaveLength(2);
  });

  it('two of the same inside of one run once', async () => {
    const { come, ran, guard } = bench();
    await guard.run({ tool: { name: 'outer' }, args: {}, id: 'o' }, async () => {
      expect(currentCall()).toBeDefined();
      expect(await Promise.all([come(), come()])).toEqual(['message 1', 'message 1']);
    });
    expect(ran).toHaveLength(1);
  });
});

describe('a result that comes later', () => {
  it('is remembered when it has come; until then nothing is shared', async () => {
    const { guard, come } = bench();
    let end: ((text: string) => void) | undefined;
    const begun = await guard.once(base, FORM, (authorization, keepLater) => {
      const keep = keepLater();
      end = (text) => {
        if (authorization.kind === 'permit') void authorization.settle({ status: 'success', result: text });
        keep(text);
      };
      return 'a stream';
    });
    expect(begun).toBe('a stream');
    expect(await come()).toBe('refusal: CALL_IN_PROGRESS');
    end?.('the end');
    expect(await come()).toBe('the end');
  });

  it('is not remembered when the call was aborted, or not settled', async () => {
    const { guard, come, ran } = bench();
    for (const [id, settles, code] of [
      ['c1', true, 'CALL_ALREADY_RUN'],
      ['c2', false, 'CALL_IN_PROGRESS'],
    ] as const) {
      await guard.once({ ...base, id }, FORM, async (authorization, keepLater) => {
        const keep = keepLater();
        if (settles && authorization.kind === 'permit') await authorization.settle({ status: 'cancelled' });
        keep('half of it');
        return 'a stream';
      });
      expect(await come({ ...base, id })).toBe(`refusal: ${code}`);
    }
    expect(ran).toEqual([]);
  });
});

describe('what is remembered', () => {
  it(`is the last ${MAX_KEPT_RESULTS}: older calls are refused, and do not run`, async () => {
    const { come, ran } = bench();
    for (let i = 0; i <= MAX_KEPT_RESULTS; i++) await come({ ...base, id: `c${i}` });
    expect(await come({ ...base, id: 'c0' })).toBe('refusal: CALL_ALREADY_RUN');
    expect(await come({ ...base, id: 'c1' })).toBe('message 2');
    expect(ran).toHaveLength(MAX_KEPT_RESULTS + 1);
  });

  it('is of this process: elsewhere the call has run and its result is gone', async () => {
    const { come, store, guard } = bench();
    await come();
    await guard.close();
    const elsewhere = adapter(guardOn(store));
    expect(await elsewhere.come()).toBe('refusal: CALL_ALREADY_RUN');
    expect(elsewhere.ran).toEqual([]);
  });

  it('of a thousand runs of fifty calls at once: fifty ran, and each was recorded', async () => {
    const { come, ran, store } = bench();
    const said = await Promise.all(Array.from({ length: 1000 }, (_, i) => come({ ...base, args: { a: i % 50 }, id: `c${i % 50}` })));
    expect(new Set(said.map((text) => text.split(' ')[0]))).toEqual(new Set(['message']));
    expect(ran).toHaveLength(50);
    expect(allowed(store)).toBe(50);
  });
});
