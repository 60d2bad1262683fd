/** The shape of a rule set, and its normal form: what the policy hash covers. */
import { ASSURANCES, type Assurance, type Effect } from '../call.ts';
import { DURATION_HINT, parseDuration } from '../config/duration.ts';
import { CountersignError } from '../errors.ts';
import { patternFault } from './patterns.ts';
import { MAX_MESSAGE_CHARS, MAX_TRUNCATED_CHARS, RESULT_EFFECTS, type ResultEffect } from './result-rule.ts';

/** Terms of a rule with effect `require_approval`. */
export interface RuleApproval {
  /** Duration such as `5m`; absent = the guard's default. */
  readonly ttl?: string | undefined;
  readonly quorum?: number | undefined;
  readonly approvers?: readonly string[] | undefined;
  /** Least an approving answer must be worth: `low`, `medium` or `high`; absent = any. */
  readonly assurance?: Assurance | undefined;
}

/** What a rule does. `label` decides nothing: it attaches its labels when the call goes through, whoever let it. */
export type RuleEffect = Effect | 'label';

/** One rule, as in the `policy:` block of `countersign.yaml`. */
export interface Rule {
  readonly id: string;
  /** What it decides about; absent = `call`. A rule on results cannot stop a call: it says what may be seen of it. */
  readonly on?: 'call' | 'result' | undefined;
  /** Tool patterns, see `patterns.ts`. */
  readonly tools: readonly string[];
  /** Applies only if this CEL condition is true ... */
  readonly when?: string | undefined;
  /** ... and this one is not. */
  readonly unless?: string | undefined;
  readonly effect: RuleEffect | ResultEffect;
  readonly reason?: string | undefined;
  readonly reason_code?: string | undefined;
  readonly approval?: RuleApproval | undefined;
  /** Labels for the session, when the call goes through. */
  readonly label?: readonly string[] | undefined;
  /** JSON pointers of raw arguments the conditions may read. */
  readonly raw?: readonly string[] | undefined;
  /** Of effect `truncate`: characters that are left. */
  readonly max_chars?: number | undefined;
  /** Of a rule on results: for the model, beside what is withheld or cut. */
  readonly message?: string | undefined;
}

export interface RuleSet {
  readonly id: string;
  readonly version?: string | undefined;
  /** For calls no rule matches; default `deny`. */
  readonly default?: Effect | undefined;
  readonly rules: readonly Rule[];
}

/** Equal for two definitions that mean the same; undefined members are left out of the document. */
export interface NormalRule extends Omit<Rule, 'on' | 'effect' | 'approval'> {
  /** Absent for rules on calls. */
  readonly on?: undefined;
  readonly effect: RuleEffect;
  readonly approval?: (Omit<RuleApproval, 'ttl'> & { readonly ttl_ms?: number | undefined }) | undefined;
}
export interface NormalResultRule extends Omit<Rule, 'on' | 'effect' | 'approval' | 'reason'> {
  readonly on: 'result';
  readonly effect: ResultEffect;
}
export interface NormalRuleSet {
  readonly kind: 'rules';
  readonly id: string;
  readonly version?: string | undefined;
  readonly default: Effect;
  readonly rules: readonly (NormalRule | NormalResultRule)[];
}

export const MAX_RULES = 20_000;
export const MAX_RULE_TOOLS = 200;
export const MAX_QUORUM = 16;
const MAX_RAW_POINTERS = 32;
const MAX_RULE_LABELS = 16;

export const EFFECTS: readonly Effect[] = ['allow', 'deny', 'require_approval'];
export const RULE_EFFECTS: readonly RuleEffect[] = [...EFFECTS, 'label'];
export const RULE_SUBJECTS = ['call', 'result'] as const;
/** Names of policies, rules and budgets. */
export const NAME_SHAPE: RegExp = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
export const NAME_HINT = 'use letters, digits and . _ : -, at most 64 characters';
export const LABEL_SHAPE: RegExp = NAME_SHAPE;
export const REASON_CODE_SHAPE: RegExp = /^[A-Z][A-Z0-9_]{1,63}$/;
/** RFC 6901; '' is the whole arguments. */
export const POINTER_SHAPE: RegExp = /^(?:\/(?:[^~/]|~[01])*)*$/;

