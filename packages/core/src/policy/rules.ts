/**
 * The `policy:` block of `countersign.yaml` as a Policy.
 *
 * All matching rules count and the most restrictive wins: deny, then require_approval, then allow; where no rule
 * matches the policy abstains and its default applies. A rule with effect `label` decides nothing; its labels count with
 * whatever lets the call through. A rule whose condition cannot be evaluated fails closed: an allow rule does not apply,
 * any other denies with `POLICY_EVALUATION_FAILED`. Rules on results are in `result-rules.ts`.
 */
import type { ApprovalTerms, ReasonCode } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { MAX_COUNTED_PATTERNS } from './call-counts.ts';
import { ConditionFacts } from './condition-facts.ts';
import { type Condition, compileCondition } from './conditions.ts';
import type { CountCollector } from './functions/session.ts';
import { policyHash } from './hash.ts';
import { inputBeforeCalls, isKnownBeforeCalls } from './known-conditions.ts';
import { compileToolPattern } from './patterns.ts';
import type { Foreseen, ForeseenInput, Policy, PolicyInput, PolicyVerdict } from './policy.ts';
import { compileResultRules } from './result-rules.ts';
import { type NormalRule, normalizeRuleSet, type RuleEffect, type RuleSet } from './rule-definition.ts';
import { ruleIndex } from './rule-index.ts';
import { mergeLabels, mergeTerms } from './terms.ts';

const REASON_CODE_OF: Readonly<Record<RuleEffect, ReasonCode>> = {
  allow: 'POLICY_ALLOW_LOW_RISK',
  // Never the code of a decision.
  label: 'POLICY_ALLOW_LOW_RISK',
  deny: 'POLICY_DENY_HIGH_RISK',
  require_approval: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
};

/**
 * Compiles a rule set.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for a definition out of shape, `CONDITION_INVALID` for a condition.
 */
export function rulePolicy(definition: RuleSet): Policy {
  const normal = normalizeRuleSet(definition);
  const document = canonicalize(normal);
  const onCalls = normal.rules.filter((rule) => rule.on === undefined);
  const onResults = normal.rules.filter((rule) => rule.on === 'result');
  const subjects = new Set<string>();
  const entries = onCalls.map((rule) => {
    const reach = rule.effect === 'allow' ? 'narrow' : 'wide';
    return {
      rule: compileRule(rule, { reach, subjects }),
      patterns: rule.tools.map((tool) => compileToolPattern(tool, reach, `policy rule "${rule.id}"`)),
    };
  });
  if (subjects.size > MAX_COUNTED_PATTERNS)
    throw new CountersignError(
      'OPTIONS_INVALID',
      `policy "${normal.id}": session.calls() counts more than ${MAX_COUNTED_PATTERNS} patterns`,
    );
  const index = ruleIndex(entries, byStrictness);
  const results = onResults.length === 0 ? undefined : compileResultRules(onResults);
  return {
    id: normal.id,
    ...(normal.version === undefined ? {} : { version: normal.version }),
    hash: policyHash(document),
    document,
    default: normal.default,
    ...(subjects.size > 0 && { counts: [...subjects].toSorted() }),
    evaluate: (input) => decide(index.find(input.tool), input),
    foresee: (known) => foreseeRules(index.find(known.tool), known),
    ...(results !== undefined && {
      evaluateResult: (input) => results.evaluate(input),
      mayActOnResult: (tool) => results.concern(tool),
    }),
  };
}

interface CompiledRule {
  readonly id: string;
  readonly effect: RuleEffect;
  readonly reasonCode: ReasonCode;
  readonly reason?: string;
  readonly labels?: readonly string[];
  readonly terms: Partial<ApprovalTerms>;
  /** Undefined = always. @throws {ConditionError} */
  readonly applies?: Condition;
  /** Whether `applies` can be answered before a call. Asked seldom, so nothing is worked out when rules are loaded. */
  readonly isKnown: () => boolean;
}

/** Rules that match one tool, in definition order. */
interface Candidates {
  readonly deny: readonly CompiledRule[];
  readonly ask: readonly CompiledRule[];
  readonly allow: readonly CompiledRule[];
  readonly label: readonly CompiledRule[];
  /** The allow rules that attach labels: they count beside an ask, too. */
  readonly labelling: readonly CompiledRule[];
}

function byStrictness(rules: readonly CompiledRule[]): Candidates {
  const of = (effect: RuleEffect): CompiledRule[] => rules.filter((rule) => rule.effect === effect);
  const allow = of('allow');
  return {
    deny: of('deny'),
    ask: of('require_approval'),
    allow,
    label: of('label'),
    labelling: allow.filter((rule) => rule.labels !== undefined),
  };
}

function compileRule(rule: NormalRule, counts: CountCollector): CompiledRule {
  const options = { counts, ...(rule.raw !== undefined && { raw: rule.raw }) };
  const when = rule.when === undefined ? undefined : compileCondition(rule.when, `policy rule "${rule.id}" when`, options);
  const unless = rule.unless === undefined ? undefined : compileCondition(rule.unless, `policy rule "${rule.id}" unless`, options);
  const applies = both(when, unless);
  const { ttl_ms: ttlMs, quorum, approvers, assurance } = rule.approval ?? {};
  return {
    id: rule.id,
    effect: rule.effect,
    reasonCode: rule.reason_code ?? REASON_CODE_OF[rule.effect],
    ...(rule.reason === undefined ? {} : { reason: rule.reason }),
    ...(rule.label === undefined ? {} : { labels: rule.label }),
    ...(applies === undefined ? {} : { applies }),
    isKnown: once(() => [rule.when, rule.unless].every((source) => source === undefined || isKnownBeforeCalls(source))),
    terms: {
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(quorum === undefined ? {} : { quorum }),
      ...(approvers === undefined ? {} : { approvers }),
      ...(assurance === undefined ? {} : { assurance }),
    },
  };
}

