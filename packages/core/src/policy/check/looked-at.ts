/** A rule as the checks look at it. */
import type { ASTNode } from '@marcbachmann/cel-js';
import { conditionTree } from '../conditions.ts';
import type { Rule } from '../rule-definition.ts';
import type { PolicyCode, PolicyFinding, PolicySeverity } from './codes.ts';
import type { ReachingPattern } from './covers.ts';

export interface LookedAt {
  readonly rule: Rule;
  /** Position among the rules of the file. */
  readonly index: number;
  readonly patterns: readonly ReachingPattern[];
  readonly when: ASTNode | undefined;
  readonly unless: ASTNode | undefined;
  readonly isConditional: boolean;
}

export function lookAtRule(rule: Rule, index: number): LookedAt {
  const reach = rule.effect === 'allow' ? 'narrow' : 'wide';
  return {
    rule,
    index,
    patterns: rule.tools.map((source) => ({ source, reach })),
    when: rule.when === undefined ? undefined : conditionTree(rule.when),
    unless: rule.unless === undefined ? undefined : conditionTree(rule.unless),
    isConditional: rule.when !== undefined || rule.unless !== undefined,
  };
}

/** Makes findings about one policy; a path below the rule says where in it. */
export type Report = (
  code: PolicyCode,
  severity: PolicySeverity,
  message: string,
  at?: LookedAt,
  path?: readonly (string | number)[],
) => void;

export type Placed = (path: readonly (string | number)[]) => { readonly line: number; readonly column: number };

/** @param within - where all of its rules stand that have no place of their own in the file. */
export function reporter(findings: PolicyFinding[], place: Placed, within?: readonly string[]): Report {
  return (code, severity, message, at, path = []) => {
    const where = within ?? (at === undefined ? ['policy', ...path] : ['policy', 'rules', at.index, ...path]);
    findings.push({ code, severity, message, ...(at !== undefined && { rule: at.rule.id }), ...place(where) });
  };
}
