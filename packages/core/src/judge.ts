/** Steps 2 and 3: what policy says about a call in a session, and what the mode makes of it. Writes nothing. */
import { type ApprovalTerms, type Decision, type Effect, type Json, MAX_REASON_CHARS, type Mode } from './call.ts';
import type { Draft } from './draft.ts';
import { isAfterHalt } from './halt/after-halt.ts';
import { haltedReason } from './halt/reason.ts';
import { isClean } from './names.ts';
import { type PinFinding, type PinMode, type PinObjection, pinFinding } from './pin/objection.ts';
import { countOf } from './policy/call-counts.ts';
import { evaluatePolicy } from './policy/compose.ts';
import { ConditionFault } from './policy/condition-value.ts';
import { FactRecorder } from './policy/facts.ts';
import type { Policy, PolicyInput, PolicyVerdict, SessionFacts } from './policy/policy.ts';
import type { Roots } from './policy/roots.ts';
import { failedVerdict } from './policy/verdict.ts';
import type { PreparedCall } from './prepare.ts';
import type { Redactor } from './redact/redact.ts';
import type { Store } from './store.ts';

/** What policy says about a call, and what the mode makes of it. */
export interface Ruling {
  readonly decision: Decision;
  readonly labels: readonly string[];
  /** Present when the effect is `require_approval`. */
  readonly terms: Partial<ApprovalTerms>;
  /** How many rules ask for an approval. */
  readonly asks: number;
}

export interface Judgement extends Ruling {
  readonly input: PolicyInput;
  /** What the policy read besides the call, up to now: conditions of grants and budgets read, too. */
  readonly recorder: FactRecorder;
  /** The declaration of the tool that was trusted meanwhile; null: none. Absent: nothing depends on it. */
  readonly pinned?: string | null;
}

export interface JudgeDeps {
  readonly agent: string;
  readonly mode: Mode;
  /** Guards Countersign's own files; cannot be removed. */
  readonly ownFiles: Policy;
  readonly redactor: Pick<Redactor, 'text'>;
  readonly roots: Roots;
  readonly store: Pick<Store, 'sessionCalls' | 'pin' | 'opening'>;
  /** What is done about tools that are not what was trusted. */
  readonly pins: PinMode;
}

export async function judge(call: PreparedCall, session: SessionFacts, policy: Policy, atMs: number, deps: JudgeDeps): Promise<Judgement> {
  const recorder = new FactRecorder();
  // What is there already is not waited for: each wait is a turn of the queue of promises, and a call would take dozens.
  const { counts: counted = [] } = policy;
  const counts = counted.length === 0 || session.halted ? undefined : await countsOf(counted, session, deps);
  const input = policyInput(call, session, { atMs, recorder, counts }, deps);
  // What is to happen after a halt may be asked about; whether here, the transaction says.
  if (session.halted && !isAfterHalt(call.tool)) {
    const reason = haltedReason(session.id);
    return {
      decision: { effect: 'deny', would: 'deny', reasonCode: 'SESSION_HALTED', reason },
      labels: [],
      terms: {},
      asks: 0,
      input,
      recorder,
    };
  }
  const found = pinFinding(call.tool, deps);
  const pin = found instanceof Promise ? await found : found;
  const about = pin.pinned === undefined ? { input, recorder } : { input, recorder, pinned: pin.pinned };
  // In audit mode too: whoever changes a tool behind its user's back is not there to be watched.
  if (pin.objection?.effect === 'deny') return { ...denialOf(pin.objection, deps.redactor), ...about };
  // Over the private copy, not the shown view: a path must not hide behind a placeholder.
  const owned = evaluatePolicy(deps.ownFiles, { ...input, args: call.args as Json });
  const own = owned instanceof Promise ? await owned : owned;
  const asked = own.effect === 'abstain' ? evaluatePolicy(policy, input) : undefined;
  const said = asked instanceof Promise ? await asked : asked;
  const verdict = said === undefined ? own : withoutSecrets(said, policy, deps.redactor);
  return { ...withPin(rulingOf(verdict, policy, deps.mode, deps.redactor), pin, deps.redactor), ...about };
}

function denialOf({ reasonCode, reason }: PinObjection, redactor: Pick<Redactor, 'text'>): Ruling {
  return { decision: { effect: 'deny', would: 'deny', reasonCode, reason: shortReason(reason, redactor) }, labels: [], terms: {}, asks: 0 };
}

/** Asks about the tool itself, whatever policy allows. Where policy asks as well, its terms stand. */
function withPin(ruling: Ruling, { objection }: PinFinding, redactor: Pick<Redactor, 'text'>): Ruling {
  const { decision, asks } = ruling;
  if (objection === undefined || decision.effect === 'deny') return ruling;
  const { rule } = decision;
  return {
    ...ruling,
    decision: {
      effect: 'require_approval',
      would: 'require_approval',
      reasonCode: objection.reasonCode,
      reason: shortReason(objection.reason, redactor),
      ...(decision.effect === 'require_approval' && rule !== undefined && { rule }),
    },
    // More than one: a grant is no word about what the tool has become.
    asks: asks + 2,
  };
}

function shortReason(reason: string, redactor: Pick<Redactor, 'text'>): string {
  return redactor.text(reason).slice(0, MAX_REASON_CHARS).toWellFormed();
}

