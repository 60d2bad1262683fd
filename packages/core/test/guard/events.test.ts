/** What a guard tells the application of its calls, and that nothing the application does with it matters. */
import { describe, expect, it } from 'vitest';
import {
  type CallEvent,
  type CallTracer,
  createRedactor,
  definePolicy,
  type GuardOptions,
  type Json,
  type ToolCall,
} from '../../src/index.ts';
import { fixedClock, immediateApprover, type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

const KEY = 'sk-live-0123456789abcdef0123456789abcdef';
const call = (name: string, more: Partial<ToolCall> = {}): ToolCall => ({
  tool: { server: 'files', name },
  args: { n: 1, api_key: KEY },
  ...more,
});

interface Heard {
  readonly events: CallEvent[];
  readonly shown: (Json | undefined)[];
  readonly errors: { readonly error: unknown; readonly during: string }[];
  readonly options: Partial<GuardOptions>;
  readonly store: MemoryStore;
}

function hearing(more: Partial<GuardOptions> = {}): Heard {
  const heard = { events: [] as CallEvent[], shown: [] as (Json | undefined)[], errors: [] as Heard['errors'] };
  const options: Partial<GuardOptions> = {
    onEvent: (event, shown) => {
      heard.events.push(event);
      heard.shown.push(shown());
    },
    onError: (error, { during }) => heard.errors.push({ error, during }),
    ...more,
  };
  return { ...heard, options, store: memoryStore({ clock: fixedClock() }) };
}

describe('events of calls', () => {
  it('tells of a call that is allowed and runs, without its arguments', async () => {
    const { events, shown, options, store } = hearing();
    const guard = guardOn(store, options);
    await guard.run(call('read', { id: 'c1', principal: 'mia', attempt: 2 }), () => 'done');
    const [allowed, settled] = events;
    const decision = store.entries().findIndex((entry) => entry.kind === 'decision');
    const facts = { agent: 'tester', session: 's1', principal: 'mia', tool: { server: 'files', name: 'read' }, id: 'c1', attempt: 2 };
    expect(allowed).toMatchObject({ kind: 'call-allowed', ...facts, mode: 'enforce', policy: { id: 'test', version: '1' } });
    expect(allowed).toMatchObject({ decision: { effect: 'allow', would: 'allow', rule: 'yes' }, entry: { of: decision } });
    expect(settled).toMatchObject({ kind: 'call-settled', ...facts, status: 'success' });
    expect(events).toHaveLength(2);
    expect(events.map(({ callId }) => callId)).toEqual([allowed?.callId, allowed?.callId]);
    expect(JSON.stringify(events)).not.toContain('api_key');
    expect(shown).toEqual([1, 1].map((n) => ({ n, api_key: '[redacted:key-name]' })));
  });

  it('tells of denials, of calls that are no calls, and of a ledger that does not write', async () => {
    const { events, options, store } = hearing();
    const guard = guardOn(store, options);
    await guard.authorize(call('no-way'));
    await guard.authorize(call('x'.repeat(1_000_000)));
    await guard.recordRefusal({ tool: { name: 'garbled' }, reasonCode: 'MESSAGE_INVALID', reason: 'no JSON' });
    store.failWith(new Error('disk full'));
    await guard.authorize(call('read'));
    expect(events.map((event) => [event.kind, event.kind === 'call-denied' && event.decision.reasonCode, event.tool.name])).toEqual([
      ['call-denied', 'POLICY_DENY_HIGH_RISK', 'no-way'],
      ['call-denied', 'ARGUMENTS_INVALID', '[invalid]'],
      ['call-denied', 'MESSAGE_INVALID', 'garbled'],
      ['call-denied', 'INTERNAL_ERROR', 'read'],
    ]);
    expect(events.map((event) => 'entry' in event)).toEqual([true, true, true, false]);
  });

  it('tells who waits, who is left pending, and who ran on whose word', async () => {
    const { events, options, store } = hearing({ channels: [immediateApprover('approve')] });
    const guard = guardOn(store, options);
    await guard.run(call('ask-once'), () => 1);
    const [waiting, allowed] = events;
    const approvalId = waiting?.kind === 'call-pending' ? waiting.approvalId : undefined;
    expect(events.map(({ kind }) => kind)).toEqual(['call-pending', 'call-allowed', 'call-settled']);
    expect(waiting).toMatchObject({ waits: true });
    expect(allowed).toMatchObject({ approvalId, decision: { reasonCode: 'APPROVAL_GRANTED' }, callId: waiting?.callId });
    expect(allowed?.kind === 'call-allowed' && allowed.waitedMs).toBeGreaterThanOrEqual(0);

    events.length = 0;
    const silent = guardOn(store, { ...options, channels: [] });
    const pending = await silent.authorize(call('ask-again', { id: 'c2' }), { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('it did not ask');
    await silent.approvals.resolve(
      pending.approvalId,
      { decision: 'edit', args: { n: 2, api_key: '[redacted:key-name]' } },
      { id: 'alice', method: 'host' },
    );
    await silent.authorize(call('ask-again', { id: 'c2' }), { approval: 'suspend' });
    expect(events.map(({ kind, callId }) => [kind, callId === pending.callId])).toEqual([
      ['call-pending', true],
      ['call-pending', false],
    ]);
    expect(events[0]).toMatchObject({ waits: false, approvalId: pending.approvalId, expiresAtMs: pending.expiresAtMs });
  });

  it('tells how a tool failed by its class alone, and what was withheld', async () => {
    const { events, options, store } = hearing();
    const guard = guardOn(store, options);
    const failing = guard.run(call('read'), () => {
      throw new TypeError(`no ${KEY}`);
    });
    await expect(failing).rejects.toThrow(TypeError);
    expect(events[1]).toMatchObject({ kind: 'call-settled', status: 'error', errorType: 'TypeError' });
    expect(JSON.stringify(events)).not.toContain(KEY);
  });

  it('shows the arguments that a person edited, once it is about that call', async () => {
    const { shown, events, options, store } = hearing();
    const guard = guardOn(store, {
      ...options,
      policy: definePolicy({
        id: 'big',
        evaluate: ({ args }) => ((args as { n: number }).n > 1 ? { effect: 'require_approval' } : { effect: 'allow' }),
      }),
    });
    const asked = call('pay', { args: { n: 9 }, id: 'c1' });
    const pending = await guard.authorize(asked, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('it did not ask');
    await guard.approvals.resolve(pending.approvalId, { decision: 'edit', args: { n: 1 } }, { id: 'alice', method: 'host' });
    const permit = await guard.authorize(asked, { approval: 'suspend' });
    expect(permit.kind).toBe('permit');
    expect(shown).toEqual([{ n: 9 }, { n: 1 }]);
    expect(events[1]).toMatchObject({ kind: 'call-allowed', callId: permit.callId, edited: { call: pending.callId } });
  });

  it('masks secrets in the framework id, which no entry holds', async () => {
    const { events, options, store } = hearing();
    await guardOn(store, options).run(call('read', { id: KEY }), () => 1);
    expect(JSON.stringify(events)).not.toContain(KEY);
    expect(events[0]?.id).toMatch(/^\[redacted:/);
  });
});

describe('a listener or tracer that misbehaves', () => {
  const boom = (): never => {
    throw new Error('listener');
  };
  const running = async (run?: unknown): Promise<never> => {
    if (typeof run === 'function') run();
    return boom();
  };
  // Fits, for a compiler that is not told to look, where a function that returns nothing is asked for.
  const rejecting: (run?: unknown) => undefined = running as never;
  const tracers: readonly (readonly [string, CallTracer])[] = [
    ['begin throws', { begin: boom }],
    ['tell throws', { begin: () => ({ tell: boom, within: (run) => run() }) }],
    ['within throws before', { begin: () => ({ tell: () => {}, within: boom }) }],
    ['within throws after', { begin: () => ({ tell: () => {}, within: (run) => [run(), boom()] }) }],
    ['within forgets to run', { begin: () => ({ tell: () => {}, within: () => {} }) }],
    ['within runs twice', { begin: () => ({ tell: () => {}, within: (run) => [run(), run()] }) }],
    ['within runs later', { begin: () => ({ tell: () => {}, within: (run) => setImmediate(run) }) }],
    ['begin is async and rejects', { begin: rejecting }],
    ['tell is async and rejects', { begin: () => ({ tell: rejecting, within: (run) => run() }) }],
    ['within is async and rejects', { begin: () => ({ tell: () => {}, within: rejecting }) }],
    ['begin gives nonsense', { begin: () => 7 as never }],
    ['begin gives a trap', { begin: () => new Proxy({}, { get: boom }) as never }],
  ];
  it.each(tracers)('tracer: %s: the tool runs once, with its own result', async (_name, tracer) => {
    const { options, store } = hearing();
    const guard = guardOn(store, { ...options, tracer });
    let ran = 0;
    await expect(guard.run(call('read'), () => ++ran)).resolves.toBe(1);
    await expect(guard.run(call('read'), async () => Promise.reject(new RangeError('own')))).rejects.toThrow('own');
    await expect(
      guard.run(call('read'), () => {
        throw new RangeError('thrown');
      }),
    ).rejects.toThrow('thrown');
    expect((await guard.authorize(call('no'))).kind).toBe('refusal');
    await guard.close();
    expect(ran).toBe(1);
    expect(store.entries().filter(({ kind }) => kind === 'outcome')).toHaveLength(3);
  });

  it.each([
    ['throws', boom],
    ['rejects', () => Promise.reject(new Error('listener'))],
  ] as const)('a listener that %s is told to onError, and changes nothing', async (_name, onEvent) => {
    const { errors, options, store } = hearing({ onEvent });
    await expect(guardOn(store, options).run(call('read'), () => 'kept')).resolves.toBe('kept');
    expect(errors.map(({ during }) => during)).toEqual(['onEvent', 'onEvent']);
  });

  it('nobody waits for a listener that never comes back, and close does not either', async () => {
    const { options, store } = hearing({ onEvent: () => new Promise(() => {}) });
    const guard = guardOn(store, options);
    await expect(guard.run(call('read'), () => 'kept')).resolves.toBe('kept');
    await guard.close();
  });

  it('what a listener changes reaches neither ledger, nor tool, nor caller', async () => {
    const attempts: string[] = [];
    const spoil = (target: unknown): void => {
      for (const key of Object.keys(target as object)) {
        try {
          (target as Record<string, unknown>)[key] = 'spoiled';
          attempts.push(key);
        } catch {
          // Frozen.
        }
      }
    };
    const { options, store } = hearing({
      onEvent: (event, shown) => {
        spoil(event);
        if ('decision' in event) spoil(event.decision);
        spoil(event.tool);
        spoil(shown());
      },
    });
    const guard = guardOn(store, options);
    const pending = await guard.authorize(call('ask', { id: 'c1' }), { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('it did not ask');
    await guard.approvals.resolve(pending.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
    const permit = await guard.authorize(call('ask', { id: 'c1' }), { approval: 'suspend' });
    if (permit.kind !== 'permit') throw new Error('it was refused');
    // Copies of the shown arguments are the listener's own.
    expect(new Set(attempts)).toEqual(new Set(['n', 'api_key']));
    expect(pending.shown).toEqual({ n: 1, api_key: '[redacted:key-name]' });
    expect(permit.args).toEqual({ n: 1, api_key: KEY });
    expect(permit.decision.effect).toBe('allow');
    expect([...store.openings().values()].map(({ sections }) => sections['args'])).not.toContainEqual(
      expect.objectContaining({ n: 'spoiled' }),
    );
  });

  it('a redactor that fails on the framework id costs the telling, not the call', async () => {
    const redactor = createRedactor();
    const { events, errors, options, store } = hearing({
      redactor: { ...redactor, redact: (value) => redactor.redact(value), text: (text) => (text === 'c1' ? boom() : redactor.text(text)) },
    });
    await expect(guardOn(store, options).run(call('read', { id: 'c1' }), () => 'kept')).resolves.toBe('kept');
    expect(events).toEqual([]);
    expect(errors.map(({ during }) => during)).toEqual(['telling of a call']);
  });

  it.each([
    ['tracer', { tracer: {} as CallTracer }],
    ['onEvent', { onEvent: 'log' as never }],
  ] as const)('a %s that is none is refused at once', (_name, options) => {
    expect(() => guardOn(memoryStore(), options)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});
