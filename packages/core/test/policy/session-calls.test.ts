import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ToolCall } from '../../src/call.ts';
import { CountersignError } from '../../src/errors.ts';
import {
  budgetFrom,
  composePolicies,
  createGuard,
  definePolicy,
  type Guard,
  type Policy,
  rulePolicy,
  type Store,
} from '../../src/index.ts';
import { parseEntry } from '../../src/ledger/body.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { countOf, MAX_COUNTED_PATTERNS } from '../../src/policy/call-counts.ts';
import { compileCondition, compileCost, compileKey } from '../../src/policy/conditions.ts';
import type { Rule } from '../../src/policy/rule-definition.ts';
import { SessionTurns } from '../../src/session-turns.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
import { MAX_COUNTED_SESSIONS } from '../../src/transaction/session-calls.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';

const call = (name: string, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name }, args: {}, ...more });
const rules = (...list: readonly Rule[]): Policy => rulePolicy({ id: 'p', default: 'allow', rules: list });
const atMost = (count: number, tools = '*'): Policy =>
  rules({ id: 'enough', tools: [tools], when: `session.calls('${tools}') >= ${count}`, effect: 'deny' });

interface Opened {
  readonly store: Store;
  readonly entries: () => readonly Entry[];
}

function sqliteAt(path: string): Opened {
  return {
    store: openLedger(path, { clock: fixedClock() }),
    entries: () => {
      const reader = new Sqlite(path, { readonly: true });
      const texts = reader.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all();
      reader.close();
      return texts.map(parseEntry);
    },
  };
}

function allowed(entries: readonly Entry[], session = 's1'): number {
  return entries.filter((entry) => entry.kind === 'decision' && entry.effect === 'allow' && entry.session === session).length;
}

