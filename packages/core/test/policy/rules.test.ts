import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/call.ts';
import { CountersignError } from '../../src/errors.ts';
import { policyHash } from '../../src/policy/hash.ts';
import { compileToolPattern, type ToolPattern } from '../../src/policy/patterns.ts';
import type { Rule, RuleSet } from '../../src/policy/rule-definition.ts';
import { MAX_REMEMBERED_TOOLS, ruleIndex } from '../../src/policy/rule-index.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { mergeTerms } from '../../src/policy/terms.ts';
import { policyInput } from './input.ts';

function policyOf(...rules: readonly Rule[]) {
  return rulePolicy({ id: 'p', rules });
}

const ALLOW: Rule = { id: 'allow', tools: ['refund'], effect: 'allow' };
const DENY: Rule = { id: 'deny', tools: ['refund'], effect: 'deny' };
const ASK: Rule = { id: 'ask', tools: ['refund'], effect: 'require_approval' };
const FAILING = 'args.nope == 1';

describe('verdicts', () => {
  it('abstains when no rule matches', () => {
    expect(policyOf(ALLOW).evaluate(policyInput({ tool: { name: 'other' } }))).toEqual({ effect: 'abstain' });
    expect(policyOf({ ...ALLOW, when: 'false' }, { ...DENY, when: 'false' }, { ...ASK, unless: 'true' }).evaluate(policyInput())).toEqual({
      effect: 'abstain',
    });
    expect(policyOf().evaluate(policyInput())).toEqual({ effect: 'abstain' });
  });

  it('gives rule, reason and reason code', () => {
    expect(policyOf(ALLOW).evaluate(policyInput())).toEqual({ effect: 'allow', rule: 'allow', reasonCode: 'POLICY_ALLOW_LOW_RISK' });
    expect(policyOf({ ...DENY, reason: 'no', reason_code: 'MY_CODE' }).evaluate(policyInput())).toEqual({
      effect: 'deny',
      rule: 'deny',
      reason: 'no',
      reasonCode: 'MY_CODE',
    });
    expect(policyOf(ASK).evaluate(policyInput())).toEqual({
      effect: 'require_approval',
      rule: 'ask',
      reasonCode: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
      terms: {},
    });
    expect(policyOf(DENY).evaluate(policyInput())).toEqual({ effect: 'deny', rule: 'deny', reasonCode: 'POLICY_DENY_HIGH_RISK' });
  });

  it.each([
    [[ALLOW, ASK, DENY], 'deny'],
    [[DENY, ASK, ALLOW], 'deny'],
    [[ALLOW, ASK], 'ask'],
    [[ASK, ALLOW], 'ask'],
    [[ALLOW, DENY], 'deny'],
  ])('the most restrictive wins in any order', (rules, winner) => {
    expect(policyOf(...rules).evaluate(policyInput())).toMatchObject({ rule: winner });
  });

  it('applies when `when` holds and `unless` does not', () => {
    const rule: Rule = { ...DENY, when: 'args.a == 1', unless: 'args.b == 1' };
    const effect = (a: number, b: number) => policyOf(rule).evaluate(policyInput({ args: { a, b } }));
    expect(effect(1, 0)).toMatchObject({ effect: 'deny' });
    expect(effect(1, 1)).toEqual({ effect: 'abstain' });
    expect(effect(0, 0)).toEqual({ effect: 'abstain' });
  });

  it('reaches wide for deny, narrow for allow', () => {
    const onServer = policyInput({ tool: { server: 'evil', name: 'refund' } });
    expect(policyOf(ALLOW).evaluate(onServer)).toEqual({ effect: 'abstain' });
    expect(policyOf(DENY).evaluate(onServer)).toMatchObject({ effect: 'deny' });
    expect(policyOf(ASK).evaluate(onServer)).toMatchObject({ effect: 'require_approval' });
  });

  it.each(['fs/delete', 'x/delete'])('a deny is not escaped by a name that carries its server: %s', (name) => {
    const policy = policyOf({ id: 'd', tools: ['fs/delete', 'x/delete'], effect: 'deny' }, { id: 'a', tools: ['*/*'], effect: 'allow' });
    expect(policy.evaluate(policyInput({ tool: { name } }))).toMatchObject({ effect: 'deny' });
  });

  it('adding a deny or ask rule never allows more', () => {
    const effects: readonly Effect[] = ['allow', 'deny', 'require_approval'];
    const condition = fc.constantFrom(undefined, 'true', 'false', FAILING, 'args.n > 1');
    const rule = fc.record({
      tools: fc.constantFrom(['refund'], ['*'], ['other'], ['*/*']),
      effect: fc.constantFrom(...effects),
      when: condition,
      unless: condition,
    });
    const strictness = { abstain: 0, allow: 0, require_approval: 1, deny: 2 };
    expect(
      fc.check(
        fc.property(fc.array(rule, { maxLength: 6 }), rule, fc.integer({ min: 0, max: 3 }), (rules, extra, n) => {
          const named = rules.map((one, index): Rule => ({ id: `r${index}`, ...one }));
          const more: Rule = { id: 'extra', ...extra, effect: extra.effect === 'allow' ? 'deny' : extra.effect };
          const input = policyInput({ args: { n } });
          const before = policyOf(...named).evaluate(input);
          const after = policyOf(...named, more).evaluate(input);
          if (before instanceof Promise || after instanceof Promise) return false;
          const forcedBefore = before.effect === 'deny' && before.always === true;
          const forcedAfter = after.effect === 'deny' && after.always === true;
          return strictness[after.effect] >= strictness[before.effect] && (!forcedBefore || forcedAfter);
        }),
      ).failed,
    ).toBe(false);
  });
});

