/**
 * Rules with `on: result`, compiled: what may be seen of what a tool returned or threw.
 *
 * All rules that match the tool are evaluated and the strictest wins: withhold, then truncate and mask together, then mask,
 * then label; their labels unite. A rule that cannot be evaluated withholds, in audit mode too: the tool did run, and what
 * it brought is what the rule was there to look at.
 */
import type { ResultVerdict, ToolRef } from '../call.ts';
import { ConditionFacts } from './condition-facts.ts';
import { type Condition, compileCondition } from './conditions.ts';
import { compileToolPattern } from './patterns.ts';
import type { ResultInput } from './policy.ts';
import { mergeResultVerdicts } from './result-rule.ts';
import type { NormalResultRule } from './rule-definition.ts';
import { ruleIndex } from './rule-index.ts';

export interface ResultRules {
  evaluate(input: ResultInput): ResultVerdict;
  /** False when no rule is about this tool. */
  concern(tool: ToolRef): boolean;
}

/** @throws {CountersignError} `CONDITION_INVALID`, `OPTIONS_INVALID` */
export function compileResultRules(rules: readonly NormalResultRule[]): ResultRules {
  const entries = rules.map((rule) => ({
    rule: compileResultRule(rule),
    // Wide, like deny rules: an odd name must not slip by.
    patterns: rule.tools.map((tool) => compileToolPattern(tool, 'wide', `policy rule "${rule.id}"`)),
  }));
  const index = ruleIndex(entries, (matching) => matching);
  return {
    evaluate: (input) => evaluateRules(index.find(input.tool), input),
    concern: (tool) => index.find(tool).length > 0,
  };
}

interface CompiledResultRule {
  readonly id: string;
  readonly verdict: ResultVerdict;
  readonly when: Condition | undefined;
  readonly unless: Condition | undefined;
}

function compileResultRule(rule: NormalResultRule): CompiledResultRule {
  const { id, effect, reason_code: reasonCode, max_chars: maxChars, message, label: labels } = rule;
  const compiled = (source: string | undefined, key: string): Condition | undefined =>
    source === undefined
      ? undefined
      : compileCondition(source, `policy rule "${id}" ${key}`, { on: 'result', ...(rule.raw !== undefined && { raw: rule.raw }) });
  return {
    id,
    verdict: {
      action: effect,
      rule: id,
      ...(reasonCode !== undefined && { reasonCode }),
      ...(maxChars !== undefined && { maxChars }),
      ...(message !== undefined && { message }),
      ...(labels !== undefined && { labels }),
    },
    when: compiled(rule.when, 'when'),
    unless: compiled(rule.unless, 'unless'),
  };
}

function evaluateRules(rules: readonly CompiledResultRule[], input: ResultInput): ResultVerdict {
  const facts = new ConditionFacts(input);
  const verdicts: ResultVerdict[] = [];
  for (const { id, verdict, when, unless } of rules) {
    try {
      if (when?.(input, facts) === false || unless?.(input, facts) === true) continue;
      verdicts.push(verdict);
    } catch {
      verdicts.push({ action: 'withhold', always: true, rule: id, reasonCode: 'POLICY_EVALUATION_FAILED' });
    }
  }
  return mergeResultVerdicts(verdicts);
}
