import { describe, expect, it } from 'vitest';
import { createGuard } from '../../src/guard.ts';
import { composePolicies } from '../../src/policy/compose.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { Rule } from '../../src/policy/rule-definition.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { policyInput } from './input.ts';

const LABEL: Rule = { id: 'web', tools: ['fetch'], effect: 'label', label: ['untrusted'] };
const ALLOW: Rule = { id: 'allow', tools: ['fetch'], effect: 'allow' };
const ASK: Rule = { id: 'ask', tools: ['fetch'], effect: 'require_approval' };
const DENY: Rule = { id: 'deny', tools: ['fetch'], effect: 'deny' };
const INPUT = policyInput({ tool: { name: 'fetch' } });

const policyOf = (...rules: readonly Rule[]): Policy => rulePolicy({ id: 'p', rules });

describe('a rule with effect label', () => {
  it('decides nothing, and its labels stand beside whatever decides', () => {
    expect(policyOf(LABEL).evaluate(INPUT)).toEqual({ effect: 'abstain', labels: ['untrusted'] });
    expect(policyOf(LABEL, ALLOW).evaluate(INPUT)).toMatchObject({ effect: 'allow', rule: 'allow', labels: ['untrusted'] });
    expect(policyOf(LABEL, ASK).evaluate(INPUT)).toMatchObject({ effect: 'require_approval', labels: ['untrusted'] });
    expect(policyOf(LABEL, DENY).evaluate(INPUT)).toMatchObject({ effect: 'deny', labels: ['untrusted'] });
    expect(policyOf({ ...LABEL, when: 'false' }).evaluate(INPUT)).toEqual({ effect: 'abstain' });
  });

  it('reaches wide, so that no server name escapes it', () => {
    expect(policyOf(LABEL).evaluate(policyInput({ tool: { server: 'other', name: 'fetch' } }))).toMatchObject({ labels: ['untrusted'] });
  });

  it('denies when it cannot be evaluated: a fact that is missing would let later calls pass', () => {
    expect(policyOf({ ...LABEL, when: 'args.nope == 1' }, ALLOW).evaluate(INPUT)).toMatchObject({
      effect: 'deny',
      always: true,
      rule: 'web',
      reasonCode: 'POLICY_EVALUATION_FAILED',
    });
  });

  it.each([
    [{ ...LABEL, label: undefined }, /names its labels/],
    [{ ...LABEL, label: [] }, /names its labels/],
    [{ ...LABEL, label: ['a b'] }, /label is a list/],
    [{ ...LABEL, approval: { quorum: 2 } }, /approval belongs to/],
  ] as const)('refuses %j', (rule, message) => {
    expect(() => policyOf(rule)).toThrow(message);
  });

  it.each([
    ['allow', 'allow'],
    ['require_approval', 'require_approval'],
    ['deny', 'deny'],
  ] as const)('composes: labels of one policy beside the %s of another', (effect, expected) => {
    const other = rulePolicy({ id: 'other', rules: [{ id: 'r', tools: ['fetch'], effect }] });
    const verdict = composePolicies([policyOf(LABEL), other]).evaluate(INPUT);
    expect(verdict).toMatchObject({ effect: expected, labels: ['untrusted'] });
  });

  it('loosens no default, and its labels count when the default lets the call through', async () => {
    const labelling = rulePolicy({ id: 'pack', default: 'allow', rules: [LABEL] });
    const after = rulePolicy({
      id: 'after',
      default: 'allow',
      rules: [{ id: 'out', tools: ['send'], when: "'untrusted' in session.labels", effect: 'deny' }],
    });
    const run = async (policies: readonly Policy[]): Promise<readonly string[]> => {
      const guard = createGuard({ agent: 'bot', policy: policies, store: memoryStore(), session: 's' });
      const decided: string[] = [];
      for (const name of ['send', 'fetch', 'send']) {
        const authorization = await guard.authorize({ tool: { name }, args: {} });
        decided.push(authorization.decision.reasonCode);
        if (authorization.kind === 'permit') await authorization.settle({ status: 'success' });
      }
      return decided;
    };
    expect(await run([labelling, after])).toEqual(['POLICY_DEFAULT_ALLOW', 'POLICY_DEFAULT_ALLOW', 'POLICY_DENY_HIGH_RISK']);
    expect(await run([labelling, rulePolicy({ id: 'closed', rules: [] })])).toEqual(Array(3).fill('POLICY_DEFAULT_DENY'));
  });

  it.each([
    ['the default', []],
    ['a rule', [DENY]],
  ])('counts in audit mode for a call that %s would have denied', async (_what, more) => {
    const store = memoryStore();
    const guard = createGuard({ agent: 'bot', mode: 'audit', policy: policyOf(LABEL, ...more), store, session: 's' });
    const authorization = await guard.authorize({ tool: { name: 'fetch' }, args: {} });
    expect(authorization.decision).toMatchObject({ effect: 'allow', would: 'deny' });
    expect(await store.session('s')).toMatchObject({ labels: ['untrusted'] });
  });

  it('leaves no trace of a call that was denied', async () => {
    const store = memoryStore();
    const policies = [policyOf(LABEL, DENY), rulePolicy({ id: 'more', rules: [{ ...LABEL, label: ['seen'] }] })];
    const guard = createGuard({ agent: 'bot', policy: policies, store, session: 's' });
    const refused = await guard.authorize({ tool: { name: 'fetch' }, args: {} });
    expect(refused).toMatchObject({ kind: 'refusal', decision: { effect: 'deny', reasonCode: 'POLICY_DENY_HIGH_RISK' } });
    expect(await store.session('s')).toMatchObject({ labels: [] });
  });
});