describe('rules that cannot be evaluated', () => {
  it.each([DENY, ASK])('$effect denies, in audit mode too, and names the rule', (rule) => {
    for (const key of ['when', 'unless'] as const) {
      expect(policyOf(ALLOW, { ...rule, [key]: FAILING }).evaluate(policyInput())).toEqual({
        effect: 'deny',
        always: true,
        rule: rule.id,
        reasonCode: 'POLICY_EVALUATION_FAILED',
        reason: `policy rule "${rule.id}" ${key}: missing key at "args.nope"`,
      });
    }
  });

  it('an allow rule does not apply, and the abstention says why', () => {
    expect(policyOf({ ...ALLOW, when: FAILING }).evaluate(policyInput())).toEqual({
      effect: 'abstain',
      reason: 'an allow rule did not apply: policy rule "allow" when: missing key at "args.nope"',
    });
    expect(policyOf({ ...ALLOW, when: FAILING }, { ...ALLOW, id: 'other' }).evaluate(policyInput())).toMatchObject({
      effect: 'allow',
      rule: 'other',
    });
    expect(policyOf({ ...ALLOW, when: FAILING }, ASK).evaluate(policyInput())).toMatchObject({ effect: 'require_approval' });
  });

  it('a failing rule outranks a deny that would end with audit mode', () => {
    expect(policyOf(DENY, { ...ASK, when: FAILING }).evaluate(policyInput())).toMatchObject({ always: true, rule: 'ask' });
  });

  it('a rule of another tool does not matter', () => {
    expect(policyOf(ALLOW, { ...DENY, tools: ['other'], when: FAILING }).evaluate(policyInput())).toMatchObject({ effect: 'allow' });
  });
});

describe('merged terms and labels', () => {
  it('takes the highest quorum, the shortest ttl, the common approvers', () => {
    const policy = policyOf(
      { ...ASK, id: 'a', approval: { ttl: '5m', quorum: 1, approvers: ['x', 'y', 'z'] } },
      { ...ASK, id: 'b', approval: { ttl: '90s', quorum: 2, approvers: ['z', 'y', 'y', 'w'] } },
      { ...ASK, id: 'c' },
    );
    expect(policy.evaluate(policyInput())).toMatchObject({ rule: 'a', terms: { ttlMs: 90_000, quorum: 2, approvers: ['y', 'z'] } });
  });

  it('denies what nobody could approve', () => {
    const disjoint = policyOf({ ...ASK, id: 'a', approval: { approvers: ['x'] } }, { ...ASK, id: 'b', approval: { approvers: ['y'] } });
    expect(disjoint.evaluate(policyInput())).toEqual({
      effect: 'deny',
      rule: 'a',
      reasonCode: 'POLICY_DENY_HIGH_RISK',
      reason: 'nobody can approve for all of these rules: a, b',
    });
    const tooFew = policyOf({ ...ASK, id: 'a', approval: { approvers: ['x', 'y'] } }, { ...ASK, id: 'b', approval: { quorum: 3 } });
    expect(tooFew.evaluate(policyInput())).toMatchObject({ effect: 'deny' });
  });

  it.each([
    [[], {}],
    [[{}, {}], {}],
    [[{ quorum: 2 }, {}], { quorum: 2 }],
    [[{ approvers: ['a'] }, {}], { approvers: ['a'] }],
    [[{ approvers: ['a'] }, { approvers: [] }], undefined],
    [[{ approvers: ['a'], quorum: 2 }], undefined],
    [[{ approvers: ['constructor'] }, { approvers: ['__proto__'] }], undefined],
  ])('mergeTerms(%j) is %j', (terms, expected) => expect(mergeTerms(terms)).toEqual(expected));

  it('merges labels of every matching allow and ask rule', () => {
    const allows: readonly Rule[] = [
      { ...ALLOW, id: 'a', label: ['x', 'y'] },
      { ...ALLOW, id: 'b', label: ['y', 'z'] },
      { ...ALLOW, id: 'c', label: ['no'], when: 'false' },
    ];
    expect(policyOf(...allows).evaluate(policyInput())).toMatchObject({ effect: 'allow', rule: 'a', labels: ['x', 'y', 'z'] });
    expect(policyOf(...allows, { ...ASK, label: ['w'] }).evaluate(policyInput())).toMatchObject({
      rule: 'ask',
      labels: ['w', 'x', 'y', 'z'],
    });
    expect(policyOf(...allows, DENY).evaluate(policyInput())).not.toHaveProperty('labels');
  });
});

