/**
 * Cedar policies as a Policy.
 *
 * forbid is deny, permit is allow or, with `@effect("require_approval")`, an ask; where no policy matches it abstains and
 * its default applies. All that match count and the most restrictive wins. Cedar passes over a policy whose condition fails;
 * here a forbid or an ask that fails denies the call, and only a permit does not apply.
 */
import type { Effect } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { policyHash } from '../policy/hash.ts';
import type { Policy, PolicyInput, PolicyVerdict } from '../policy/policy.ts';
import { EFFECTS, NAME_HINT, NAME_SHAPE } from '../policy/rule-definition.ts';
import { mergeLabels, mergeTerms } from '../policy/terms.ts';
import { failedVerdict } from '../policy/verdict.ts';
import type { Cedar, CedarEngine } from './engine.ts';
import { type CedarRequest, cedarRequest, RequestFault } from './request.ts';
import { type CedarRule, readCedarRules } from './rules.ts';

export interface CedarPolicyOptions {
  readonly id: string;
  readonly version?: string;
  /** For calls no policy matches; default `deny`. */
  readonly default?: Effect;
  /** Policy text, or several with the names that errors say. */
  readonly policies: string | readonly { readonly where: string; readonly text: string }[];
  /** Cedar schema text: policies are checked against it when they are loaded. Calls are not: arguments differ by tool. */
  readonly schema?: string;
  /** Entities in Cedar's JSON, such as groups of agents or tools. */
  readonly entities?: readonly unknown[];
}

type Answer = ReturnType<Cedar['statefulIsAuthorized']>;
type Entities = Parameters<Cedar['checkParseEntities']>[0]['entities'];

/** @throws {CountersignError} `OPTIONS_INVALID` for what does not parse or validate, and when Cedar is not installed. */
export function cedarPolicyOn(engine: CedarEngine, options: CedarPolicyOptions): Policy {
  const { id, version, default: fallback = 'deny', schema, entities = [] } = options;
  const refuse = (what: string): never => {
    throw new CountersignError('OPTIONS_INVALID', `cedar: ${what}`);
  };
  if (typeof id !== 'string' || !NAME_SHAPE.test(id)) refuse(`policy id: ${NAME_HINT}`);
  if (version !== undefined && typeof version !== 'string') refuse('version must be text');
  if (!EFFECTS.includes(fallback)) refuse(`default must be one of ${EFFECTS.join(', ')}`);
  const texts = typeof options.policies === 'string' ? [{ where: id, text: options.policies }] : options.policies;
  const own = entities as Entities;
  const { rules, language } = loading(() =>
    engine.run((cedar) => {
      const read = readCedarRules(texts, cedar);
      checkSchema(schema, read, cedar, refuse);
      const parsed = cedar.checkParseEntities({ entities: own });
      if (parsed.type === 'failure') refuse(`entities: ${parsed.errors[0]?.message ?? 'do not parse'}`);
      return { rules: read, language: cedar.getCedarLangVersion() };
    }),
  );
  const document = canonicalize({
    kind: 'cedar',
    id,
    ...(version !== undefined && { version }),
    default: fallback,
    language,
    policies: rules.map(({ text }) => text),
    ...(schema !== undefined && { schema }),
    ...(own.length > 0 && { entities: own }),
  });
  const hash = policyHash(document);
  const ask = asker(engine, hash, rules, own);
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  return {
    id,
    ...(version !== undefined && { version }),
    hash,
    document,
    default: fallback,
    evaluate: (input) => evaluate(input, id, byId, ask),
  };
}

/** What Cedar throws instead of saying it, a trap among it, is a policy that does not load. */
function loading<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    if (CountersignError.is(error)) throw error;
    throw new CountersignError('OPTIONS_INVALID', 'cedar: the policies, the schema or the entities are too deep or too large', {
      cause: error,
    });
  }
}

function checkSchema(schema: string | undefined, rules: readonly CedarRule[], cedar: Cedar, refuse: (what: string) => never): void {
  if (schema === undefined) return;
  const parsed = cedar.checkParseSchema(schema);
  if (parsed.type === 'failure') refuse(`schema: ${parsed.errors[0]?.message ?? 'does not parse'}`);
  const staticPolicies = Object.fromEntries(rules.map(({ id, text }) => [id, text]));
  const checked = cedar.validate({ schema, policies: { staticPolicies }, validationSettings: { mode: 'strict' } });
  if (checked.type === 'failure') return refuse(`schema: ${checked.errors[0]?.message ?? 'the policies cannot be checked against it'}`);
  // A warning is enough: that a policy can never apply, say, which is a forbid that forbids nothing.
  const [first] = [...checked.validationErrors, ...checked.validationWarnings];
  if (first !== undefined) refuse(`policy "${first.policyId}" does not fit the schema: ${first.error.message}`);
}

