/** What is wrong with a configuration that its schema cannot see: conditions, durations, ids, limits. */
import { type BudgetDefinition, budgetFaults } from '../budget/budget.ts';
import { CountersignError } from '../errors.ts';
import { parseVerifierKey, TYPE_COSIGNATURE } from '../ledger/verifier-key.ts';
import { compileCondition, compileCost, compileKey } from '../policy/conditions.ts';
import { NAME_HINT, NAME_SHAPE, type Rule, ruleFaults } from '../policy/rule-definition.ts';
import { detectorFaults } from '../redact/custom.ts';
import { channelProblems } from './channels.ts';
import { decisionPointProblems } from './decision-point.ts';
import type { Look, Path, Problem, YamlText } from './document.ts';
import { DURATION_HINT, parseDuration } from './duration.ts';
import { holdProblem } from './mcp-schema.ts';
import { monitorProblems } from './monitor-schema.ts';
import { packProblems } from './pack-schema.ts';
import { policyFileProblems } from './policy-files.ts';
import { type PolicyDocument, policySchema } from './policy-schema.ts';
import { budgetsSchema, type ConfigDocument } from './schema.ts';
import { serverProblems } from './servers.ts';
import { DEFAULT_APPROVAL_TTL, DEFAULT_MAX_TTL } from './work-out.ts';

/** Faults of the blocks that do have the right shape, although another block has not. */
export function looseProblems(yaml: YamlText): readonly Problem[] {
  const { value } = yaml;
  if (typeof value !== 'object' || value === null) return [];
  const { policy, budgets }: { readonly policy?: unknown; readonly budgets?: unknown } = value;
  const someBudgets = budgetsSchema.optional().safeParse(budgets);
  const somePolicy = policySchema.safeParse(policy);
  const look = lookAt(yaml);
  return [
    ...(somePolicy.success ? ruleSetProblems(somePolicy.data, Number.POSITIVE_INFINITY, look) : []),
    ...(someBudgets.success ? budgetProblems(someBudgets.data ?? [], look) : []),
  ];
}

function lookAt(yaml: YamlText): Look {
  return (path, message) => ({ path, message, ...yaml.place(path) });
}

/** What the schema cannot see: conditions, durations, ids, limits. */
export function meaningProblems(document: ConfigDocument, yaml: YamlText): readonly Problem[] {
  const look = lookAt(yaml);
  const problems: Problem[] = [];
  const { ttl = DEFAULT_APPROVAL_TTL, max_ttl: maxTtl = DEFAULT_MAX_TTL, max_grant_ttl: maxGrantTtl } = document.approvals ?? {};
  const ttlMs = parseDuration(ttl);
  const maxTtlMs = parseDuration(maxTtl);
  if (maxTtlMs === undefined) problems.push(look(['approvals', 'max_ttl'], DURATION_HINT));
  if (maxGrantTtl !== undefined && parseDuration(maxGrantTtl) === undefined)
    problems.push(look(['approvals', 'max_grant_ttl'], DURATION_HINT));
  if (ttlMs === undefined) problems.push(look(['approvals', 'ttl'], DURATION_HINT));
  else if (ttlMs > (maxTtlMs ?? Number.POSITIVE_INFINITY)) problems.push(look(['approvals', 'ttl'], tooLong(maxTtl)));
  for (const approver of Object.keys(document.approvers ?? {})) {
    if (!NAME_SHAPE.test(approver)) problems.push(look(['approvers', approver], `approver: ${NAME_HINT}`));
  }
  if (document.ledger?.sign === 'none' && document.ledger.key !== undefined) {
    problems.push(look(['ledger', 'key'], 'with sign: none no key is used; remove one of the two'));
  }
  for (const { path, message } of detectorFaults(document.redaction?.detectors ?? [])) {
    problems.push(look(['redaction', 'detectors', ...path.map((step, i) => (i === 0 ? Number(step) : step))], message));
  }
  problems.push(...channelProblems(document, look), ...signingProblems(document, look));
  problems.push(...decisionPointProblems({ authzen: document.policy.authzen, serve: document.serve }, look));
  problems.push(...ruleSetProblems(document.policy, maxTtlMs ?? Number.POSITIVE_INFINITY, look, maxTtl));
  problems.push(...budgetProblems(document.budgets ?? [], look));
  problems.push(...serverProblems(document.servers ?? {}, look));
  problems.push(...monitorProblems(document.monitor ?? {}, maxTtl, look));
  const hold = holdProblem(document.mcp ?? {});
  if (hold !== undefined) problems.push(look(['mcp', 'hold'], hold));
  return problems;
}

