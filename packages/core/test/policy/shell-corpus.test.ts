/**
 * The corpora of shell commands under a policy as a team would write it: what is destructive for certain is denied, what is
 * undecided waits for a person, what is not destructive is allowed.
 */
import { describe, expect, it } from 'vitest';
import { rulePolicy } from '../../src/policy/rules.ts';
import { analyzeShell, mayBe } from '../../src/shell/index.ts';
import { DANGEROUS, DISGUISED } from './corpus/shell-attacks.ts';
import { CLEANING, ORDINARY } from './corpus/shell-ordinary.ts';
import { FELL, HELD } from './corpus/shell-second-reader.ts';
import { policyInput } from './input.ts';

const POLICY = rulePolicy({
  id: 'shell',
  rules: [
    { id: 'destructive', tools: ['bash'], when: "'destructive' in shell(args.command).found", effect: 'deny' },
    { id: 'undecided', tools: ['bash'], when: 'shell(args.command).undecided', effect: 'require_approval' },
    { id: 'other', tools: ['bash'], when: '!shell(args.command).destructive', effect: 'allow' },
  ],
});

type Answer = 'allow' | 'deny' | 'require_approval';

function answer(command: string): Answer {
  const verdict = POLICY.evaluate(policyInput({ tool: { name: 'bash' }, args: { command } }));
  if (verdict instanceof Promise) throw new Error('rules answer at once');
  if (!('effect' in verdict) || verdict.effect === 'abstain') throw new Error(`no rule matches ${command}`);
  return verdict.effect;
}

const disguised = Object.values(DISGUISED).flat();

describe('the corpus of shell commands', () => {
  it.each(Object.entries(DISGUISED))('destructive in disguise, %s: never allowed', (_, commands) => {
    expect(commands.filter((command) => answer(command) === 'allow')).toEqual([]);
  });

  it('destructive, made up by a second reader: never allowed', () => {
    expect([...FELL, ...HELD].filter((command) => answer(command) === 'allow')).toEqual([]);
  });

  it('destructive in disguise: most are recognised, the rest waits for a person', () => {
    const denied = disguised.filter((command) => answer(command) === 'deny').length;
    console.log(`shell, destructive: ${disguised.length} commands, 0 allowed, ${denied} denied, ${disguised.length - denied} ask`);
    expect(new Set(disguised).size).toBe(disguised.length);
    expect(disguised.length).toBeGreaterThanOrEqual(250);
    expect(denied / disguised.length).toBeGreaterThan(0.6);
  });

  it('a rule that allows only what is not destructive, and one that denies what is, agree', () => {
    expect(disguised.filter((command) => !mayBe(analyzeShell(command), 'destructive'))).toEqual([]);
  });

  it.each(DANGEROUS)('may be %s: %s', (effect, command) => {
    expect(mayBe(analyzeShell(command), effect)).toBe(true);
  });

  it('dangerous otherwise: most are recognised and not just undecided', () => {
    const found = DANGEROUS.filter(([effect, command]) => analyzeShell(command).found.includes(effect)).length;
    console.log(`shell, dangerous otherwise: ${DANGEROUS.length} commands, ${found} recognised, the rest undecided`);
    expect(found / DANGEROUS.length).toBeGreaterThan(0.95);
  });

  it('ordinary: never denied, and allowed without a question nearly always', () => {
    const answers = ORDINARY.map((command) => [answer(command), command] as const);
    expect(answers.filter(([effect]) => effect === 'deny')).toEqual([]);
    const asked = answers.filter(([effect]) => effect === 'require_approval');
    console.log(`shell, ordinary: ${ORDINARY.length} commands, 0 denied, ${ORDINARY.length - asked.length} allowed, ${asked.length} ask`);
    expect(new Set(ORDINARY).size).toBe(ORDINARY.length);
    expect(ORDINARY.length).toBeGreaterThanOrEqual(250);
    expect(asked.length / ORDINARY.length).toBeLessThanOrEqual(0.02);
  });

  it.each(CLEANING)('removes what a rule can look at: %s', (command, deletes) => {
    const analysis = analyzeShell(command);
    expect(analysis).toMatchObject({ undecided: false, deletes, incomplete: [] });
    expect(analysis.found).toContain('destructive');
  });

  it('ordinary commands are not called privileged, persistent or thieves, but for a few that are', () => {
    const called = ORDINARY.flatMap((command) => {
      const others = analyzeShell(command).found.filter((effect) => effect !== 'network');
      return others.length === 0 ? [] : [`${others.join()}: ${command}`];
    });
    expect(called).toEqual([]);
  });
});
