import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { CountersignError } from '../../src/errors.ts';

const HEAD = 'version: 1\nagent: bot\n';

function config(policy: string, more = '') {
  return parseConfig(`${HEAD}${more}policy: ${policy}\n`, { path: '/etc/c/c.yaml' });
}

function problemsOf(policy: string, more = ''): string {
  try {
    config(policy, more);
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('no problem');
}

describe('policy.packs', () => {
  it('composes packs and rules into one policy, and says which packs there are', () => {
    const both = config('{ packs: [baseline], id: team, version: "3", rules: [{ id: a, tools: [x], effect: allow }] }');
    expect(both.packs.map(({ name }) => name)).toEqual(['baseline']);
    expect(both.policyDefinition).toMatchObject({ id: 'team', version: '3', rules: [{ id: 'a' }] });
    expect(both.policy).toMatchObject({ id: 'baseline+team', default: 'deny' });
    expect(JSON.parse(both.policy.document)).toMatchObject({ kind: 'composed', policies: [{ id: 'baseline' }, { id: 'team' }] });
  });

  it('is another policy with other options, and the same one with the same', () => {
    const hash = (packs: string) => config(`{ packs: ${packs} }`).policy.hash;
    expect(hash('[baseline]')).toBe(hash('[{ baseline: {} }]'));
    expect(hash('[baseline]')).not.toBe(hash('[{ baseline: { without: [baseline.secret-leaves] } }]'));
    expect(hash('[baseline]')).not.toBe(hash('[{ baseline: { approval: { quorum: 2 } } }]'));
  });

  it.each([
    ['audit', '{ packs: [baseline] }', 'allow'],
    ['confirm', '{ packs: [baseline] }', 'deny'],
    ['enforce', '{ packs: [baseline] }', 'deny'],
    ['audit', '{ packs: [baseline], default: deny }', 'deny'],
    ['audit', '{ packs: [baseline], id: t, rules: [] }', 'deny'],
    ['enforce', '{ packs: [baseline], default: allow }', 'allow'],
  ])('in mode %s, %s leaves what nobody speaks of to %s', (mode, policy, expected) => {
    expect(config(policy, `mode: ${mode}\n`).policy.default).toBe(expected);
  });

  it("gives what packs ask for the file's time to live, or the one said for the pack", () => {
    const ttls = (packs: string) =>
      config(`{ packs: ${packs} }`, 'approvals: { ttl: 7m }\n').packs.flatMap(({ definition }) =>
        definition.rules.flatMap((rule) => (rule.effect === 'require_approval' ? [rule.approval?.ttl] : [])),
      );
    expect(new Set(ttls('[baseline]'))).toEqual(new Set(['7m']));
    expect(new Set(ttls('[{ baseline: { approval: { ttl: 2m, approvers: [ops] } } }]'))).toEqual(new Set(['2m']));
  });

  it('leaves out what `without` names', () => {
    const [used] = config('{ packs: [{ baseline: { without: [baseline.secret-leaves] } }] }').packs;
    expect(used?.definition.rules.map(({ id }) => id)).not.toContain('baseline.secret-leaves');
  });

  it.each([
    ['{ packs: [basline] }', '3:19 policy.packs[0]: must be', 'did you mean "baseline"?'],
    ['{ packs: [{ basline: {} }] }', 'policy.packs[0].basline: unknown key "basline", did you mean "baseline"?', ''],
    ['{ packs: [{ baseline: { witout: [a] } }] }', 'packs[0].baseline.witout: unknown key "witout", did you mean "without"?', ''],
    [
      '{ packs: [{ baseline: { without: [baseline.secret-leave] } }] }',
      'packs[0].baseline.without: without: there is no rule "baseline.secret-leave", did you mean "baseline.secret-leaves"?',
      '',
    ],
    ['{ packs: [{ baseline: { approval: { ttl: soon } } }] }', 'packs[0].baseline.approval.ttl: ', ''],
    ['{ packs: [{ baseline: { approval: { ttl: 2h } } }] }', 'packs[0].baseline.approval.ttl: longer than 1h', ''],
    ['{ packs: [{ baseline: { approval: { quorum: 3, approvers: [a] } } }] }', 'packs[0].baseline.approval.quorum: quorum 3 can never', ''],
    ['{ packs: [{}] }', 'policy.packs[0]: one pack per item', ''],
    ['{ packs: [baseline, { baseline: {} }] }', 'policy.packs[1]: the pack baseline is there already', ''],
    ['{ packs: [] }', 'policy.packs: may not be empty', ''],
    ['{ packs: baseline }', 'policy.packs: expected array', ''],
    ['{ packs: [3] }', 'policy.packs[0]: ', ''],
    ['{ packs: [baseline], rules: [] }', 'policy.id: required, but missing', ''],
    ['{ packs: [baseline], id: "a b" }', 'policy.id: id: use letters', ''],
    ['{ id: a }', 'policy.rules: required, but missing: write rules, or name packs', ''],
    ['{ rules: [] }', 'policy.id: required, but missing', ''],
    ['{}', 'policy.id: required, but missing', 'policy.rules: required, but missing'],
  ])('refuses %s', (policy, message, more) => {
    expect(problemsOf(policy)).toContain(message);
    expect(problemsOf(policy)).toContain(more);
  });
});
