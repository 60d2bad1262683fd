/**
 * Reading Cedar policies as rules. Annotations say what Cedar itself cannot:
 *
 *     @id("big-refund")
 *     @effect("require_approval") @approvers("finance, ana") @ttl("5m") @quorum("1")
 *     permit (principal, action, resource == Tool::"refund") when { context.args.amount > 500 };
 *
 * | annotation                                        | of                        |
 * |---------------------------------------------------|---------------------------|
 * | `@id`                                             | every policy: required    |
 * | `@reason`, `@reason_code`                         | every policy              |
 * | `@effect`: `allow` (absent), `require_approval`   | permit                    |
 * | `@label`: names with commas between               | permit                    |
 * | `@approvers`, `@ttl`, `@quorum`, `@assurance`     | permit that asks          |
 *
 * Any other is refused: a word that is spelled wrong would otherwise turn an ask into an allow.
 */
import { type ApprovalTerms, ASSURANCES, type Effect, MAX_REASON_CHARS, type ReasonCode } from '../call.ts';
import { DURATION_HINT, parseDuration } from '../config/duration.ts';
import { didYouMean } from '../config/nearest.ts';
import { CountersignError } from '../errors.ts';
import { LABEL_SHAPE, MAX_QUORUM, NAME_HINT, NAME_SHAPE, REASON_CODE_SHAPE } from '../policy/rule-definition.ts';
import type { Cedar } from './engine.ts';

export const MAX_CEDAR_CHARS = 524_288;
export const MAX_CEDAR_POLICIES = 2000;
const MAX_NAMES = 16;

export interface CedarRule {
  readonly id: string;
  readonly text: string;
  readonly effect: Effect;
  readonly reasonCode: ReasonCode;
  readonly reason?: string;
  readonly labels?: readonly string[];
  readonly terms: Partial<ApprovalTerms>;
}

const ANNOTATIONS = ['id', 'effect', 'reason', 'reason_code', 'label', 'approvers', 'ttl', 'quorum', 'assurance'];
const OF_ASKS = ['approvers', 'ttl', 'quorum', 'assurance'];
const REASON_CODE_OF: Readonly<Record<Effect, ReasonCode>> = {
  allow: 'POLICY_ALLOW_LOW_RISK',
  deny: 'POLICY_DENY_HIGH_RISK',
  require_approval: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
};

/**
 * @param where - names the texts in messages.
 * @throws {CountersignError} `OPTIONS_INVALID`, with line and column for what does not parse.
 */
