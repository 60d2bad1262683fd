/** What is not offered is certain to be refused; whatever is not certain is offered. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import {
  allowAll,
  composePolicies,
  createGuard,
  definePolicy,
  denyAll,
  type Effect,
  type Guard,
  type GuardOptions,
  type Policy,
  toolPolicy,
} from '../../src/index.ts';
import type { Rule } from '../../src/policy/rule-definition.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { type MemoryStore, memoryStore } from '../../src/testing/index.ts';

function guardOf(policy: GuardOptions['policy'], more: Partial<GuardOptions> = {}): { readonly guard: Guard; readonly store: MemoryStore } {
  const store = memoryStore();
  return { store, guard: createGuard({ agent: 'bot', policy, store, session: 's1', ...more }) };
}

function rules(...given: readonly Omit<Rule, 'id'>[]): Policy {
  return rulePolicy({ id: 'p', rules: given.map((rule, index) => ({ id: `r${index}`, ...rule })) });
}

async function hidden(guard: Guard, ...names: readonly string[]): Promise<readonly string[]> {
  const offers = await guard.offers(names.map((name) => ({ name })));
  return offers.flatMap(({ tool, denial }) => (denial === undefined ? [] : [`${tool.name} ${denial.reasonCode}`]));
}

async function label(store: MemoryStore, name: string): Promise<void> {
  const policy = rules({ tools: ['mark'], effect: 'allow', label: [name] });
  await createGuard({ agent: 'bot', policy, store, session: 's1' }).run({ tool: { name: 'mark' }, args: {} }, () => 1);
}

describe('guard.offers', () => {
  it('keeps back what no rule could let through, and what a rule denies whatever is asked for', async () => {
    const { guard } = guardOf(
      rules(
        { tools: ['read'], effect: 'allow' },
        { tools: ['pay'], effect: 'require_approval' },
        { tools: ['erase', 'list'], effect: 'deny' },
        { tools: ['list'], effect: 'allow' },
      ),
    );
    expect(await hidden(guard, 'read', 'pay', 'erase', 'list', 'unheard')).toEqual([
      'erase POLICY_DENY_HIGH_RISK',
      'list POLICY_DENY_HIGH_RISK',
      'unheard POLICY_DEFAULT_DENY',
    ]);
  });

  it.each([
    ['a deny that depends on arguments', rules({ tools: ['t'], effect: 'allow' }, { tools: ['t'], effect: 'deny', when: 'args.n > 1' })],
    ['an allow that depends on arguments', rules({ tools: ['t'], effect: 'allow', when: 'args.n > 1' })],
    ['an ask that depends on findings', rules({ tools: ['t'], effect: 'require_approval', when: 'size(findings) > 0' })],
    [
      'a deny that depends on the time',
      rules({ tools: ['t'], effect: 'allow' }, { tools: ['t'], effect: 'deny', unless: 'time > session.started' }),
    ],
    [
      'a deny by the calls before',
      rules({ tools: ['t'], effect: 'allow' }, { tools: ['t'], effect: 'deny', when: "session.calls('x') >= 0" }),
    ],
    [
      'a deny by raw arguments',
      rules({ tools: ['t'], effect: 'allow' }, { tools: ['t'], effect: 'deny', when: "'/a' in raw", raw: ['/a'] }),
    ],
    ['a deny by the cost', rules({ tools: ['t'], effect: 'allow' }, { tools: ['t'], effect: 'deny', when: 'cost >= 0.0' })],
    [
      'a deny by what the author says of the tool',
      rules({ tools: ['t'], effect: 'allow' }, { tools: ['t'], effect: 'deny', when: 'has(annotations.title)' }),
    ],
    ['a function', definePolicy({ id: 'f', evaluate: () => ({ effect: 'deny' }) })],
    ['a function of the tool', toolPolicy({ id: 'f', tools: { t: { args: z.object({}), evaluate: () => ({ effect: 'deny' }) } } })],
    ['a default that allows', rulePolicy({ id: 'p', default: 'allow', rules: [] })],
    ['a default that asks', rulePolicy({ id: 'p', default: 'require_approval', rules: [] })],
  ])('offers what may be: %s', async (_what, policy) => {
    expect(await hidden(guardOf(policy).guard, 't')).toEqual([]);
  });

  it.each<readonly [string, readonly Policy[], readonly string[]]>([
    [
      'nobody lets it through',
      [rules({ tools: ['a'], effect: 'allow' }), rules({ tools: ['b'], effect: 'allow' })],
      ['t POLICY_DEFAULT_DENY'],
    ],
    ['one allows and the others say nothing', [rules({ tools: ['t'], effect: 'allow' }), rules({ tools: ['b'], effect: 'allow' })], []],
    ['one denies', [allowAll(), rules({ tools: ['t'], effect: 'deny' })], ['t POLICY_DENY_HIGH_RISK']],
    [
      'one denies, another is a function',
      [definePolicy({ id: 'f', evaluate: () => ({ effect: 'allow' }) }), denyAll()],
      ['t POLICY_DENY_HIGH_RISK'],
    ],
    ['one cannot tell', [definePolicy({ id: 'f', evaluate: () => ({ effect: 'abstain' }) }), rules()], []],
    [
      'functions of other tools',
      [toolPolicy({ id: 'f', tools: { x: { args: z.object({}), evaluate: () => ({ effect: 'allow' }) } } })],
      ['t POLICY_DEFAULT_DENY'],
    ],
  ])('among several policies: %s', async (_what, policies, expected) => {
    expect(await hidden(guardOf(composePolicies(policies)).guard, 't')).toEqual(expected);
  });

  it('follows the labels of the session it is asked for', async () => {
    const { guard, store } = guardOf(
      rules({ tools: ['read', 'send'], effect: 'allow' }, { tools: ['send'], effect: 'deny', when: "'untrusted' in session.labels" }),
    );
    expect(await hidden(guard, 'read', 'send')).toEqual([]);
    await label(store, 'untrusted');
    expect(await hidden(guard, 'read', 'send')).toEqual(['send POLICY_DENY_HIGH_RISK']);
    const [other] = await guard.offers([{ name: 'send' }], { session: 's2' });
    expect(other?.denial).toBeUndefined();
  });

  it('knows on whose behalf it is asked', async () => {
    const { guard } = guardOf(rules({ tools: ['t'], effect: 'allow', when: "principal == 'ana'" }));
    const [ana] = await guard.offers([{ name: 't' }], { principal: 'ana' });
    const [eve] = await guard.offers([{ name: 't' }], { principal: 'eve' });
    expect([ana?.denial, eve?.denial?.reasonCode]).toEqual([undefined, 'POLICY_DEFAULT_DENY']);
  });

  it('keeps back everything in a halted session', async () => {
    const { guard, store } = guardOf(allowAll());
    await store.commit({ kind: 'record', body: { kind: 'session', agent: 'bot', session: 's1', event: 'halted' } });
    expect(await hidden(guard, 't')).toEqual(['t SESSION_HALTED']);
  });

  it('offers everything in audit mode, and in confirm mode what would be asked about', async () => {
    const policy = rules({ tools: ['t'], effect: 'deny' });
    expect(await hidden(guardOf(policy, { mode: 'audit' }).guard, 't', 'u')).toEqual([]);
    expect(await hidden(guardOf(policy, { mode: 'confirm' }).guard, 't', 'u')).toEqual(['t POLICY_DENY_HIGH_RISK']);
  });

  it('keeps everything back while the store cannot be read, says so, and does not throw', async () => {
    const errors: unknown[] = [];
    const { guard, store } = guardOf(allowAll(), { onError: (error) => errors.push(error) });
    store.session = () => Promise.reject(new Error('gone'));
    expect(await hidden(guard, 't')).toEqual(['t INTERNAL_ERROR']);
    expect(errors).toHaveLength(1);
  });

  it.each<readonly [string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['gives nonsense', () => ({ effect: 'maybe' })],
    ['gives a promise', () => Promise.resolve({ effect: 'deny' })],
    ['would let everything through', () => ({ effect: 'allow' })],
  ])('a policy whose foresight %s foresees nothing', async (_what, foresee) => {
    const policy = { ...allowAll(), foresee } as unknown as Policy;
    expect(await hidden(guardOf(policy).guard, 't')).toEqual([]);
  });

  it('a name that no call may have is kept back', async () => {
    const { guard } = guardOf(allowAll());
    expect(await hidden(guard, '', 'a\u0000b', 'constructor', '__proto__')).toEqual([' ARGUMENTS_INVALID', 'a\u0000b ARGUMENTS_INVALID']);
  });

  it('writes nothing', async () => {
    const { guard, store } = guardOf(denyAll());
    await guard.offers([{ name: 't' }]);
    expect(store.entries()).toEqual([]);
  });
});

const EFFECTS: readonly Effect[] = ['allow', 'deny', 'require_approval'];
const condition = fc.constantFrom(
  undefined,
  'true',
  'false',
  'args.nope == 1',
  'args.n > 1',
  "'seen' in session.labels",
  "!('seen' in session.labels)",
  "principal == 'ana' || args.n > 1",
  "principal.startsWith('a')",
  "session.calls('t') > 0",
  'session.labels[0] == "seen"',
  'size(session.labels) > 0',
);
const anyRule = fc.record({
  tools: fc.constantFrom(['t'], ['*'], ['other'], ['*/*'], ['shop/*'], ['shop/t', 'other']),
  effect: fc.constantFrom(...EFFECTS),
  when: condition,
  unless: condition,
});
const anyPolicy = fc
  .record({ given: fc.array(anyRule, { maxLength: 4 }), fallback: fc.constantFrom(...EFFECTS) })
  .map(({ given, fallback }) => rulePolicy({ id: 'p', default: fallback, rules: given.map((rule, at) => ({ id: `r${at}`, ...rule })) }));

it('whatever its arguments, a call of a tool that was kept back is refused', async () => {
  let kept = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPolicy, { minLength: 1, maxLength: 3 }),
      fc.record({
        seen: fc.boolean(),
        server: fc.constantFrom(undefined, 'shop'),
        principal: fc.constantFrom(undefined, 'ana', 'eve'),
        mode: fc.constantFrom('enforce', 'confirm', 'audit' as const),
        args: fc.array(fc.oneof(fc.record({ n: fc.integer({ min: 0, max: 3 }) }), fc.jsonValue()), { minLength: 1, maxLength: 4 }),
      }),
      async (policies, { seen, server, principal, mode, args }) => {
        const { guard, store } = guardOf(policies, { mode });
        if (seen) await label(store, 'seen');
        const tool = { name: 't', ...(server !== undefined && { server }) };
        const [offer] = await guard.offers([tool], { ...(principal !== undefined && { principal }) });
        if (offer?.denial === undefined) return;
        kept++;
        for (const given of args) {
          const authorization = await guard.authorize(
            { tool, args: given, ...(principal !== undefined && { principal }) },
            { approval: 'suspend' },
          );
          expect(authorization.kind).toBe('refusal');
        }
      },
    ),
    { numRuns: 200 },
  );
  expect(kept).toBeGreaterThan(20);
});