/** What a verdict means in a mode. */
export function rulingOf(verdict: PolicyVerdict, policy: Pick<Policy, 'default'>, mode: Mode, redactor: Pick<Redactor, 'text'>): Ruling {
  const would: PolicyVerdict = verdict.effect === 'abstain' ? defaultVerdict(policy.default ?? 'deny', verdict) : verdict;
  const effect = enforced(would, verdict.effect === 'abstain', mode);
  const { labels = [], reason, rule } = would as Exclude<PolicyVerdict, { effect: 'abstain' }>;
  const decision: Draft<Decision> = { effect, would: would.effect as Effect, reasonCode: reasonCode(would, effect, mode) };
  // A policy function may quote what it saw; only the shown view is clean.
  if (reason !== undefined) decision.reason = shortReason(reason, redactor);
  if (rule !== undefined) decision.rule = rule;
  if (would.effect !== 'require_approval') return { decision, labels, terms: {}, asks: effect === 'require_approval' ? 1 : 0 };
  return { decision, labels, terms: would.terms ?? {}, asks: would.asks ?? 1 };
}

/** A policy function sees raw arguments, and what it names stands in the entry, where nothing can erase it. */
function withoutSecrets(verdict: PolicyVerdict, policy: Policy, redactor: Pick<Redactor, 'text'>): PolicyVerdict {
  const areClean = (names: readonly string[] | undefined): boolean => names?.every((name) => isClean(name, redactor)) ?? true;
  const isFit =
    areClean(verdict.labels) &&
    (verdict.effect === 'abstain' ||
      ((verdict.rule === undefined || isClean(verdict.rule, redactor)) &&
        (verdict.reasonCode === undefined || isClean(verdict.reasonCode, redactor)) &&
        (verdict.effect !== 'require_approval' || areClean(verdict.terms?.approvers))));
  return isFit ? verdict : failedVerdict(policy, 'gave a name that looks like a secret');
}

/** Audit lets run what policy would not; confirm asks where no rule matched. What fails closed stays closed in every mode. */
function enforced(verdict: PolicyVerdict, isDefault: boolean, mode: Mode): Effect {
  if (verdict.effect === 'deny' && (verdict.always === true || verdict.reasonCode === 'POLICY_EVALUATION_FAILED')) return 'deny';
  if (mode === 'audit') return 'allow';
  if (mode === 'confirm' && isDefault && verdict.effect === 'deny') return 'require_approval';
  return verdict.effect as Effect;
}

function reasonCode(verdict: PolicyVerdict, effect: Effect, mode: Mode): Decision['reasonCode'] {
  if (mode === 'confirm' && verdict.effect === 'deny' && effect === 'require_approval') return 'POLICY_DEFAULT_REQUIRE_APPROVAL';
  if (verdict.effect !== 'abstain' && verdict.reasonCode !== undefined) return verdict.reasonCode;
  const codes = {
    allow: 'POLICY_ALLOW_LOW_RISK',
    deny: 'POLICY_DENY_HIGH_RISK',
    require_approval: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
  } as const;
  return codes[verdict.effect as Effect];
}

function defaultVerdict(effect: Effect, abstained: PolicyVerdict): PolicyVerdict {
  const codes = {
    allow: 'POLICY_DEFAULT_ALLOW',
    deny: 'POLICY_DEFAULT_DENY',
    require_approval: 'POLICY_DEFAULT_REQUIRE_APPROVAL',
  } as const;
  // An allow rule that erred abstains; its explanation is worth more than "no rule matched".
  const explained = 'reason' in abstained && typeof abstained.reason === 'string' ? abstained.reason : 'no rule matches this call';
  return { effect, reasonCode: codes[effect], reason: explained, ...(abstained.labels !== undefined && { labels: abstained.labels }) };
}

/** Read after the session was: a call that is allowed in between is counted, and the transaction counts again. */
async function countsOf(counts: readonly string[], session: SessionFacts, deps: JudgeDeps): Promise<ReadonlyMap<string, number>> {
  const tools = await deps.store.sessionCalls(session.id);
  return new Map(counts.map((subject) => [subject, countOf(subject, tools)]));
}

export interface Circumstances {
  readonly atMs: number;
  readonly recorder: FactRecorder;
  /** By subject. */
  readonly counts: ReadonlyMap<string, number> | undefined;
}

/** What policies see of a call. */
export function policyInput(call: PreparedCall, session: SessionFacts, circumstances: Circumstances, deps: JudgeDeps): PolicyInput {
  const { atMs, recorder, counts } = circumstances;
  const root = deps.roots.of(call.tool);
  const input: Draft<PolicyInput> = {
    tool: call.tool,
    args: call.shown,
    findings: call.findings,
    agent: deps.agent,
    session,
    mode: deps.mode,
    atMs,
    lookups: recorder,
    raw: (pointer) => atPointer(call.args, pointer),
  };
  if (call.principal !== undefined) input.principal = call.principal;
  if (call.cost !== undefined) input.cost = call.cost;
  if (root !== undefined) input.root = root;
  if (counts !== undefined)
    input.countCalls = (subject) => {
      const count = counts.get(subject);
      if (count === undefined) throw new ConditionFault('nobody counted these calls');
      recorder.readCalls(subject, count);
      return count;
    };
  return input;
}

/** RFC 6901, own members only: `/constructor` of an argument object is an argument or nothing. */
function atPointer(value: unknown, pointer: string): unknown {
  if (pointer === '') return value;
  let at = value;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}