/** A fault of a rule, with the key it concerns. */
export interface RuleFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** @throws {CountersignError} `OPTIONS_INVALID`; the message names the rule. */
export function normalizeRuleSet(definition: RuleSet): NormalRuleSet {
  if (!isName(definition.id)) throw refused(`policy id: ${NAME_HINT}`);
  if (definition.version !== undefined && typeof definition.version !== 'string') throw refused('policy version must be text, such as "3"');
  if (definition.default !== undefined && !EFFECTS.includes(definition.default))
    throw refused(`policy default must be one of ${EFFECTS.join(', ')}`);
  if (!Array.isArray(definition.rules)) throw refused('policy rules must be a list');
  if (definition.rules.length > MAX_RULES) throw refused(`a policy has at most ${MAX_RULES} rules; split it and compose the parts`);
  const seen = new Set<string>();
  const rules = definition.rules.map((rule: Rule, index) => {
    const fault = typeof rule === 'object' && rule !== null ? ruleFaults(rule)[0] : { message: 'must be an object' };
    if (fault !== undefined) throw refused(`policy rule ${isName(rule?.id) ? `"${rule.id}"` : index + 1}: ${fault.message}`);
    if (seen.has(rule.id)) throw refused(`policy rule "${rule.id}": another rule has this id`);
    seen.add(rule.id);
    return normalizeRule(rule);
  });
  return { kind: 'rules', id: definition.id, version: definition.version, default: definition.default ?? 'deny', rules };
}

/** Everything that is wrong with one rule, except its conditions. */
export function ruleFaults(rule: Rule): readonly RuleFault[] {
  const faults: RuleFault[] = [];
  const fault: ReportFault = (message, ...path) => void faults.push({ path, message });
  if (!isName(rule.id)) fault(`id: ${NAME_HINT}`, 'id');
  if (rule.on !== undefined && !RULE_SUBJECTS.includes(rule.on)) fault(`on must be one of ${RULE_SUBJECTS.join(', ')}`, 'on');
  if (!Array.isArray(rule.tools) || rule.tools.length === 0) fault('tools needs at least one pattern', 'tools');
  else if (rule.tools.length > MAX_RULE_TOOLS) fault(`tools has at most ${MAX_RULE_TOOLS} patterns`, 'tools');
  else {
    rule.tools.forEach((pattern: unknown, index) => {
      const wrong = patternFault(pattern);
      if (wrong !== undefined) fault(wrong, 'tools', index);
    });
  }
  if (rule.reason_code !== undefined && !matches(REASON_CODE_SHAPE, rule.reason_code)) {
    fault('reason_code must look like POLICY_DENY_HIGH_RISK', 'reason_code');
  }
  if (rule.label !== undefined && (!isListOf(LABEL_SHAPE, rule.label) || rule.label.length > MAX_RULE_LABELS))
    fault(`label is a list of at most ${MAX_RULE_LABELS} labels: ${NAME_HINT}`, 'label');
  if (rule.raw !== undefined && (!isListOf(POINTER_SHAPE, rule.raw) || rule.raw.length > MAX_RAW_POINTERS)) {
    fault(`raw is a list of at most ${MAX_RAW_POINTERS} JSON pointers, such as /to`, 'raw');
  }
  if (rule.on === 'result') resultRuleFaults(rule, fault);
  else callRuleFaults(rule, fault);
  return faults;
}

/** Reports what is wrong with the key at a path. */
type ReportFault = (message: string, ...path: (string | number)[]) => void;

function callRuleFaults(rule: Rule, fault: ReportFault): void {
  if (!RULE_EFFECTS.some((effect) => effect === rule.effect)) {
    const isForResults = RESULT_EFFECTS.some((effect) => effect === rule.effect);
    fault(
      isForResults ? `effect ${rule.effect} is for rules with on: result` : `effect must be one of ${RULE_EFFECTS.join(', ')}`,
      'effect',
    );
  }
  if (rule.effect === 'label' && (rule.label === undefined || rule.label.length === 0))
    fault('a rule with effect label names its labels', 'label');
  if (rule.reason !== undefined && typeof rule.reason !== 'string') fault('reason must be text', 'reason');
  if (rule.label !== undefined && rule.effect === 'deny')
    fault('label has no effect on a deny rule: a denied call leaves no trace on the session', 'label');
  if (rule.max_chars !== undefined) fault('max_chars belongs to rules with on: result and effect truncate', 'max_chars');
  if (rule.message !== undefined) fault('message belongs to rules with on: result; what a call rule tells is its reason', 'message');
  if (rule.approval !== undefined) approvalFaults(rule, rule.approval, fault);
}