describe.each<[string, () => Opened]>([
  [
    'memory',
    () => {
      const store = memoryStore({ clock: fixedClock() });
      return { store, entries: () => store.entries() };
    },
  ],
  ['sqlite', () => sqliteAt(join(tempDirectory(), 'ledger.db'))],
])('session.calls on the %s store', (_name, open) => {
  const guards: Guard[] = [];
  afterEach(async () => {
    for (const guard of guards.splice(0)) await guard.close();
  });
  const guardOn = (store: Store, policy: Policy, more: object = {}): Guard => {
    const guard = createGuard({ agent: 'tester', session: 's1', policy, store, ...more });
    guards.push(guard);
    return guard;
  };
  const effectOf = async (guard: Guard, asked: ToolCall): Promise<string> => {
    const answer = await guard.authorize(asked, { approval: 'suspend' });
    if (answer.kind === 'permit') await answer.settle({ status: 'success' });
    return answer.decision.effect;
  };

  it('counts earlier calls that were allowed, by tool and by session', async () => {
    const { store } = open();
    const guard = guardOn(
      store,
      definePolicy({ id: 'f', evaluate: ({ tool }) => ({ effect: tool.name.startsWith('no') ? 'deny' : 'allow' }) }),
    );
    for (const name of ['a', 'a', 'b', 'no', 'no']) await effectOf(guard, call(name));
    await effectOf(guard, { tool: { server: 'x', name: 'a' }, args: {} });
    await effectOf(guard, call('a', { session: 's2' }));
    await effectOf(guard, call('a', { session: 's1"' }));
    const tools = await store.sessionCalls('s1');
    expect(tools.map(({ tool, count }) => [tool.server ?? '', tool.name, count])).toEqual([
      ['', 'a', 2],
      ['', 'b', 1],
      ['x', 'a', 1],
    ]);
    expect(countOf('a', tools)).toBe(3);
    expect(countOf('[narrow]a', tools)).toBe(2);
    expect(await store.sessionCalls('nobody')).toEqual([]);
    for (const name of ['constructor', '__proto__', 's']) expect(await store.sessionCalls(name)).toEqual([]);
  });

  it('the first upload of a session asks, later ones do not', async () => {
    const { store } = open();
    const policy = rules({ id: 'first', tools: ['upload'], when: `session.calls('upload') == 0`, effect: 'require_approval' });
    const guard = guardOn(store, policy);
    const asked = await guard.authorize(call('upload', { id: '1' }), { approval: 'suspend' });
    if (asked.kind !== 'pending') throw new Error(`expected an ask, got ${asked.kind}`);
    await guard.approvals.resolve(asked.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
    expect((await guard.authorize(call('upload', { id: '1' }))).kind).toBe('permit');
    expect(await effectOf(guard, call('upload', { id: '2' }))).toBe('allow');
    expect(await effectOf(guard, call('upload', { id: '3', session: 's2' }))).toBe('require_approval');
  });

  it('is recorded where it was read, and only there', async () => {
    const { store, entries } = open();
    const policy = rules(
      { id: 'many', tools: ['a'], when: `session.calls('a') > 5 || session.calls('b') > 5`, effect: 'deny' },
      { id: 'few', tools: ['b'], when: `session.calls('b') >= 0`, effect: 'allow' },
    );
    const guard = guardOn(store, policy);
    for (const name of ['a', 'a', 'b', 'c']) await effectOf(guard, call(name));
    const facts: unknown[] = [];
    for (const [of, entry] of entries().entries()) if (entry.kind === 'decision') facts.push((await store.opening(of))?.sections['facts']);
    expect(facts).toEqual([{ calls: { a: 0, b: 0 } }, { calls: { a: 1, b: 0 } }, { calls: { '[narrow]b': 0 } }, undefined]);
  });

  it('a unit whose counts are no longer so is stale, and one whose other counts changed is not', async () => {
    const { store } = open();
    const guard = guardOn(store, rules());
    for (const name of ['a', 'b']) await effectOf(guard, call(name));
    const body = {
      kind: 'decision',
      agent: 'tester',
      session: 's1',
      call: 'f'.repeat(32),
      tool: { name: 'a' },
      mode: 'enforce',
      effect: 'allow',
      would: 'allow',
      reason_code: 'POLICY_ALLOW_LOW_RISK',
      policy: { id: 'p', hash: 'a'.repeat(64) },
    } as const;
    const unit = (counted: Record<string, number>) => ({ kind: 'decide', body, call: { match: '' }, counted }) as const;
    for (const counted of [{ a: 0 }, { a: 2 }, { b: 1, a: 0 }, { '*': 1 }, { '[narrow]a': 0 }])
      expect(await store.commit(unit(counted))).toEqual({ kind: 'stale' });
    expect(await store.commit(unit({ a: 1, c: 0 }))).toMatchObject({ kind: 'decided' });
    expect(await store.commit({ ...unit({ a: 1 }), body: { ...body, call: 'e'.repeat(32) } })).toEqual({ kind: 'stale' });
  });

  it('64 calls at once are counted exactly, and none gives up', async () => {
    const { store, entries } = open();
    const guard = guardOn(store, atMost(40));
    const answers = await Promise.all(Array.from({ length: 64 }, (_, index) => effectOf(guard, call('a', { id: String(index) }))));
    expect(answers.filter((effect) => effect === 'allow')).toHaveLength(40);
    expect(allowed(entries())).toBe(40);
    const codes = entries().flatMap((entry) => (entry.kind === 'decision' && entry.effect === 'deny' ? [entry.reason_code] : []));
    expect(codes).toEqual(Array(24).fill('POLICY_DENY_HIGH_RISK'));
  });

  it('calls of other sessions and tools go on meanwhile', async () => {
    const { store, entries } = open();
    const guard = guardOn(store, atMost(3, 'a'));
    const calls = Array.from({ length: 60 }, (_, index) =>
      effectOf(guard, call(index % 2 === 0 ? 'a' : 'b', { id: String(index), session: `s${index % 3}` })),
    );
    const answers = await Promise.all(calls);
    expect(answers.filter((effect) => effect === 'allow')).toHaveLength(30 + 9);
    expect(entries().filter((entry) => entry.kind === 'decision' && entry.reason_code.startsWith('LEDGER'))).toEqual([]);
  });

  it('whoever waits for a person keeps nobody waiting', async () => {
    const { store } = open();
    const policy = rules(
      { id: 'ask', tools: ['ask'], when: `session.calls('*') >= 0`, effect: 'require_approval' },
      ...[{ id: 'count', tools: ['a'], when: `session.calls('*') > 100`, effect: 'deny' } as const],
    );
    const guard = guardOn(store, policy);
    const waiting = Array.from({ length: 8 }, (_, index) => guard.authorize(call('ask', { id: `ask-${index}` })));
    const others = await Promise.all(Array.from({ length: 30 }, (_, index) => effectOf(guard, call('a', { id: `a-${index}` }))));
    expect(new Set(others)).toEqual(new Set(['allow']));
    const pending = await vi.waitFor(async () => {
      const rows = await guard.approvals.list({ state: 'pending' });
      expect(rows).toHaveLength(8);
      return rows;
    }, 20_000);
    await Promise.all(pending.map(({ id }) => guard.approvals.resolve(id, { decision: 'approve' }, { id: 'alice', method: 'host' })));
    const kinds = (await Promise.all(waiting)).map(({ kind }) => kind);
    expect(kinds).toEqual(Array(8).fill('permit'));
  });

  it('forgets sessions it has not counted for long, and counts them anew', async () => {
    const { store } = open();
    const guard = guardOn(store, atMost(2));
    expect(await effectOf(guard, call('a'))).toBe('allow');
    for (let index = 0; index <= MAX_COUNTED_SESSIONS; index++) await store.sessionCalls(`other-${index}`);
    for (let index = 0; index <= 3; index++) await effectOf(guard, call('a', { session: `real-${index}` }));
    expect(await effectOf(guard, call('a'))).toBe('allow');
    expect(await effectOf(guard, call('a'))).toBe('deny');
  });

  it('a policy that asks for what it did not declare fails closed', async () => {
    const { store } = open();
    const policy = definePolicy({ id: 'f', evaluate: (input) => ({ effect: (input.countCalls?.('a') ?? 0) > 0 ? 'deny' : 'allow' }) });
    const broken: Policy = { ...policy, counts: ['b'] };
    expect(await effectOf(guardOn(store, broken), call('a'))).toBe('deny');
    const invalid: Policy = { ...policy, counts: ['a**'] };
    const guard = guardOn(store, invalid, { onError: () => undefined });
    const { decision } = await guard.authorize(call('a'));
    expect(decision.effect).toBe('deny');
  });
});

describe('two writers on one ledger', () => {
  it('count the calls of both', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const opened = [sqliteAt(path), sqliteAt(path)];
    const guards = opened.map(({ store }) => createGuard({ agent: 'tester', session: 's1', policy: atMost(10), store }));
    const answers = await Promise.all(
      Array.from({ length: 24 }, async (_, index) => {
        const answer = await (guards[index % 2] as Guard).authorize(call('a', { id: String(index) }));
        return answer.decision.reasonCode;
      }),
    );
    expect(answers.filter((code) => code === 'POLICY_DEFAULT_ALLOW')).toHaveLength(10);
    expect(answers.filter((code) => code === 'POLICY_DENY_HIGH_RISK')).toHaveLength(14);
    expect(allowed(opened[0]?.entries() ?? [])).toBe(10);
    for (const guard of guards) await guard.close();
    for (const { store } of opened) await store.close();
  });

  it('a row that was edited changes no count', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const { store } = sqliteAt(path);
    const guard = createGuard({ agent: 'tester', session: 's1', policy: atMost(2), store });
    for (const id of ['1', '2']) expect((await guard.authorize(call('a', { id }))).kind).toBe('permit');
    const database = new Sqlite(path);
    database.prepare(`UPDATE calls SET state = 'denied', session = 'other'`).run();
    database.close();
    expect((await guard.authorize(call('a', { id: '3' }))).kind).toBe('refusal');
    await guard.close();
    await store.close();
  });

  it.each([
    ['says it started later', `UPDATE sessions SET started_at = started_at + 5000`],
    ['says it starts only tomorrow', `UPDATE sessions SET started_at = started_at + 86400000`],
    ['says it started before the log', `UPDATE sessions SET started_at = 0`],
  ])('a row of the session that %s changes no count, in another process neither', async (_what, sql) => {
    const clock = fixedClock();
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path, { clock });
    const guard = createGuard({ agent: 'tester', session: 's1', policy: rules(), store });
    for (let index = 0; index < 4; index++) {
      expect((await guard.authorize(call('a', { session: 'other' }))).kind).toBe('permit');
      expect((await guard.authorize(call('a'))).kind).toBe('permit');
      clock.advance(2000);
    }
    await guard.close();
    await store.close();
    const database = new Sqlite(path);
    database.prepare(sql).run();
    database.close();
    const again = openLedger(path, { clock });
    expect(countOf('a', await again.sessionCalls('s1'))).toBe(4);
    await again.close();
  });

  it('a session whose row was taken away is known to whoever counted it', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const { store } = sqliteAt(path);
    const guard = createGuard({ agent: 'tester', session: 's1', policy: atMost(2), store });
    for (const id of ['1', '2']) expect((await guard.authorize(call('a', { id }))).kind).toBe('permit');
    const database = new Sqlite(path);
    database.prepare('DELETE FROM sessions').run();
    database.close();
    for (const id of ['3', '4']) expect((await guard.authorize(call('a', { id }))).kind).toBe('refusal');
    await guard.close();
    await store.close();
  });

  it('counts from the start of the session in a log that is older', async () => {
    const clock = fixedClock();
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path, { clock });
    const guard = createGuard({ agent: 'tester', session: 's1', policy: rules(), store });
    for (let index = 0; index < 20; index++) {
      await guard.authorize(call('a', { session: `old-${index}` }));
      clock.advance(1000);
    }
    for (let index = 0; index < 3; index++) await guard.authorize(call('a'));
    await guard.close();
    await store.close();
    const again = openLedger(path, { clock });
    expect(countOf('a', await again.sessionCalls('s1'))).toBe(3);
    expect(countOf('a', await again.sessionCalls('old-0'))).toBe(1);
    expect(countOf('a', await again.sessionCalls('old-19'))).toBe(1);
    await again.close();
  });
});

