/** What holds for every policy, tried on random ones: order never matters, and more policies never allow more. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/call.ts';
import { composePolicies } from '../../src/policy/compose.ts';
import type { PolicyVerdict } from '../../src/policy/policy.ts';
import type { Rule } from '../../src/policy/rule-definition.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { policyInput } from './input.ts';

const EFFECTS: readonly Effect[] = ['allow', 'deny', 'require_approval'];
const STRICTNESS = { allow: 0, require_approval: 1, deny: 2 } as const;
const RUNS = 500;

const condition = fc.constantFrom(undefined, 'true', 'false', 'args.nope == 1', 'args.n > 1', "'seen' in session.labels");
const term = fc.record(
  {
    ttl: fc.constantFrom('1m', '5m', '1h'),
    approvers: fc.uniqueArray(fc.constantFrom('ana', 'bo', 'cy'), { minLength: 2, maxLength: 3 }),
    quorum: fc.integer({ min: 1, max: 2 }),
    assurance: fc.constantFrom('low', 'medium', 'high'),
  },
  { requiredKeys: [] },
);
const anyRule = fc
  .record({
    tools: fc.constantFrom(['refund'], ['*'], ['other'], ['*/*'], ['shop/*'], ['*/refund', 'other']),
    effect: fc.constantFrom(...EFFECTS),
    when: condition,
    unless: condition,
    approval: term,
    label: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }),
  })
  .map(({ approval, label, ...rule }): Omit<Rule, 'id'> => {
    if (rule.effect === 'deny') return rule;
    return rule.effect === 'allow' ? { ...rule, label } : { ...rule, label, approval };
  });
const someRules = fc.array(anyRule, { maxLength: 7 }).map((rules) => rules.map((rule, index): Rule => ({ id: `r${index}`, ...rule })));
const someInput = fc
  .record({ n: fc.integer({ min: 0, max: 3 }), server: fc.constantFrom(undefined, 'shop', 'files'), seen: fc.boolean() })
  .map(({ n, server, seen }) =>
    policyInput({
      args: { n },
      tool: { name: 'refund', ...(server !== undefined && { server }) },
      session: { ...policyInput().session, labels: seen ? ['seen'] : [] },
    }),
  );
const someDefault = fc.constantFrom(...EFFECTS);

/** All of a verdict that changes what happens: which of several equal rules is named does not. */
function essence(verdict: PolicyVerdict | Promise<PolicyVerdict>): unknown {
  if (verdict instanceof Promise) throw new Error('rule policies are synchronous');
  if (verdict.effect === 'abstain') return verdict.effect;
  const labels = verdict.labels ?? [];
  if (verdict.effect !== 'require_approval') return [verdict.effect, labels, verdict.effect === 'deny' && verdict.always === true];
  const { approvers, ...terms } = verdict.terms ?? {};
  return [verdict.effect, labels, terms, approvers?.toSorted(), verdict.asks ?? 1];
}

describe('every policy', () => {
  it('decides the same in whatever order its rules stand', () => {
    fc.assert(
      fc.property(
        someRules.chain((rules) => fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length }))),
        someInput,
        ([rules, shuffled], input) => {
          const verdict = rulePolicy({ id: 'p', rules }).evaluate(input);
          expect(essence(rulePolicy({ id: 'p', rules: shuffled }).evaluate(input))).toEqual(essence(verdict));
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('decides the same in whatever order it is composed', () => {
    fc.assert(
      fc.property(someRules, someRules, someRules, someInput, (first, second, third, input) => {
        const [a, b, c] = [first, second, third].map((rules, at) => rulePolicy({ id: `p${at}`, rules }));
        if (a === undefined || b === undefined || c === undefined) throw new Error('three policies are composed');
        const verdicts = [
          [a, b, c],
          [c, b, a],
          [b, c, a],
        ].map((members) => essence(composePolicies(members).evaluate(input)));
        expect(verdicts[1]).toEqual(verdicts[0]);
        expect(verdicts[2]).toEqual(verdicts[0]);
      }),
      { numRuns: RUNS },
    );
  });

  it('never allows more when another one is added, whatever their defaults', () => {
    fc.assert(
      fc.property(someRules, someDefault, someRules, someDefault, someInput, (rules, fallback, more, otherFallback, input) => {
        const one = rulePolicy({ id: 'one', default: fallback, rules });
        const both = composePolicies([one, rulePolicy({ id: 'two', default: otherFallback, rules: more })]);
        const [before, after] = [one, both].map((policy) => policy.evaluate(input));
        if (before === undefined || after === undefined || before instanceof Promise || after instanceof Promise)
          throw new Error('rule policies are synchronous');
        // A member that abstains says nothing: its default counts only when every member does.
        fc.pre(before.effect !== 'abstain');
        const strictness = ({ effect }: PolicyVerdict): number => (effect === 'abstain' ? -1 : STRICTNESS[effect]);
        expect(strictness(after)).toBeGreaterThanOrEqual(strictness(before));
      }),
      { numRuns: RUNS },
    );
  });
});