describe('document and hash', () => {
  const definition: RuleSet = { id: 'p', version: '3', rules: [{ ...ASK, approval: { ttl: '5m' }, label: ['l'] }] };

  it('is canonical JSON of the normal form, hashed with its domain', () => {
    const policy = rulePolicy(definition);
    expect(policy.document).toBe(
      '{"default":"deny","id":"p","kind":"rules","rules":[{"approval":{"ttl_ms":300000},"effect":"require_approval","id":"ask","label":["l"],"tools":["refund"]}],"version":"3"}',
    );
    expect(policy.hash).toBe(policyHash(policy.document));
    expect(policy.hash).toMatch(/^[0-9a-f]{64}$/);
    expect({ id: policy.id, version: policy.version, default: policy.default }).toEqual({ id: 'p', version: '3', default: 'deny' });
  });

  it('is equal for two ways to write one thing and differs for everything else', () => {
    const same: RuleSet = {
      rules: [{ label: ['l'], approval: { ttl: '300s' }, effect: 'require_approval', tools: ['refund'], id: 'ask', when: undefined }],
      default: 'deny',
      version: '3',
      id: 'p',
    };
    expect(rulePolicy(same).hash).toBe(rulePolicy(definition).hash);
    const others: readonly RuleSet[] = [
      { ...definition, id: 'q' },
      { ...definition, version: '4' },
      { ...definition, default: 'allow' },
      { ...definition, rules: [] },
      { ...definition, rules: [{ ...ASK, approval: { ttl: '6m' }, label: ['l'] }] },
      { ...definition, rules: [{ ...ASK, approval: { ttl: '5m' }, label: ['l'], when: 'true' }] },
      { ...definition, rules: [{ ...ASK, approval: { ttl: '5m' }, label: ['l'], unless: 'true' }] },
      { ...definition, rules: [{ ...ASK, approval: { ttl: '5m' }, label: ['l'], reason: 'x' }] },
      { ...definition, rules: [{ ...ASK, approval: { ttl: '5m' }, label: ['l'], raw: ['/a'] }] },
    ];
    expect(new Set([definition, ...others].map((one) => rulePolicy(one).hash)).size).toBe(others.length + 1);
  });
});

