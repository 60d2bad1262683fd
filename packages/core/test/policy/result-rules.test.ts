import { describe, expect, it } from 'vitest';
import type { ResultVerdict } from '../../src/call.ts';
import { parseConfig } from '../../src/config/load.ts';
import { definePolicy } from '../../src/policy/built-in.ts';
import { checkPolicySource } from '../../src/policy/check/check.ts';
import { composePolicies } from '../../src/policy/compose.ts';
import type { Policy, ResultFacts, ResultInput } from '../../src/policy/policy.ts';
import { evaluateResult } from '../../src/policy/result-verdict.ts';
import type { Rule } from '../../src/policy/rule-definition.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { policyInput } from './input.ts';

const FACTS: ResultFacts = {
  value: { body: 'hello', n: 3 },
  text: 'hello',
  size: 22,
  isError: false,
  secrets: [],
  instructions: ['override'],
  ansi: [],
  hidden: [],
};
const resultInput = (facts: Partial<ResultFacts> = {}): ResultInput => ({
  ...policyInput({ tool: { name: 'fetch' } }),
  result: { ...FACTS, ...facts },
});
const policyOf = (...rules: readonly Rule[]): Policy => rulePolicy({ id: 'p', rules });
const verdictOf = (policy: Policy, input: ResultInput = resultInput()): Promise<ResultVerdict> => evaluateResult(policy, input);

const LABEL: Rule = { id: 'web', on: 'result', tools: ['fetch'], effect: 'label', label: ['untrusted'] };
const MASK: Rule = { id: 'mask', on: 'result', tools: ['fetch'], effect: 'mask' };
const CUT: Rule = { id: 'cut', on: 'result', tools: ['fetch'], effect: 'truncate', max_chars: 100 };
const WITHHOLD: Rule = { id: 'no-orders', on: 'result', tools: ['*'], effect: 'withhold', message: 'ask the user' };

describe('a policy without rules on results', () => {
  it('has the hash it always had, and nothing to say about results', () => {
    const rules = [{ id: 'r', tools: ['refund'], effect: 'allow' as const, label: ['x'], raw: ['/a'] }];
    const policy = rulePolicy({ id: 'p', rules });
    expect(policy.hash).toBe('9c6cb6e66a79c8a740ff4396e03726bce7524c7bbf72f7c6b425455b0359e0f3');
    expect(rulePolicy({ id: 'p', rules: rules.map((rule) => ({ ...rule, on: 'call' as const })) }).hash).toBe(policy.hash);
    expect(policy).not.toHaveProperty('evaluateResult');
    expect(composePolicies([policy, rulePolicy({ id: 'q', rules: [] })])).not.toHaveProperty('evaluateResult');
    expect(definePolicy({ id: 'f', evaluate: () => ({ effect: 'allow' }) })).not.toHaveProperty('evaluateResult');
  });
});

