/** Calls made inside a guarded call: an agent in a tool must not leave behind what its caller is held to. */
import { describe, expect, it } from 'vitest';
import { budgetFrom, createGuard, currentCall, type Guard, type GuardOptions, rulePolicy, type ToolCall } from '../../src/index.ts';
import { type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

const call = (name: string, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name }, args: {}, ...more });
const decided = (store: MemoryStore, name: string) =>
  store.entries().flatMap((entry) => (entry.kind === 'decision' && entry.tool.name === name ? [entry] : []));
const refusedAs = (guard: Guard, made: ToolCall) =>
  guard
    .run(made, () => 'ran')
    .then(
      () => 'ran',
      (error: { details?: { reasonCode?: string } }) => error.details?.reasonCode,
    );

/** An outer and an inner agent with guards of their own, as an application has them. */
function twoAgents(options: Partial<GuardOptions> = {}) {
  const store = memoryStore();
  const outer = guardOn(store, { agent: 'boss', session: 'boss-session', ...options });
  const inner = guardOn(store, { agent: 'helper', session: 'helper-session', ...options });
  return { store, outer, inner };
}

describe('a call inside a guarded call that names no session', () => {
  it('belongs to the session of the outer call, also under the guard of another agent', async () => {
    const { store, outer, inner } = twoAgents();
    await outer.run(call('delegate', { session: 'thread-1' }), () => inner.run(call('read'), () => 'page'));
    expect(decided(store, 'read')).toMatchObject([{ agent: 'helper', session: 'thread-1' }]);
    expect(decided(store, 'delegate')).toMatchObject([{ agent: 'boss', session: 'thread-1' }]);
  });

  it('is found through awaits, timers and microtasks, and any number of levels down', async () => {
    const { store, outer, inner } = twoAgents();
    await outer.run(call('delegate', { session: 'thread-1' }), async () => {
      await new Promise((go) => setImmediate(go));
      await inner.run(call('delegate-again'), () => Promise.resolve().then(() => outer.run(call('leaf'), () => 'done')));
    });
    expect(decided(store, 'leaf')).toMatchObject([{ agent: 'boss', session: 'thread-1' }]);
  });

  it('is found in work that begins only when its result is awaited, as that of a query builder does', async () => {
    const { store, outer, inner } = twoAgents();
    let began = 0;
    const lazy = (): PromiseLike<string> => ({
      // oxlint-disable-next-line unicorn/no-thenable -- query builders are like this
      then(fulfilled, rejected) {
        began++;
        return inner.run(call('read'), () => currentCall()?.callId ?? 'none').then(fulfilled, rejected);
      },
    });
    const callId = await outer.run(call('delegate', { session: 'thread-1' }), () => lazy() as Promise<string>);
    expect(decided(store, 'read')).toMatchObject([{ session: 'thread-1', call: callId }]);
    expect(began).toBe(1);
    const wrapped = outer.tool('delegate', () => lazy() as Promise<string>);
    await wrapped({}, { session: 'thread-2' });
    expect(decided(store, 'read')).toMatchObject([{ session: 'thread-1' }, { session: 'thread-2' }]);
  });

  it('marks the outer session with its labels, before the outer call ends and after', async () => {
    const { outer, inner } = twoAgents();
    const seen: unknown[] = [];
    await outer.run(call('delegate', { session: 'thread-1' }), async () => {
      await inner.run(call('label-it'), () => 'a page of strangers');
      seen.push(await refusedAs(outer, call('unless-seen')));
    });
    seen.push(await refusedAs(outer, call('unless-seen', { session: 'thread-1' })));
    seen.push(await refusedAs(outer, call('unless-seen', { session: 'thread-2' })), await refusedAs(inner, call('unless-seen')));
    expect(seen).toEqual(['POLICY_DENY_HIGH_RISK', 'POLICY_DENY_HIGH_RISK', 'ran', 'ran']);
  });

  it('is held to the labels of the outer session, from the background too', async () => {
    const { outer, inner } = twoAgents();
    await outer.run(call('label-it', { session: 'thread-1' }), () => 'seen');
    let background: Promise<unknown> = Promise.resolve();
    await outer.run(call('delegate', { session: 'thread-1' }), () => {
      background = new Promise((go) => setImmediate(go)).then(() => refusedAs(inner, call('unless-seen')));
    });
    expect(await background).toBe('POLICY_DENY_HIGH_RISK');
  });

  it('is refused when the outer session is halted', async () => {
    const { store, outer, inner } = twoAgents();
    const code = await outer.run(call('delegate', { session: 'thread-1' }), async () => {
      await store.commit({ kind: 'record', body: { kind: 'session', agent: 'boss', session: 'thread-1', event: 'halted' } });
      return refusedAs(inner, call('read'));
    });
    expect(code).toBe('SESSION_HALTED');
  });

  it('is charged to the budget of the outer session', async () => {
    const budgets = [budgetFrom({ id: 'calls', per: 'session', limit: 3, window: '1h' })];
    const { outer, inner } = twoAgents({ budgets });
    const codes = await outer.run(call('delegate', { session: 'thread-1' }), async () => [
      await refusedAs(inner, call('read')),
      await refusedAs(inner, call('read')),
      await refusedAs(inner, call('read')),
    ]);
    expect(codes).toEqual(['ran', 'ran', 'BUDGET_EXCEEDED_SESSION_RATE']);
  });

  it('is counted by rules that count the calls of a session, and waits for no turn its own caller holds', async () => {
    const rules = [
      { id: 'one-read', tools: ['read'], when: "session.calls('read') >= 1", effect: 'deny' },
      { id: 'rest', tools: ['*'], effect: 'allow' },
    ] as const;
    const { outer, inner } = twoAgents({ policy: rulePolicy({ id: 'counting', default: 'deny', rules }) });
    const codes = await outer.run(call('delegate', { session: 'thread-1' }), () =>
      Promise.all([1, 2, 3].map(() => refusedAs(inner, call('read')))),
    );
    expect(codes.filter((code) => code === 'ran')).toHaveLength(1);
  });

  it('is decided, previewed and turned away in the same session', async () => {
    const { store, outer, inner } = twoAgents();
    await outer.run(call('label-it', { session: 'thread-1' }), () => 'seen');
    await outer.run(call('delegate', { session: 'thread-1' }), async () => {
      expect((await inner.preview(call('unless-seen'))).decision.effect).toBe('deny');
      await inner.recordRefusal({ tool: { name: 'mangled' }, reasonCode: 'MESSAGE_INVALID', reason: 'no call at all' });
      const unreadable = { tool: { name: 'read' }, args: { n: Number.NaN } };
      expect(await inner.authorize(unreadable)).toMatchObject({ kind: 'refusal' });
      const nameless = { tool: { name: '' }, args: {} };
      expect(await inner.authorize(nameless)).toMatchObject({ kind: 'refusal' });
    });
    const sessions = store.entries().flatMap((entry) => (entry.kind === 'decision' ? [entry.session] : []));
    expect(new Set(sessions)).toEqual(new Set(['thread-1']));
  });

  it('acts on behalf of the same principal, unless it names one', async () => {
    const { store, outer, inner } = twoAgents();
    await outer.run(call('delegate', { principal: 'ann' }), async () => {
      await inner.run(call('read'), () => expect(currentCall()).toMatchObject({ principal: 'ann', session: 'boss-session' }));
      await inner.run(call('write', { principal: 'bob' }), () => 'done');
    });
    expect(decided(store, 'read')).toMatchObject([{ principal: 'ann' }]);
    expect(decided(store, 'write')).toMatchObject([{ principal: 'bob' }]);
  });
});