describe('definitions out of shape', () => {
  const broken: readonly unknown[] = [
    { ...ALLOW, id: '' },
    { ...ALLOW, id: 'a b' },
    { ...ALLOW, id: 5 },
    { ...ALLOW, effect: 'Allow' },
    { ...ALLOW, effect: 'constructor' },
    { ...ALLOW, tools: [] },
    { ...ALLOW, tools: 'refund' },
    { ...ALLOW, tools: [5] },
    { ...ALLOW, tools: ['**'] },
    { ...ALLOW, when: '' },
    { ...ALLOW, when: 'args.' },
    { ...ALLOW, when: true },
    { ...ALLOW, reason: 5 },
    { ...ALLOW, reason_code: 'low' },
    { ...ALLOW, label: ['a b'] },
    { ...ALLOW, label: 'a' },
    { ...DENY, label: ['a'] },
    { ...ALLOW, approval: {} },
    { ...ASK, approval: { ttl: 5 } },
    { ...ASK, approval: { ttl: '5' } },
    { ...ASK, approval: { quorum: 0 } },
    { ...ASK, approval: { quorum: 1.5 } },
    { ...ASK, approval: { quorum: 17 } },
    { ...ASK, approval: { approvers: [] } },
    { ...ASK, approval: { approvers: ['a', 'a'], quorum: 2 } },
    { ...ALLOW, raw: ['x'] },
    { ...ALLOW, raw: ['/~2'] },
    null,
    5,
  ];
  it.each(broken.map((rule) => [rule]))('refuses %j', (rule) => {
    expect(() => rulePolicy({ id: 'p', rules: [rule as Rule] })).toThrow(CountersignError);
  });

  it('refuses ids used twice, odd policies and too many rules', () => {
    expect(() => policyOf(ALLOW, { ...DENY, id: 'allow' })).toThrow('policy rule "allow": another rule has this id');
    expect(() => rulePolicy({ id: '', rules: [] })).toThrow(CountersignError);
    expect(() => rulePolicy({ id: 'p', rules: 5 as never })).toThrow(CountersignError);
    expect(() => rulePolicy({ id: 'p', default: 'abstain' as never, rules: [] })).toThrow(CountersignError);
    expect(() => rulePolicy({ id: 'p', version: 3 as never, rules: [] })).toThrow(CountersignError);
    for (const count of [20_001, 100_000])
      expect(() => rulePolicy({ id: 'p', rules: Array.from({ length: count }, (_, index) => ({ ...ALLOW, id: `r${index}` })) })).toThrow(
        'at most 20000',
      );
  });
});

describe('the rule index', () => {
  const entries = ['a', 'fs/*', '*', 'b/c', 'f*/x', '*/c', 'b/*', 'fs/*/*'].map((source) => ({
    rule: source,
    patterns: [compileToolPattern(source, 'wide', 'w')],
  }));

  it('finds the same rules as trying all of them, in definition order', () => {
    const index = ruleIndex(entries, (rules) => rules);
    const names = ['a', 'b', 'c', 'b/c', 'fs/x', '', '*', 'constructor', '__proto__'];
    for (const server of [undefined, '', 'fs', 'b', 'fs/', 'constructor']) {
      for (const name of names) {
        const tool = server === undefined ? { name } : { server, name };
        const expected = entries.filter((entry) => entry.patterns.some((pattern) => pattern.matches(tool))).map((entry) => entry.rule);
        for (let round = 0; round < 2; round++) expect(index.find(tool)).toEqual(expected);
      }
    }
  });

  it('does not confuse server and name', () => {
    const index = ruleIndex([{ rule: 1, patterns: [compileToolPattern('a/bc', 'narrow', 'w')] }], (rules) => rules.length);
    expect(index.find({ server: 'ab', name: 'c' })).toBe(0);
    expect(index.find({ server: 'a', name: 'bc' })).toBe(1);
    expect(index.find({ name: 'a/bc' })).toBe(0);
    expect(index.find({ server: 'a', name: 'bc' })).toBe(1);
  });

  it('does not grow with hostile names', () => {
    const index = ruleIndex(entries, (rules) => rules);
    for (let count = 0; count < MAX_REMEMBERED_TOOLS * 2; count++) index.find({ name: `tool-${count}` });
    expect(index.size).toBe(MAX_REMEMBERED_TOOLS);
    const before = index.size;
    expect(index.find({ name: 'x'.repeat(100_000) })).toEqual(['*']);
    expect(index.size).toBe(before);
  });

  it('tries only the rules that can match a tool: those of its name, of its server, and those with a wildcard for both', () => {
    let tried = 0;
    const counting = (source: string): ToolPattern => {
      const pattern = compileToolPattern(source, 'wide', 'w');
      return { ...pattern, matches: (tool) => (tried++, pattern.matches(tool)) };
    };
    const sources = Array.from({ length: 10_000 }, (_, at) => (at % 2 === 0 ? `server-${at}/*` : `tool-${at}`));
    const index = ruleIndex(
      [...sources, '*/read_*'].map((source) => ({ rule: source, patterns: [counting(source)] })),
      (rules) => rules,
    );
    expect(index.find({ server: 'server-4', name: 'read_all' })).toEqual(['server-4/*', '*/read_*']);
    expect(index.find({ name: 'tool-9' })).toEqual(['tool-9']);
    expect(tried).toBe(4);
  });
});