describe('rules on results', () => {
  it('decide nothing about calls', () => {
    expect(policyOf(WITHHOLD, MASK, LABEL).evaluate(policyInput({ tool: { name: 'fetch' } }))).toEqual({ effect: 'abstain' });
  });

  it('are part of the hash', () => {
    const hashes = [policyOf(), policyOf(MASK), policyOf(CUT), policyOf({ ...CUT, max_chars: 101 }), policyOf(WITHHOLD)].map(
      ({ hash }) => hash,
    );
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it.each([
    [[LABEL], { action: 'label', rule: 'web', labels: ['untrusted'] }],
    [[LABEL, MASK], { action: 'mask', rule: 'mask', labels: ['untrusted'] }],
    [[CUT, MASK], { action: 'truncate', rule: 'cut', maxChars: 100, masks: true }],
    [[CUT, { ...CUT, id: 'short', max_chars: 5 }], { action: 'truncate', rule: 'short', maxChars: 5 }],
    [
      [{ ...MASK, label: ['secret-read'] }, CUT, LABEL, WITHHOLD],
      { action: 'withhold', rule: 'no-orders', message: 'ask the user', labels: ['secret-read', 'untrusted'] },
    ],
    [[{ ...WITHHOLD, when: 'result.is_error' }], { action: 'release' }],
    [[{ ...WITHHOLD, unless: "size(result.instructions) > 0 && result.text == 'hello'" }], { action: 'release' }],
    [[{ ...WITHHOLD, when: "result.value.n == 3 && result.size > 20 && 'override' in result.instructions" }], { action: 'withhold' }],
    [
      [{ ...WITHHOLD, when: "tool == 'fetch' && session.id == 's1' && size(result.secrets + result.ansi + result.hidden) == 0" }],
      { action: 'withhold' },
    ],
    [[{ ...WITHHOLD, tools: ['other'] }], { action: 'release' }],
  ] as const)('%j give %j, in any order', async (rules, expected) => {
    expect(await verdictOf(policyOf(...rules))).toMatchObject(expected);
    expect(await verdictOf(policyOf(...rules.toReversed()))).toEqual(await verdictOf(policyOf(...rules)));
  });

  it('reach wide: no server name escapes them', async () => {
    const input = { ...resultInput(), tool: { server: 'other', name: 'fetch' } };
    expect(await verdictOf(policyOf(MASK), input)).toMatchObject({ action: 'mask' });
    expect(policyOf(MASK).mayActOnResult?.({ server: 'other', name: 'fetch' })).toBe(true);
    expect(policyOf(MASK).mayActOnResult?.({ name: 'fetch2' })).toBe(false);
  });

  it.each([
    ['a missing key', 'result.value.nope == 1', {}],
    ['a comparison of types', 'result.value.n == "3"', {}],
    ['a result that could not be read', "result.text.contains('x')", { unreadable: true }],
    ['a detector that could not be run', 'size(result.instructions) > 0', { unreadable: true }],
  ])('withhold for %s, in audit mode too, and lose no label', async (_what, when, { unreadable }: { unreadable?: boolean }) => {
    const broken = (): never => {
      throw new Error('secret text');
    };
    const facts = Object.defineProperties({ ...FACTS }, { text: { get: broken }, instructions: { get: broken } });
    const input = { ...resultInput(), ...(unreadable === true && { result: facts }) };
    const verdict = await verdictOf(policyOf({ ...MASK, when }, LABEL), input);
    expect(verdict).toEqual({
      action: 'withhold',
      always: true,
      rule: 'mask',
      reasonCode: 'POLICY_EVALUATION_FAILED',
      labels: ['untrusted'],
    });
  });

  it('look for nothing that no rule asks about', async () => {
    const never = (): never => {
      throw new Error('looked');
    };
    const unread = Object.fromEntries(
      ['value', 'text', 'secrets', 'instructions', 'ansi', 'hidden'].map((name) => [name, { get: never, enumerable: true }]),
    );
    const facts = Object.defineProperties({ size: 7, isError: true }, unread) as unknown as ResultFacts;
    const input = { ...resultInput(), result: facts };
    expect(await verdictOf(policyOf({ ...WITHHOLD, when: 'result.is_error && result.size == 7' }), input)).toMatchObject({
      action: 'withhold',
    });
  });

  it('stand an infinite size', async () => {
    const policy = policyOf({ ...CUT, when: 'result.size > 100000' });
    expect(await verdictOf(policy, resultInput({ size: Number.POSITIVE_INFINITY }))).toMatchObject({ action: 'truncate' });
  });
});

it('load from a configuration, conditions and all', () => {
  const file = (when: string): string =>
    `version: 1\nagent: a\npolicy: { id: p, rules: [{ id: r, on: result, tools: ['*'], when: "${when}", effect: withhold, message: no }] }\n`;
  expect(parseConfig(file('size(result.instructions) > 0'), { path: 'c.yaml' }).policy.mayActOnResult?.({ name: 'x' })).toBe(true);
  expect(() => parseConfig(file('results.size > 1'), { path: 'c.yaml' })).toThrow(/unknown variable/);
  const { findings } = checkPolicySource(
    `id: p\nrules:\n  - { id: a, on: result, tools: ['*'], effect: mask }\n  - { id: b, on: result, tools: [x], effect: mask }\n  - { id: no, tools: ['*'], effect: deny }\n`,
  );
  expect(findings).toEqual([]);
});

describe('what is refused at load', () => {
  it.each([
    [{ ...MASK, on: undefined }, /"mask": effect mask is for rules with on: result/],
    [{ ...MASK, on: 'results' as never }, /on must be one of call, result/],
    [{ ...MASK, effect: 'allow' as const }, /must be one of label, mask, truncate, withhold: the call has run already/],
    [{ ...MASK, effect: 'constructor' as never }, /must be one of label/],
    [{ ...MASK, max_chars: 5 }, /max_chars belongs to effect truncate/],
    [{ ...MASK, message: 'x' }, /message belongs to effects truncate and withhold/],
    [{ ...MASK, reason: 'x' }, /message in place of a reason/],
    [{ ...MASK, approval: {} }, /nobody can be asked about a result/],
    [{ ...CUT, max_chars: undefined }, /truncate needs max_chars/],
    [{ ...CUT, max_chars: 0 }, /truncate needs max_chars/],
    [{ ...CUT, max_chars: 1.5 }, /truncate needs max_chars/],
    [{ ...CUT, max_chars: 10_000_001 }, /truncate needs max_chars/],
    [{ ...LABEL, label: undefined }, /names its labels/],
    [{ ...LABEL, label: ['a b'] }, /label is a list/],
    [{ ...WITHHOLD, message: 'x'.repeat(501) }, /at most 500 characters/],
    [{ ...WITHHOLD, when: 'results.size > 1' }, /unknown variable "results"/],
    [{ ...WITHHOLD, when: 'result.instruction' }, /result|field|key/i],
    [{ ...WITHHOLD, when: 'result.size' }, /must be true or false/],
    [{ id: 'r', tools: ['*'], effect: 'deny' as const, when: 'result.size > 1' }, /only a rule with on: result can see what came back/],
    [{ id: 'r', tools: ['*'], effect: 'deny' as const, max_chars: 4 }, /max_chars belongs to/],
    [{ id: 'r', tools: ['*'], effect: 'deny' as const, message: 'x' }, /message belongs to rules with on: result/],
  ] as readonly (readonly [Rule, RegExp])[])('%j', (rule, message) => {
    expect(() => policyOf(rule)).toThrow(message);
  });

  it('a word of call rules that happens to be called result is theirs', () => {
    expect(() => policyOf({ id: 'r', tools: ['*'], effect: 'deny', when: 'args.list.exists(result, result > 1)' })).not.toThrow();
  });
});

describe('what others say of results', () => {
  const said = (answer: unknown): Policy => ({ ...policyOf(), evaluateResult: () => answer as ResultVerdict });
  const FAILED = { action: 'withhold', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' };

  it.each([
    ['nothing', undefined],
    ['a text', 'withhold'],
    ['an unknown action', { action: 'hide' }],
    ['a name objects have', { action: 'constructor' }],
    ['a cut of no length', { action: 'truncate' }],
    ['a cut of a length that is none', { action: 'truncate', maxChars: -1 }],
    ['a length without a cut', { action: 'mask', maxChars: 5 }],
    ['labels that are none', { action: 'label', labels: [3] }],
    ['a rule that is no name', { action: 'mask', rule: '' }],
    [
      'a getter that throws',
      Object.defineProperty({}, 'action', {
        enumerable: true,
        get: () => {
          throw new Error('no');
        },
      }),
    ],
    ['a rejection', { then: (_answer: unknown, fail: (error: Error) => void) => fail(new Error('no')) }],
  ])('withholds for %s', async (_what, answer) => {
    expect(await evaluateResult(said(answer), resultInput())).toEqual(FAILED);
  });

  it('withholds when the policy throws', async () => {
    const policy = definePolicy({
      id: 'f',
      evaluate: () => ({ effect: 'allow' }),
      evaluateResult: () => {
        throw new Error('no');
      },
    });
    expect(await evaluateResult(policy, resultInput())).toEqual(FAILED);
    expect(policy.document).toContain('result_source');
  });

  it('is bounded', async () => {
    const verdict = await evaluateResult(said({ action: 'withhold', message: 'x'.repeat(9999), other: 1 }), resultInput());
    expect(verdict).toEqual({ action: 'withhold', message: 'x'.repeat(500) });
  });

  it.each([
    [[MASK], [LABEL], { action: 'mask', rule: 'mask', labels: ['untrusted'] }],
    [[CUT], [MASK], { action: 'truncate', maxChars: 100, masks: true }],
    [[WITHHOLD], [{ ...LABEL, label: ['b', 'a'] }], { action: 'withhold', labels: ['a', 'b'] }],
    [[WITHHOLD], [{ ...WITHHOLD, id: 'broken', when: 'result.value.nope' }], { action: 'withhold', always: true, rule: 'broken' }],
  ] as const)('composes %j and %j: the strictest wins, labels unite', async (one, other, expected) => {
    const [left, right] = [policyOf(...one), rulePolicy({ id: 'q', rules: other })];
    expect(await verdictOf(composePolicies([left, right]))).toMatchObject(expected);
    expect(await verdictOf(composePolicies([right, left]))).toEqual(await verdictOf(composePolicies([left, right])));
  });

  it('a member that fails withholds for all', async () => {
    expect(await verdictOf(composePolicies([policyOf(MASK), said({ action: 'x' })]))).toMatchObject(FAILED);
    expect(composePolicies([policyOf(MASK), policyOf()]).mayActOnResult?.({ name: 'other' })).toBe(false);
    expect(composePolicies([policyOf(MASK), said({ action: 'x' })]).mayActOnResult?.({ name: 'other' })).toBe(true);
  });
});
