/** The right to run one decided call once, and recording what became of it. */
import {
  type Decision,
  type EntryRef,
  OUTCOME_STATUSES,
  type Outcome,
  type OutcomeStatus,
  type Permit,
  type Released,
  type ToolRef,
} from './call.ts';
import type { CallStory } from './call-story.ts';
import type { Draft } from './draft.ts';
import type { Engine } from './engine.ts';
import { CountersignError } from './errors.ts';
import type { CallWatch } from './interfaces.ts';
import { commitSection, newOpeningKey } from './ledger/commitment.ts';
import type { Opening, ResourceFigures } from './ledger/entry.ts';
import type { Policy, PolicyInput } from './policy/policy.ts';
import { errorType, showAnything } from './redact/excerpt.ts';
import { maskResult } from './redact/mask.ts';
import type { Redactor } from './redact/redact.ts';
import { type JudgedResult, judgeResult, unjudged, unrecorded } from './result/release.ts';
import { withinCall } from './scope.ts';
import type { Committed, OutcomeUnit } from './store-units.ts';

type PermitDeps = Pick<
  Engine,
  'agent' | 'mode' | 'store' | 'budgets' | 'openCalls' | 'commit' | 'redactor' | 'masksResults' | 'lost' | 'track' | 'report'
>;

export interface Granted {
  readonly callId: string;
  readonly session: string;
  readonly decision: Decision;
  readonly entry: EntryRef;
  readonly args: unknown;
  readonly edited?: { readonly call: string };
  readonly watch: CallWatch | undefined;
  readonly story: CallStory | undefined;
  /** What the call was decided under, and on: rules on results see the same. */
  readonly policy: Policy;
  readonly input: PolicyInput;
  /** When it was decided, store time, if another process did that; absent = now. */
  readonly decidedAtMs?: number;
  readonly state?: PermitState | undefined;
}

/** What whoever keeps results has to know of a permit, and nobody else: told in an object of theirs. */
export interface PermitState {
  /** Hash of the policy that decided the call, and what may be shown of its result; absent until there is a permit. */
  policy?: string;
  /** How the call ended; absent until it has. */
  ended?: OutcomeStatus;
}

export function createPermit(granted: Granted, deps: PermitDeps): Permit {
  const { callId, session, decision, entry, args, edited, story, state } = granted;
  const { principal } = granted.input;
  const startedAt = performance.now();
  if (state !== undefined) state.policy = granted.policy.hash;
  let settled = false;
  deps.openCalls.add({
    callId,
    tool: toolOf(granted.input.tool),
    session,
    sinceMs: granted.decidedAtMs ?? deps.store.nowMs(),
    ...(principal !== undefined && { principal }),
  });
  const holdsResult = holdsResultOf(granted.policy, granted.input.tool);
  /** Once; what became of it is told by the promise. */
  const requireOpen = ({ status }: Outcome): void => {
    if (settled) throw new CountersignError('PERMIT_ALREADY_SETTLED', `call ${callId} was settled before: a permit settles once`);
    // In the ledger it would be an entry that no verifier takes, for good.
    if (!OUTCOME_STATUSES.includes(status))
      throw new CountersignError('OPTIONS_INVALID', `the status of an outcome is one of ${OUTCOME_STATUSES.join(', ')}`);
  };
  const settleOnce = (outcome: Outcome, lazy: boolean, judged?: JudgedResult): Promise<Committed | undefined> => {
    requireOpen(outcome);
    settled = true;
    if (state !== undefined) state.ended = outcome.status;
    deps.openCalls.remove(callId);
    const passedMs = granted.decidedAtMs === undefined ? performance.now() - startedAt : deps.store.nowMs() - granted.decidedAtMs;
    const durationMs = Math.max(0, Math.round(passedMs));
    story?.settled(settlement(outcome, durationMs, judged, deps));
    const write = writeOutcome(granted, outcome, durationMs, lazy, deps, judged);
    deps.track(write);
    return write;
  };
  return {
    kind: 'permit',
    callId,
    decision,
    entry,
    args,
    within(fn) {
      if (settled) throw new CountersignError('PERMIT_ALREADY_SETTLED', `call ${callId} was settled before: a permit runs one call`);
      const run = (): ReturnType<typeof fn> =>
        withinCall({ callId, agent: deps.agent, session, ...(principal !== undefined && { principal }) }, fn);
      return story === undefined ? run() : story.within(run);
    },
    mask: (result) => (deps.masksResults ? maskResult(result, deps.redactor) : result),
    holdsResult,
    async release(outcome, { durable = false, also } = {}) {
      const isError = outcome.error !== undefined;
      const value = isError ? outcome.error : outcome.result;
      if (!holdsResult && (also === undefined || also.length === 0)) {
        const released = unjudged(value, isError, deps);
        const write = settleOnce(isError ? outcome : { ...outcome, ...shownResult(released) }, !durable);
        return !durable || (await write) !== undefined ? released : unrecorded(undefined);
      }
      requireOpen(outcome);
      const judged = await judgeResult({ value, isError }, granted.policy, granted.input, deps, also);
      const isAwaited = judged.acted || durable;
      const write = settleOnce(outcome, !isAwaited, judged);
      if (!isAwaited || (await write) !== undefined) return judged.released;
      return unrecorded(judged.record);
    },
    async settle(outcome, options = {}) {
      const { durable = false } = options;
      const write = settleOnce(outcome, durable === false);
      if (durable !== false && (await write) === undefined && durable === 'or-throw')
        throw new CountersignError('LEDGER_WRITE_FAILED', `what became of call ${callId} could not be recorded: its decision stands open`);
    },
    // Last: what follows a spread is put in more slowly.
    ...(edited !== undefined && { edited: { call: edited.call, shown: granted.input.args } }),
  };
}