function signingProblems({ ledger = {} }: ConfigDocument, look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  for (const key of ['sign_interval', 'sign_max_lag'] as const) {
    const given = ledger[key];
    if (given === undefined) continue;
    if (parseDuration(given) === undefined) problems.push(look(['ledger', key], DURATION_HINT));
    if (ledger.sign !== 'interval') problems.push(look(['ledger', key], 'is for sign: interval only'));
  }
  const { anchor_interval: every, anchor_required: required, anchors = [] } = ledger;
  if (every !== undefined && parseDuration(every) === undefined) problems.push(look(['ledger', 'anchor_interval'], DURATION_HINT));
  if (required !== undefined && parseDuration(required.max_age) === undefined)
    problems.push(look(['ledger', 'anchor_required', 'max_age'], DURATION_HINT));
  if (required !== undefined && (required.n ?? 1) > anchors.length)
    problems.push(look(['ledger', 'anchor_required'], `needs ${required.n ?? 1} anchors, there are ${anchors.length}`));
  for (const [i, anchor] of anchors.entries()) {
    const place = ['ledger', 'anchors', i];
    if ('rfc3161' in anchor && ledger.sign === 'none')
      problems.push(look(place, 'a timestamp stands beside the signature of a checkpoint, and this ledger says sign: none'));
    if (!('witness' in anchor)) continue;
    const problem = witnessKeyProblem(anchor.witness.vkey);
    if (problem !== undefined) problems.push(look([...place, 'witness', 'vkey'], problem));
    if (ledger.sign === 'none') problems.push(look(place, 'a witness checks signed ledgers only, and this one says sign: none'));
  }
  if (ledger.sign === 'interval' && ledger.writer === 'worker')
    problems.push(look(['ledger', 'writer'], 'with sign: interval the writer is inline: the signature is off the main path already'));
  return problems;
}

function witnessKeyProblem(vkey: string): string | undefined {
  try {
    return parseVerifierKey(vkey).type === TYPE_COSIGNATURE ? undefined : 'must be the key of a witness, of type 4: this one signs logs';
  } catch (error) {
    if (CountersignError.is(error)) return error.message;
    throw error;
  }
}

function tooLong(maxTtl: string): string {
  return `longer than ${maxTtl}, the most an approval may wait; raise approvals.max_ttl if that is meant`;
}

function ruleSetProblems(policy: PolicyDocument, maxTtlMs: number, look: Look, maxTtl: string = DEFAULT_MAX_TTL): readonly Problem[] {
  const problems: Problem[] = [];
  const { packs, id, rules } = policy;
  problems.push(...policyFileProblems(policy, look));
  const isElsewhere = policy.bundle !== undefined || policy.cedar !== undefined;
  if (id === undefined && policy.bundle === undefined && (packs === undefined || rules !== undefined))
    problems.push(look(['policy', 'id'], 'required, but missing'));
  if (id !== undefined && !NAME_SHAPE.test(id)) problems.push(look(['policy', 'id'], `id: ${NAME_HINT}`));
  if (rules === undefined && packs === undefined && !isElsewhere)
    problems.push(look(['policy', 'rules'], 'required, but missing: write rules, or name packs such as [baseline]'));
  problems.push(...packProblems(packs ?? [], look, (ttlMs) => (ttlMs > maxTtlMs ? tooLong(maxTtl) : undefined)));
  const seen = new Set<string>();
  (rules ?? []).forEach((rule, index) => {
    const at = ['policy', 'rules', index];
    for (const fault of ruleFaults(rule)) problems.push(look([...at, ...fault.path], fault.message));
    if (seen.has(rule.id)) problems.push(look([...at, 'id'], `another rule has the id "${rule.id}"`));
    seen.add(rule.id);
    const ttlMs = rule.approval?.ttl === undefined ? undefined : parseDuration(rule.approval.ttl);
    if (ttlMs !== undefined && ttlMs > maxTtlMs) problems.push(look([...at, 'approval', 'ttl'], tooLong(maxTtl)));
    problems.push(...conditionProblems(rule, at, look));
  });
  return problems;
}

function conditionProblems(rule: Rule, at: Path, look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  for (const key of ['when', 'unless'] as const) {
    const source = rule[key];
    const options = {
      ...(rule.raw !== undefined && { raw: rule.raw }),
      ...(rule.on === 'result' ? { on: rule.on } : { counts: { reach: 'wide', subjects: new Set<string>() } as const }),
    };
    if (source !== undefined) problems.push(...expressionProblem(() => compileCondition(source, 'condition', options), [...at, key], look));
  }
  return problems;
}

function expressionProblem(compile: () => unknown, path: Path, look: Look): readonly Problem[] {
  try {
    compile();
    return [];
  } catch (error) {
    return [look(path, error instanceof Error ? error.message : 'condition: does not compile')];
  }
}

function budgetProblems(budgets: readonly BudgetDefinition[], look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  budgets.forEach((budget, index) => {
    for (const fault of budgetFaults(budget)) problems.push(look(['budgets', index, ...fault.path], fault.message));
    if (seen.has(budget.id)) problems.push(look(['budgets', index, 'id'], `another budget has the id "${budget.id}"`));
    seen.add(budget.id);
    const { cost, key } = budget;
    if (typeof key === 'string') problems.push(...expressionProblem(() => compileKey(key, 'key'), ['budgets', index, 'key'], look));
    if (cost !== undefined) problems.push(...expressionProblem(() => compileCost(cost, 'cost'), ['budgets', index, 'cost'], look));
  });
  return problems;
}