export function readCedarRules(texts: readonly { readonly where: string; readonly text: string }[], cedar: Cedar): readonly CedarRule[] {
  const rules = new Map<string, CedarRule>();
  for (const { where, text } of texts) {
    if (text.length > MAX_CEDAR_CHARS) throw invalid(`${where}: longer than ${MAX_CEDAR_CHARS} characters`);
    if (!text.isWellFormed()) throw invalid(`${where}: holds half a character`);
    const parts = cedar.policySetTextToParts(text);
    if (parts.type === 'failure') throw parseError(where, text, parts.errors[0]);
    if (parts.policy_templates.length > 0) throw invalid(`${where}: templates are not used here: write the policy out`);
    for (const part of parts.policies) {
      const rule = readRule(part, where, cedar);
      if (rules.has(rule.id)) throw invalid(`${where}: another policy has @id("${rule.id}")`);
      rules.set(rule.id, rule);
      if (rules.size > MAX_CEDAR_POLICIES) throw invalid(`${where}: more than ${MAX_CEDAR_POLICIES} policies`);
    }
  }
  if (rules.size === 0) throw invalid('there is no policy in it');
  // By name, whatever order they stand in: which of several is named in a decision must not depend on it.
  return [...rules.values()].toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

/** Line and column, 1-based, of what Cedar gives in bytes. */
export function placeIn(text: string, bytes: number): { readonly line: number; readonly column: number } {
  const before = Buffer.from(text).subarray(0, bytes).toString().split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

interface Fault {
  readonly message: string;
  readonly sourceLocations?: readonly { readonly start: number }[];
}

function parseError(where: string, text: string, error: Fault | undefined): CountersignError {
  const start = error?.sourceLocations?.[0]?.start;
  if (start === undefined) return invalid(`${where}: ${error?.message ?? 'does not parse'}`);
  const { line, column } = placeIn(text, start);
  return new CountersignError('OPTIONS_INVALID', `cedar: ${where}:${line}:${column}: ${error?.message ?? 'does not parse'}`, {
    details: { line, column },
  });
}

function readRule(text: string, where: string, cedar: Cedar): CedarRule {
  const parsed = cedar.policyToJson(text);
  if (parsed.type === 'failure') throw parseError(where, text, parsed.errors[0]);
  const { effect: kind } = parsed.json;
  const given = new Map(Object.entries(parsed.json.annotations ?? {}));
  const id = given.get('id');
  if (id === undefined) throw invalid(`${where}: every policy needs @id("name"), which decisions name; missing at: ${text.slice(0, 60)}`);
  const refuse = (what: string): never => {
    throw invalid(`${where}: policy "${id}": ${what}`);
  };
  if (!NAME_SHAPE.test(id)) refuse(`@id: ${NAME_HINT}`);
  for (const name of given.keys()) if (!ANNOTATIONS.includes(name)) refuse(`unknown annotation @${name}${didYouMean(name, ANNOTATIONS)}`);

  const effect = effectOf(kind, given.get('effect'), refuse);
  for (const name of OF_ASKS)
    if (given.has(name) && effect !== 'require_approval') refuse(`@${name} belongs to @effect("require_approval")`);
  const label = given.get('label');
  if (label !== undefined && effect === 'deny') refuse('@label has no effect on forbid: a denied call leaves no trace');
  const labels = label === undefined ? undefined : names('label', label, refuse);
  if (labels?.some((name) => !LABEL_SHAPE.test(name)) === true) refuse(`@label: ${NAME_HINT}`);
  const [reason, reasonCode] = [given.get('reason'), given.get('reason_code')];
  if (reason !== undefined && reason.length > MAX_REASON_CHARS) refuse(`@reason: at most ${MAX_REASON_CHARS} characters`);
  if (reasonCode !== undefined && !REASON_CODE_SHAPE.test(reasonCode)) refuse('@reason_code must look like POLICY_DENY_HIGH_RISK');
  return {
    id,
    text,
    effect,
    reasonCode: reasonCode ?? REASON_CODE_OF[effect],
    ...(reason !== undefined && { reason }),
    ...(labels !== undefined && { labels }),
    terms: termsOf(given, refuse),
  };
}

type Refuse = (what: string) => never;

function effectOf(kind: string, given: string | undefined, refuse: Refuse): Effect {
  if (kind === 'forbid') return given === undefined || given === 'deny' ? 'deny' : refuse('@effect of forbid is deny');
  if (kind !== 'permit') return refuse('neither permit nor forbid');
  if (given === undefined || given === 'allow') return 'allow';
  return given === 'require_approval' ? given : refuse('@effect of permit is allow or require_approval');
}

function termsOf(given: ReadonlyMap<string, string>, refuse: Refuse): Partial<ApprovalTerms> {
  const [approvers, ttl, quorum, assurance] = OF_ASKS.map((name) => given.get(name));
  const ttlMs = ttl === undefined ? undefined : (parseDuration(ttl) ?? refuse(`@ttl: ${DURATION_HINT}`));
  const people = quorum === undefined ? undefined : /^\d{1,2}$/.test(quorum) ? Number(quorum) : Number.NaN;
  if (people !== undefined && !(people >= 1 && people <= MAX_QUORUM)) refuse(`@quorum must be a whole number from 1 to ${MAX_QUORUM}`);
  const who = approvers === undefined ? undefined : names('approvers', approvers, refuse);
  if (who !== undefined && who.length < (people ?? 1)) refuse(`@quorum ${people ?? 1} can never be reached by ${who.length} approvers`);
  const worth = ASSURANCES.find((known) => known === assurance);
  if (assurance !== undefined && worth === undefined) refuse(`@assurance must be one of ${ASSURANCES.join(', ')}`);
  return {
    ...(ttlMs !== undefined && { ttlMs }),
    ...(people !== undefined && { quorum: people }),
    ...(who !== undefined && { approvers: who }),
    ...(worth !== undefined && { assurance: worth }),
  };
}

function names(annotation: string, given: string, refuse: Refuse): readonly string[] {
  const list = [...new Set(given.split(',').map((name) => name.trim()))];
  if (list.includes('') || list.length > MAX_NAMES) refuse(`@${annotation}: 1 to ${MAX_NAMES} names with commas between`);
  return list;
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', `cedar: ${what}`);
}
