/** Why a call was decided as it was, for people. Everything that came from a file, a ledger or an agent is escaped. */
import type { Explanation, RuleExplained } from '@countersign/core';
import { type Page, safe } from './output.ts';
import { effectStyle, effectWord } from './record-text.ts';
import { indented, wrap } from './wrap.ts';

const OUTCOMES: Readonly<Record<RuleExplained['outcome'], string>> = {
  applies: 'applies',
  'does not apply': 'does not apply',
  failed: 'cannot be evaluated',
};
/** Longer texts of rules are cut. */
const MAX_CONDITION_SHOWN = 300;

export function decisionLines({ decision, labels, terms }: Explanation, page: Page): readonly string[] {
  const { effect, would, rule, reason, reasonCode } = decision;
  const word = page.style(effectStyle(effect), effectWord(effect));
  const lines = [`${word}  ${safe(reasonCode)}${rule === undefined ? '' : `  rule "${safe(rule)}"`}`];
  if (reason !== undefined) lines.push(...indented(`because: ${safe(reason)}`, 2, page.columns));
  if (would !== effect) lines.push(`  the policy says: ${would}`);
  if (labels.length > 0) lines.push(...indented(`labels for the session: ${labels.map(safe).join(', ')}`, 2, page.columns));
  const { quorum, ttlMs, approvers, assurance } = terms;
  const told = [
    quorum === undefined ? undefined : `${quorum} must approve`,
    approvers === undefined ? undefined : `of ${approvers.map(safe).join(', ')}`,
    ttlMs === undefined ? undefined : `within ${ttlMs / 1000} s`,
    assurance === undefined ? undefined : `with ${assurance} assurance`,
  ].filter((part) => part !== undefined);
  if (told.length > 0) lines.push(...indented(`approval: ${told.join(', ')}`, 2, page.columns));
  return lines;
}

/** @param packs - policies whose rules are told only where they matter. */
export function ruleLines({ rules, others }: Explanation, page: Page, packs: ReadonlySet<string> = new Set()): readonly string[] {
  if (rules.length === 0) return [`No rule is about this tool; ${others} ${others === 1 ? 'is' : 'are'} about others.`];
  const told = rules.filter(({ policy, outcome }) => !packs.has(policy) || outcome !== 'does not apply');
  const lines = told.flatMap((rule) => ruleText(rule, page));
  const folded = rules.length - told.length;
  if (folded > 0)
    lines.push(page.style('dim', `and ${folded} ${folded === 1 ? 'rule of a pack that does' : 'rules of packs that do'} not apply: --all`));
  if (others > 0) lines.push(page.style('dim', `and ${others} ${others === 1 ? 'rule' : 'rules'} about other tools`));
  return lines;
}

function ruleText(rule: RuleExplained, page: Page): readonly string[] {
  const mark = rule.decides ? '>' : ' ';
  const style = rule.outcome === 'failed' ? 'warn' : rule.outcome === 'applies' ? 'bold' : 'dim';
  const title = `${mark} ${safe(rule.policy)} / ${safe(rule.rule)}: ${rule.effect}, ${OUTCOMES[rule.outcome]}${rule.decides ? ', decides' : ''}`;
  const lines = [page.style(style, title), ...indented(`tool matches ${safe(JSON.stringify(rule.pattern))}`, 4, page.columns)];
  for (const { key, source, value, error, parts } of rule.conditions) {
    lines.push(...indented(`${answer(value, error)}  ${key}: ${shown(source)}`, 4, page.columns));
    if (error !== undefined) lines.push(...indented(safe(error), 11, page.columns));
    // What is true of a true condition is no news; a part that failed or is false is.
    for (const part of parts) lines.push(...indented(`${answer(part.value, part.error)}  ${shown(part.source)}`, 8, page.columns));
  }
  return lines;
}

function answer(value: boolean | undefined, error: string | undefined): string {
  return error !== undefined ? 'error' : value === true ? 'true ' : 'false';
}

function shown(source: string): string {
  const line = source.replaceAll(/\s+/g, ' ').trim();
  return safe(line.length > MAX_CONDITION_SHOWN ? `${line.slice(0, MAX_CONDITION_SHOWN)}...` : line);
}

export function noteLines({ notes }: Explanation, page: Page): readonly string[] {
  return notes.flatMap((note) => wrap(safe(note), page.columns));
}

/** Pinned: what `--json` gives. */
export function explanationJson({ decision, labels, terms, rules, others, notes }: Explanation): Record<string, unknown> {
  const { effect, would, rule, reason, reasonCode } = decision;
  return {
    decision: {
      effect,
      would,
      reason_code: reasonCode,
      ...(rule !== undefined && { rule }),
      ...(reason !== undefined && { reason }),
      ...(labels.length > 0 && { labels }),
      ...(Object.keys(terms).length > 0 && { terms }),
    },
    rules,
    other_rules: others,
    notes,
  };
}