/** Asks Cedar. Policies are parsed once per instance, under their hash. */
function asker(engine: CedarEngine, hash: string, rules: readonly CedarRule[], own: Entities): (request: CedarRequest) => Answer {
  let preparedIn: number | undefined;
  const staticPolicies = Object.fromEntries(rules.map(({ id, text }) => [id, text]));
  const isDefined = new Set(own.map(({ uid }) => uidText(uid)));
  return (request) =>
    engine.run((cedar, instance) => {
      if (preparedIn !== instance) {
        const prepared = cedar.preparsePolicySet(hash, { staticPolicies });
        if (prepared.type === 'failure') throw new Error('the policies do not parse any more');
        preparedIn = instance;
      }
      const { principal, action, resource, context, server } = request;
      // Whoever describes the tool says what it is a member of.
      const isMember = server !== undefined && !isDefined.has(uidText(resource));
      const entities = isMember ? [...own, { uid: resource, attrs: {}, parents: [server] }] : own;
      // Plain JSON by now, whatever the types of Cedar say of readonly.
      return cedar.statefulIsAuthorized({ principal, action, resource, context, entities, preparsedPolicySetId: hash } as Parameters<
        Cedar['statefulIsAuthorized']
      >[0]);
    });
}

function uidText(
  uid: { readonly type: string; readonly id: string } | { readonly __entity: { readonly type: string; readonly id: string } },
): string {
  const { type, id } = '__entity' in uid ? uid.__entity : uid;
  return JSON.stringify([type, id]);
}

function evaluate(
  input: PolicyInput,
  id: string,
  rules: ReadonlyMap<string, CedarRule>,
  ask: (request: CedarRequest) => Answer,
): PolicyVerdict {
  let answer: Answer;
  try {
    answer = ask(cedarRequest(input));
  } catch (error) {
    // What Cedar throws may quote arguments.
    return failedVerdict({ id }, error instanceof RequestFault ? `could not be asked: ${error.message}` : 'could not be asked');
  }
  return verdictOf(answer, rules) ?? failedVerdict({ id }, 'gave an answer that is none');
}

/** Undefined for an answer that says more than it was asked, or less. */
function verdictOf(answer: Answer, rules: ReadonlyMap<string, CedarRule>): PolicyVerdict | undefined {
  if (answer.type !== 'success') return undefined;
  const { decision, diagnostics } = answer.response;
  const matched = diagnostics.reason.map((id) => rules.get(id));
  const failed = diagnostics.errors.map(({ policyId }) => rules.get(policyId));
  if (![...matched, ...failed].every((rule) => rule !== undefined)) return undefined;
  const applying = byName(matched);
  const broken = byName(failed);
  // Only forbids deny, only permits allow, and nothing allows of itself.
  const isSound =
    decision === 'allow'
      ? applying.length > 0 && applying.every(({ effect }) => effect !== 'deny')
      : decision === 'deny' && applying.every(({ effect }) => effect === 'deny');
  if (!isSound) return undefined;

  const strict = broken.find(({ effect }) => effect !== 'allow');
  if (strict !== undefined) {
    const reason = `cedar policy "${strict.id}" could not be evaluated`;
    return { effect: 'deny', always: true, rule: strict.id, reasonCode: 'POLICY_EVALUATION_FAILED', reason };
  }
  const [first] = applying;
  if (first === undefined) {
    return broken[0] === undefined
      ? { effect: 'abstain' }
      : { effect: 'abstain', reason: `a permit did not apply: cedar policy "${broken[0].id}" could not be evaluated` };
  }
  if (decision === 'deny') return { effect: 'deny', ...ruled(first) };
  const labels = mergeLabels(applying.map((rule) => rule.labels));
  const more = labels === undefined ? {} : { labels };
  const asks = applying.filter(({ effect }) => effect === 'require_approval');
  const [asking] = asks;
  if (asking === undefined) return { effect: 'allow', ...ruled(first), ...more };
  const terms = mergeTerms(asks.map((rule) => rule.terms));
  if (terms === undefined) {
    const reason = `nobody can approve for all of these policies: ${asks.map((rule) => rule.id).join(', ')}`;
    return { effect: 'deny', rule: asking.id, reasonCode: 'POLICY_DENY_HIGH_RISK', reason };
  }
  return { effect: 'require_approval', ...ruled(asking), ...more, terms, ...(asks.length > 1 && { asks: asks.length }) };
}

function byName(rules: readonly (CedarRule | undefined)[]): readonly CedarRule[] {
  return rules.flatMap((rule) => rule ?? []).toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

function ruled({ id, reasonCode, reason }: CedarRule): Pick<PolicyVerdict & { effect: 'allow' }, 'rule' | 'reasonCode' | 'reason'> {
  return { rule: id, reasonCode, ...(reason !== undefined && { reason }) };
}
