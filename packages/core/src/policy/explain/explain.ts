/** Why a policy decided a call as it did: rule by rule, condition by condition. For people; decides nothing. */
import type { ApprovalTerms, Decision } from '../../call.ts';
import type { Ruling } from '../../judge.ts';
import { partsOf, sourceOf } from '../check/tree.ts';
import { ConditionFacts } from '../condition-facts.ts';
import { compileCondition, conditionTree } from '../conditions.ts';
import { compileToolPattern } from '../patterns.ts';
import type { PolicyInput } from '../policy.ts';
import type { Rule, RuleSet } from '../rule-definition.ts';

/** Parts of one condition that are told. */
const MAX_PARTS = 32;

export interface Explanation {
  readonly decision: Decision;
  readonly labels: readonly string[];
  readonly terms: Partial<ApprovalTerms>;
  /** Rules whose patterns match the tool, in the order of their policies. */
  readonly rules: readonly RuleExplained[];
  /** Rules of these policies that are about other tools. */
  readonly others: number;
  /** What is not obvious about the way from the rules to the decision, in sentences. */
  readonly notes: readonly string[];
}

export interface RuleExplained {
  readonly policy: string;
  readonly rule: string;
  readonly effect: Rule['effect'];
  /** The pattern that matched. */
  readonly pattern: string;
  readonly outcome: 'applies' | 'does not apply' | 'failed';
  /** The one the decision names. */
  readonly decides: boolean;
  readonly reason?: string;
  readonly conditions: readonly ConditionExplained[];
}

export interface ConditionExplained {
  readonly key: 'when' | 'unless';
  readonly source: string;
  /** Undefined: it failed, or was not looked at because `when` settled it. */
  readonly value?: boolean;
  readonly error?: string;
  /** Of `a && b` or `a || b`: each part by itself. */
  readonly parts: readonly { readonly source: string; readonly value?: boolean; readonly error?: string }[];
}

/**
 * @param sets - the rule sets the policy consists of; what decides besides them (a policy function, a decision point) is not told.
 * @param ruling - what the policy said of this very input.
 */
export function explainRuling(ruling: Ruling, input: PolicyInput, sets: readonly RuleSet[]): Explanation {
  const facts = new ConditionFacts(input);
  const rules: RuleExplained[] = [];
  let others = 0;
  for (const set of sets) {
    for (const rule of set.rules) {
      if (rule.on === 'result') continue;
      const pattern = matchingPattern(rule, input);
      if (pattern === undefined) others++;
      else rules.push(explainRule(rule, set.id, pattern, input, facts, ruling.decision));
    }
  }
  const { decision, labels, terms } = ruling;
  return { decision, labels, terms, rules, others, notes: notesOn(ruling, rules, input) };
}

function matchingPattern(rule: Rule, { tool }: PolicyInput): string | undefined {
  const reach = rule.effect === 'allow' ? 'narrow' : 'wide';
  return rule.tools.find((source) => compileToolPattern(source, reach, 'pattern').matches(tool));
}

function explainRule(
  rule: Rule,
  policy: string,
  pattern: string,
  input: PolicyInput,
  facts: ConditionFacts,
  decision: Decision,
): RuleExplained {
  const when = rule.when === undefined ? undefined : explainCondition('when', rule.when, rule, input, facts);
  // As in a decision: `unless` is looked at only where `when` holds.
  const isReached = when === undefined || when.value === true;
  const unless = rule.unless === undefined || !isReached ? undefined : explainCondition('unless', rule.unless, rule, input, facts);
  const failed = when?.error !== undefined || unless?.error !== undefined;
  const outcome = failed ? 'failed' : isReached && unless?.value !== true ? 'applies' : 'does not apply';
  return {
    policy,
    rule: rule.id,
    effect: rule.effect,
    pattern,
    outcome,
    decides: decision.rule === rule.id && outcome !== 'does not apply',
    ...(rule.reason !== undefined && { reason: rule.reason }),
    conditions: [when, unless].filter((each) => each !== undefined),
  };
}

function explainCondition(
  key: ConditionExplained['key'],
  source: string,
  { raw }: Rule,
  input: PolicyInput,
  facts: ConditionFacts,
): ConditionExplained {
  const answerTo = (part: string): Answer => answer(part, raw, input, facts);
  const tree = conditionTree(source);
  const operator = tree?.op === '&&' || tree?.op === '||' ? tree.op : undefined;
  const parts = tree === undefined || operator === undefined ? [] : partsOf(tree, operator).slice(0, MAX_PARTS);
  return {
    key,
    source,
    ...answerTo(source),
    parts: parts.map((part) => ({ source: sourceOf(part), ...answerTo(sourceOf(part)) })),
  };
}

interface Answer {
  readonly value?: boolean;
  readonly error?: string;
}

function answer(source: string, raw: readonly string[] | undefined, input: PolicyInput, facts: ConditionFacts): Answer {
  try {
    return { value: compileCondition(source, '', raw === undefined ? {} : { raw })(input, facts) };
  } catch (error) {
    return { error: (error instanceof Error ? error.message : 'it failed').replace(/^: /, '') };
  }
}

function notesOn({ decision, asks }: Ruling, rules: readonly RuleExplained[], { mode }: PolicyInput): readonly string[] {
  const { effect, would, reasonCode } = decision;
  const notes: string[] = [];
  const failed = rules.filter(({ outcome }) => outcome === 'failed');
  if (reasonCode === 'POLICY_EVALUATION_FAILED')
    notes.push('A deny, ask or label rule that cannot be evaluated denies the call, in every mode.');
  else if (failed.length > 0) notes.push('An allow rule that cannot be evaluated does not apply.');
  if (decision.rule === undefined && would !== 'deny') notes.push(`No rule decides: the default of the policy is ${would}.`);
  else if (decision.rule === undefined && reasonCode !== 'POLICY_EVALUATION_FAILED')
    notes.push('No rule allows it: the default of the policy is deny.');
  const beaten = rules.filter((rule) => rule.outcome === 'applies' && rule.effect !== 'label' && rule.effect !== would);
  if (beaten.length > 0)
    notes.push(`The most restrictive rule wins: ${beaten.map(({ rule }) => `"${rule}"`).join(', ')} would have it otherwise.`);
  if (asks > 1) notes.push(`${asks} rules ask: the strictest terms of all of them hold.`);
  if (effect !== would && mode === 'audit') notes.push(`In audit mode the call runs all the same; in enforce mode it would be: ${would}.`);
  if (effect !== would && mode === 'confirm') notes.push('In confirm mode a person is asked where no rule matches, instead of a deny.');
  return notes;
}