function toolOf({ server, name }: ToolRef): Pick<ToolRef, 'server' | 'name'> {
  return { ...(server !== undefined && { server }), name };
}

function settlement(
  { status, error }: Outcome,
  durationMs: number,
  judged: JudgedResult | undefined,
  { redactor }: PermitDeps,
): Parameters<CallStory['settled']>[0] {
  return {
    status,
    ...(error !== undefined && { errorType: errorType(error, redactor) }),
    durationMs,
    ...(judged?.record !== undefined && { released: judged.record.action }),
  };
}

/** Whether a rule on results may act on what this tool brings. A policy that cannot say so may. */
function holdsResultOf(policy: Policy, tool: ToolRef): boolean {
  if (policy.evaluateResult === undefined) return false;
  try {
    return policy.mayActOnResult?.(tool) !== false;
  } catch {
    return true;
  }
}

function shownResult(released: Released): Pick<Outcome, 'result'> {
  return released.kind === 'shown' && released.value !== undefined ? { result: released.value } : {};
}

/** Never rejects: an outcome that is lost is counted and told, and what the tool brought stands. */
async function writeOutcome(
  granted: Granted,
  outcome: Outcome,
  durationMs: number,
  lazy: boolean,
  deps: PermitDeps,
  judged?: JudgedResult,
): Promise<Committed | undefined> {
  try {
    return await deps.commit(outcomeUnit(granted, outcome, durationMs, deps, judged), { lazy });
  } catch (error) {
    deps.lost(error, granted.callId);
    return undefined;
  }
}

function outcomeUnit(
  granted: Granted,
  outcome: Outcome,
  durationMs: number,
  deps: PermitDeps,
  judged: JudgedResult | undefined,
): OutcomeUnit {
  const resources = endWatch(granted.watch, granted.callId, deps);
  const opening = openingOf(outcome, deps.redactor);
  // Members are added where they are there: spreading each `undefined` away is slow.
  const body: Draft<OutcomeUnit['body']> = {
    agent: deps.agent,
    call: granted.callId,
    decision: granted.entry,
    duration_ms: durationMs,
    kind: 'outcome',
    session: granted.session,
    status: outcome.status,
  };
  if (outcome.error !== undefined) body.error_type = errorType(outcome.error, deps.redactor);
  if (opening !== undefined) {
    const { result, error } = opening.sections;
    if (result !== undefined) body.result_commit = commitSection(opening.key, 'result', result);
    if (error !== undefined) body.error_commit = commitSection(opening.key, 'error', error);
  }
  if (judged !== undefined && judged.labels.length > 0) body.labels = judged.labels;
  if (judged?.record !== undefined) body.released = judged.record;
  if (resources !== undefined) body.resources = resources;
  const unit: Draft<OutcomeUnit> = { kind: 'outcome', body };
  if (opening !== undefined) unit.opening = opening;
  const refund = refundOf(outcome, deps);
  if (refund !== undefined) unit.refund = refund;
  return unit;
}

/** Which budgets give back; the transaction works out what. */
function refundOf({ status, refund }: Outcome, { budgets }: Pick<Engine, 'budgets'>): OutcomeUnit['refund'] {
  if (refund !== undefined) return refund ? 'all' : undefined;
  if (status !== 'error') return undefined;
  const ids = budgets.filter((budget) => budget.refund === 'error').map(({ id }) => id);
  return ids.length > 0 ? ids : undefined;
}

/** Excerpts, redacted before they are cut; the body holds only commitments to them. */
function openingOf(outcome: Outcome, redactor: Redactor): Opening | undefined {
  const { result, error } = outcome;
  if (result === undefined && error === undefined) return undefined;
  const sections: Draft<Opening['sections']> = {};
  if (result !== undefined) sections['result'] = { excerpt: showAnything(result, redactor) };
  if (error !== undefined) sections['error'] = { excerpt: showAnything(error, redactor) };
  return { key: newOpeningKey(), sections };
}

function endWatch(watch: CallWatch | undefined, callId: string, deps: PermitDeps): ResourceFigures | undefined {
  try {
    return checkedFigures(watch?.end());
  } catch (error) {
    // The call already ran: figures are lost, its outcome is not.
    deps.lost(error, callId);
    return undefined;
  }
}

/** A monitor is somebody's code too: figures that are no figures must not cost the outcome. */
function checkedFigures(figures: ResourceFigures | undefined): ResourceFigures | undefined {
  if (figures === undefined) return undefined;
  const { cpu_ms, rss_bytes, samples, scope } = figures;
  const whole = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  if (![cpu_ms ?? 0, rss_bytes ?? 0, samples].every(whole) || (scope !== 'process' && scope !== 'tree')) {
    throw new CountersignError('ENTRY_INVALID', 'the host monitor gave resource figures that are not whole numbers');
  }
  return { ...(cpu_ms !== undefined && { cpu_ms }), ...(rss_bytes !== undefined && { rss_bytes }), samples, scope };
}