function both(when: Condition | undefined, unless: Condition | undefined): Condition | undefined {
  if (unless === undefined) return when;
  if (when === undefined) return (input, facts) => !unless(input, facts);
  return (input, facts) => when(input, facts) && !unless(input, facts);
}

function decide(candidates: Candidates, input: PolicyInput): PolicyVerdict {
  const { deny, ask, allow, label } = candidates;
  if (deny.length + ask.length + allow.length + label.length === 0) return { effect: 'abstain' };
  const call = new Call(input);
  // Every deny and ask rule is evaluated, even after a match: a rule that cannot be evaluated denies in audit mode too,
  // and adding a rule must never take that away.
  const denied = call.matching(deny);
  const asked = call.matching(ask);
  // A fact that is missing lets later calls pass, so a label rule that cannot be evaluated denies too.
  const facts = call.matching(label);
  if (call.failure !== undefined) return failureVerdict(call.failure);
  // In audit mode the call runs nevertheless, and later rules must know what it did.
  if (denied[0] !== undefined) return { effect: 'deny', ...ruled(denied[0]), ...labelled(facts) };
  if (asked[0] !== undefined) return askVerdict(asked, asked[0], [...call.matching(candidates.labelling), ...facts]);
  const allowed = call.matching(allow);
  if (allowed[0] !== undefined) return { effect: 'allow', ...ruled(allowed[0]), ...labelled([...allowed, ...facts]) };
  const text = call.failureText();
  return { effect: 'abstain', ...(text !== undefined && { reason: `an allow rule did not apply: ${text}` }), ...labelled(facts) };
}

/** What `decide` is certain to say, from the rules that can be answered already. */
function foreseeRules({ deny, ask, allow, label }: Candidates, known: ForeseenInput): Foreseen | undefined {
  const call = new Call(inputBeforeCalls(known));
  const certain = (rules: readonly CompiledRule[]): readonly CompiledRule[] => call.matching(rules.filter((rule) => rule.isKnown()));
  const mayApply = (rules: readonly CompiledRule[]): boolean => certain(rules).length > 0 || rules.some((rule) => !rule.isKnown());
  const [denied] = certain(deny);
  const isAsked = mayApply(ask);
  certain(label);
  if (call.failure !== undefined) return failureVerdict(call.failure);
  if (denied !== undefined) return { effect: 'deny', ...ruled(denied) };
  return isAsked || mayApply(allow) ? undefined : { effect: 'abstain' };
}

interface RuleFailure {
  readonly rule: CompiledRule;
  readonly text: string;
}

function failureVerdict({ rule, text }: RuleFailure): Foreseen {
  return { effect: 'deny', always: true, rule: rule.id, reasonCode: 'POLICY_EVALUATION_FAILED', reason: text };
}

/** One evaluation of a call against rules; remembers the first rule that could not be evaluated. */
class Call {
  readonly #input: PolicyInput;
  readonly #facts: ConditionFacts;
  failure: RuleFailure | undefined;

  constructor(input: PolicyInput) {
    this.#input = input;
    this.#facts = new ConditionFacts(input);
  }

  matching(rules: readonly CompiledRule[]): readonly CompiledRule[] {
    if (rules.length === 0) return rules;
    const matched: CompiledRule[] = [];
    for (const rule of rules) {
      try {
        if (rule.applies === undefined || rule.applies(this.#input, this.#facts)) matched.push(rule);
      } catch (error) {
        this.failure ??= { rule, text: error instanceof Error ? error.message : `policy rule "${rule.id}" failed` };
      }
    }
    return matched;
  }

  failureText(): string | undefined {
    return this.failure?.text;
  }
}

function askVerdict(asked: readonly CompiledRule[], first: CompiledRule, labelling: readonly CompiledRule[]): PolicyVerdict {
  const terms = mergeTerms(asked.map((rule) => rule.terms));
  if (terms === undefined) {
    const reason = `nobody can approve for all of these rules: ${asked.map((rule) => rule.id).join(', ')}`;
    return { effect: 'deny', rule: first.id, reasonCode: 'POLICY_DENY_HIGH_RISK', reason };
  }
  const asks = asked.length > 1 ? { asks: asked.length } : {};
  return { effect: 'require_approval', ...ruled(first), ...labelled([...asked, ...labelling]), terms, ...asks };
}

function ruled(rule: CompiledRule): { readonly rule: string; readonly reasonCode: ReasonCode; readonly reason?: string } {
  return { rule: rule.id, reasonCode: rule.reasonCode, ...(rule.reason === undefined ? {} : { reason: rule.reason }) };
}

function labelled(rules: readonly CompiledRule[]): { readonly labels?: readonly string[] } {
  const labels = mergeLabels(rules.map((rule) => rule.labels));
  return labels === undefined ? {} : { labels };
}

function once<T>(work: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: work() }).value;
}