describe('the session of the outer call is not given to', () => {
  it('a call that names its own', async () => {
    const { store, outer, inner } = twoAgents();
    await outer.run(call('delegate', { session: 'thread-1' }), () => inner.run(call('read', { session: 'mine' }), () => 'page'));
    expect(decided(store, 'read')).toMatchObject([{ session: 'mine' }]);
  });

  it('a call beside it, or after it', async () => {
    const { store, outer, inner } = twoAgents();
    await Promise.all([outer.run(call('delegate', { session: 'thread-1' }), () => 'done'), inner.run(call('read'), () => 'page')]);
    await inner.run(call('read'), () => 'page');
    expect(decided(store, 'read')).toMatchObject([{ session: 'helper-session' }, { session: 'helper-session' }]);
  });

  it('what a channel or a hook does of its own while the call waits', async () => {
    const store = memoryStore();
    const own = createGuard({ agent: 'mailer', policy: rulePolicy(ALLOW), store, session: 'mailer-session' });
    let sent = (): void => {};
    const isSent = new Promise<void>((resolve) => {
      sent = resolve;
    });
    const ask = () => own.run(call('send-mail'), sent);
    const outer = guardOn(store, { agent: 'boss', session: 'boss-session', channels: [{ name: 'mail', ask }] });
    await outer.run(call('delegate', { session: 'thread-1' }), async () => {
      await outer.authorize(call('ask-first'), { approval: 'suspend' });
      await isSent;
    });
    expect(decided(store, 'send-mail')).toMatchObject([{ session: 'mailer-session' }]);
    expect(decided(store, 'ask-first')).toMatchObject([{ effect: 'require_approval', session: 'thread-1' }]);
  });
});

it('two stores share the name of the session, and nothing else of it', async () => {
  const [first, second] = [memoryStore(), memoryStore()];
  const outer = guardOn(first, { agent: 'boss' });
  const inner = guardOn(second, { agent: 'helper' });
  await outer.run(call('label-it', { session: 'thread-1' }), () => 'seen');
  const code = await outer.run(call('delegate', { session: 'thread-1' }), () => refusedAs(inner, call('unless-seen')));
  expect(code).toBe('ran');
  expect(decided(second, 'unless-seen')).toMatchObject([{ session: 'thread-1' }]);
});

const ALLOW = { id: 'all', default: 'deny', rules: [{ id: 'all', tools: ['*'], effect: 'allow' }] } as const;
