/** Rules against rules: the same twice, and rules that never decide because another always does. */
import { canonicalize } from '../../ledger/canonical.ts';
import type { Rule } from '../rule-definition.ts';
import { type ReachingPattern, setsCover, type ToolSet, toolSets } from './covers.ts';
import type { LookedAt, Report } from './looked-at.ts';

/** Comparisons of two patterns in one check. Beyond them the rest is not compared, and the check says so. */
export const MAX_PATTERN_COMPARISONS = 2_000_000;

/** @returns false when there were too many rules to compare all of them. */
export function checkAgainstEachOther(rules: readonly LookedAt[], report: Report): boolean {
  const duplicates = reportDuplicates(rules, report);
  // Rules on results unite: none of them keeps another from acting.
  const rest = rules.filter((each) => !duplicates.has(each) && each.rule.on !== 'result');
  const covering = new CoveringRules(rest.filter((each) => !each.isConditional));
  for (const each of rest) {
    const strictest = covering.over(each, stricterThan(each.rule));
    if (strictest !== undefined) {
      report('RULE_SHADOWED', 'warning', shadowText(each.rule, strictest), each, ['tools']);
      continue;
    }
    const same = addsNothing(each.rule)
      ? covering.over(each, (other) => other.rule.effect === each.rule.effect && isBefore(other, each))
      : undefined;
    if (same !== undefined) report('RULE_REDUNDANT', 'hint', redundantText(same), each, ['tools']);
  }
  return !covering.isExhausted;
}

function reportDuplicates(rules: readonly LookedAt[], report: Report): ReadonlySet<LookedAt> {
  const seen = new Map<string, LookedAt>();
  const duplicates = new Set<LookedAt>();
  for (const each of rules) {
    const { tools, id: _id, reason: _reason, ...rest } = each.rule;
    const key = canonicalize({ ...rest, tools: [...new Set(tools)].toSorted() });
    const first = seen.get(key);
    if (first === undefined) seen.set(key, each);
    else {
      duplicates.add(each);
      report('RULE_DUPLICATE', 'warning', `says the same as rule "${first.rule.id}": remove one of the two`, each);
    }
  }
  return duplicates;
}

/**
 * Effects that leave this rule nothing to decide. A rule that allows with labels still labels beside an ask, and one that
 * only labels counts in audit mode beside a deny.
 */
function stricterThan({ effect, label }: Rule): (other: LookedAt) => boolean {
  const strict =
    effect === 'allow' && label === undefined ? BEATS_ALLOW : effect === 'allow' || effect === 'require_approval' ? BEATS_ASK : [];
  return ({ rule }) => strict.some((other) => other === rule.effect);
}
const BEATS_ALLOW: readonly Rule['effect'][] = ['deny', 'require_approval'];
const BEATS_ASK: readonly Rule['effect'][] = ['deny'];

function addsNothing({ label, approval, reason_code: code, max_chars: chars, message }: Rule): boolean {
  return [label, approval, code, chars, message].every((own) => own === undefined);
}

/** Of two that cover each other only the later one is told of, and a condition goes before position. */
function isBefore(other: LookedAt, each: LookedAt): boolean {
  return other !== each && (each.isConditional || other.index < each.index || other.patterns.length !== each.patterns.length);
}

function shadowText({ effect }: Rule, by: readonly LookedAt[]): string {
  const names = listed(by);
  const verb = by.every(({ rule }) => rule.effect === 'deny')
    ? 'denied'
    : by.some(({ rule }) => rule.effect === 'deny')
      ? 'denied or asked about'
      : 'asked about';
  const advice =
    effect === 'allow' ? 'narrow that rule, give it a condition, or remove this one' : 'remove this one, or give that rule a condition';
  return `never decides: every tool it matches is always ${verb} by ${names}; ${advice}`;
}

function redundantText(by: readonly LookedAt[]): string {
  return `adds nothing: ${listed(by)} already ${by.length === 1 ? 'does' : 'do'} the same for every tool it matches`;
}

const MAX_NAMED = 3;

function listed(rules: readonly LookedAt[]): string {
  const names = rules.slice(0, MAX_NAMED).map(({ rule }) => `"${rule.id}"`);
  const more = rules.length > MAX_NAMED ? ` and ${rules.length - MAX_NAMED} more` : '';
  return `rule${rules.length === 1 ? '' : 's'} ${names.join(', ')}${more}`;
}

interface Indexed {
  readonly sets: readonly ToolSet[];
  readonly of: LookedAt;
}

/** Rules without conditions, found by the names their patterns may cover. */
class CoveringRules {
  readonly #byName = new Map<string, Indexed[]>();
  readonly #wild: Indexed[] = [];
  #left = MAX_PATTERN_COMPARISONS;

  constructor(rules: readonly LookedAt[]) {
    for (const of of rules) {
      for (const pattern of of.patterns) {
        const name = namePart(pattern.source);
        const sets = toolSets(pattern);
        if (name.includes('*')) this.#wild.push({ sets, of });
        else {
          const known = this.#byName.get(name);
          if (known === undefined) this.#byName.set(name, [{ sets, of }]);
          else known.push({ sets, of });
        }
      }
    }
  }

  get isExhausted(): boolean {
    return this.#left <= 0;
  }

  /** The rules of this kind that together cover every pattern of a rule; undefined when they leave one out. */
  over(rule: LookedAt, isMeant: (other: LookedAt) => boolean): readonly LookedAt[] | undefined {
    const by = new Set<LookedAt>();
    for (const pattern of rule.patterns) {
      const found = this.#covering(pattern, rule, isMeant);
      if (found === undefined) return undefined;
      by.add(found);
    }
    return [...by];
  }

  #covering(pattern: ReachingPattern, rule: LookedAt, isMeant: (other: LookedAt) => boolean): LookedAt | undefined {
    const sets = toolSets(pattern);
    // A name without a wildcard is covered by the very same one, or by a wildcard.
    for (const candidates of [this.#byName.get(namePart(pattern.source)) ?? [], this.#wild]) {
      for (const candidate of candidates) {
        if (candidate.of === rule || !isMeant(candidate.of)) continue;
        if (this.#left-- <= 0) return undefined;
        if (setsCover(candidate.sets, sets)) return candidate.of;
      }
    }
    return undefined;
  }
}

function namePart(source: string): string {
  return source.slice(source.indexOf('/') + 1);
}