function approvalFaults(rule: Rule, approval: RuleApproval, fault: ReportFault): void {
  if (rule.effect !== 'require_approval') fault('approval belongs to rules with effect require_approval', 'approval');
  const { ttl, quorum, approvers, assurance } = approval;
  if (assurance !== undefined && !ASSURANCES.includes(assurance))
    fault(`assurance must be one of ${ASSURANCES.join(', ')}`, 'approval', 'assurance');
  if (ttl !== undefined && (typeof ttl !== 'string' || parseDuration(ttl) === undefined)) fault(`ttl: ${DURATION_HINT}`, 'approval', 'ttl');
  if (quorum !== undefined && (!Number.isSafeInteger(quorum) || quorum < 1 || quorum > MAX_QUORUM)) {
    fault(`quorum must be a whole number from 1 to ${MAX_QUORUM}`, 'approval', 'quorum');
    return;
  }
  if (approvers === undefined) return;
  if (!Array.isArray(approvers) || approvers.length === 0 || !approvers.every((name) => typeof name === 'string' && name !== '')) {
    fault('approvers needs at least one name', 'approval', 'approvers');
  } else if (new Set(approvers).size < (quorum ?? 1)) {
    fault(`quorum ${quorum ?? 1} can never be reached by ${new Set(approvers).size} approvers`, 'approval', 'quorum');
  }
}

/** What is wrong with a rule on results, beside what rules of both kinds share. */
function resultRuleFaults(rule: Rule, fault: ReportFault): void {
  const { effect, label, max_chars: maxChars, message } = rule;
  if (!RESULT_EFFECTS.some((known) => known === effect))
    fault(`effect of a rule on results must be one of ${RESULT_EFFECTS.join(', ')}: the call has run already`, 'effect');
  if (effect === 'label' && (label === undefined || label.length === 0)) fault('a rule with effect label names its labels', 'label');
  if (effect === 'truncate') {
    if (!Number.isSafeInteger(maxChars) || (maxChars ?? 0) < 1 || (maxChars ?? 0) > MAX_TRUNCATED_CHARS)
      fault(`truncate needs max_chars, a whole number from 1 to ${MAX_TRUNCATED_CHARS}`, 'max_chars');
  } else if (maxChars !== undefined) fault('max_chars belongs to effect truncate', 'max_chars');
  if (message !== undefined) {
    if (typeof message !== 'string' || message.length > MAX_MESSAGE_CHARS)
      fault(`message is text of at most ${MAX_MESSAGE_CHARS} characters`, 'message');
    else if (effect !== 'truncate' && effect !== 'withhold') fault('message belongs to effects truncate and withhold', 'message');
  }
  if (rule.reason !== undefined) fault('a rule on results has a message in place of a reason', 'reason');
  if (rule.approval !== undefined) fault('nobody can be asked about a result: approval belongs to rules on calls', 'approval');
}

function normalizeRule(rule: Rule): NormalRule | NormalResultRule {
  const { approval, effect } = rule;
  const both = {
    id: rule.id,
    tools: [...rule.tools],
    when: rule.when,
    unless: rule.unless,
    reason_code: rule.reason_code,
    label: rule.label === undefined ? undefined : [...rule.label],
    raw: rule.raw === undefined ? undefined : [...rule.raw],
  };
  if (rule.on === 'result')
    return { ...both, on: 'result', effect: effect as ResultEffect, max_chars: rule.max_chars, message: rule.message };
  return {
    ...both,
    effect: effect as RuleEffect,
    reason: rule.reason,
    approval:
      approval === undefined
        ? undefined
        : {
            ttl_ms: approval.ttl === undefined ? undefined : parseDuration(approval.ttl),
            quorum: approval.quorum,
            approvers: approval.approvers === undefined ? undefined : [...new Set(approval.approvers)],
            assurance: approval.assurance,
          },
  };
}

function isName(value: unknown): value is string {
  return matches(NAME_SHAPE, value);
}

function isListOf(shape: RegExp, value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => matches(shape, item));
}

function matches(shape: RegExp, value: unknown): boolean {
  return typeof value === 'string' && shape.test(value);
}

function refused(message: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', message);
}