describe('session.calls in a rule', () => {
  it.each([
    ['session.calls()', /calls/],
    ['session.calls(args.p) > 0', /pattern in quotes/],
    ['session.calls("a**") > 0', /"\*\*" is not known/],
    ['session.calls("") > 0', /may not be empty/],
    ['session.calls("a", "b") > 0', /calls/],
  ])('%s is refused when it is loaded', (when, message) => {
    expect(() => rules({ id: 'r', tools: ['a'], when, effect: 'deny' })).toThrow(message);
  });

  it('is for rules about calls only', () => {
    expect(() => compileCost('session.calls("a") * 1.0', 'w')).toThrow(/use a budget/);
    expect(() => compileKey('string(session.calls("a"))', 'w')).toThrow(/use a budget/);
    expect(() => compileCondition('session.calls("a") > 0', 'w')).toThrow(/use a budget/);
    expect(() => budgetFrom({ id: 'b', per: 'agent', limit: 1, cost: 'session.calls("a") * 1.0' })).toThrow(CountersignError);
    expect(() => rules({ id: 'r', on: 'result', tools: ['a'], when: 'session.calls("a") > 0', effect: 'mask' })).toThrow(
      /rules about calls/,
    );
  });

  it('is declared by the policy, and by those it is composed into', () => {
    const some = rules({ id: 'r', tools: ['a'], when: 'session.calls("a") > 0', unless: 'session.calls("x/b") > 1', effect: 'deny' });
    const other = rules({ id: 'r', tools: ['a'], when: 'session.calls("a") > 0', effect: 'allow' });
    expect(some.counts).toEqual(['a', 'x/b']);
    expect(other.counts).toEqual(['[narrow]a']);
    expect(composePolicies([some, other, rules()]).counts).toEqual(['[narrow]a', 'a', 'x/b']);
    expect(rules().counts).toBeUndefined();
  });

  it('counts a bounded number of patterns', () => {
    const many = (count: number): Rule[] =>
      Array.from({ length: count }, (_, index) => ({
        id: `r${index}`,
        tools: ['a'],
        when: `session.calls('t${index}') > 0`,
        effect: 'deny',
      }));
    expect(() => rules(...many(MAX_COUNTED_PATTERNS))).not.toThrow();
    expect(() => rules(...many(MAX_COUNTED_PATTERNS + 1))).toThrow(/more than 64 patterns/);
  });
});

describe('turns', () => {
  it('are taken in order, by session, and may be ended twice', async () => {
    const turns = new SessionTurns();
    const order: string[] = [];
    const first = await turns.take('s');
    const waiting = ['b', 'c'].map(async (name) => {
      const turn = await turns.take('s');
      order.push(name);
      turn.end();
      turn.end();
    });
    const other = await turns.take('t');
    order.push('a');
    expect([turns.isTaken('s'), turns.isTaken('t'), turns.isTaken('u')]).toEqual([true, true, false]);
    other.end();
    first.end();
    first.end();
    await Promise.all(waiting);
    expect(order).toEqual(['a', 'b', 'c']);
    expect([turns.isTaken('s'), turns.isTaken('t')]).toEqual([false, false]);
  });
});
