/** Saying no: as a value for the caller and as an entry in the ledger. */
import type { BuiltInReasonCode, Decision, EntryRef, OutcomeStatus, Refusal } from './call.ts';
import { draftDecision, type RecordedCall } from './draft.ts';
import type { Engine, Rules } from './engine.ts';
import { CountersignError } from './errors.ts';
import type { Judgement } from './judge.ts';
import type { Policy } from './policy/policy.ts';
import type { PreparedCall } from './prepare.ts';
import type { CallRow } from './store-rows.ts';
import type { DecideUnit } from './store-units.ts';

export function denial(reasonCode: BuiltInReasonCode, reason?: string): Decision {
  return { effect: 'deny', would: 'deny', reasonCode, ...(reason !== undefined && { reason }) };
}

export function refusal(
  callId: string,
  decision: Decision,
  engine: Engine,
  more: { readonly entry?: EntryRef; readonly earlier?: OutcomeStatus } = {},
): Refusal {
  engine.counts.refused++;
  return { kind: 'refusal', callId, decision, ...more };
}

/** Records a decision not to run. Throws when the ledger cannot be written: the caller refuses all the same. */
export async function refuse(call: PreparedCall | RecordedCall, decision: Decision, rules: Rules, engine: Engine): Promise<Refusal> {
  const committed = await engine.inForce.during(async () => {
    const { policy } = rules.now();
    await engine.recordPolicy(policy);
    return engine.commit(denyUnit(call, decision, policy, engine));
  });
  return refusal(call.callId, decision, engine, committed.kind === 'decided' ? { entry: committed.entry } : {});
}

/** Records that policy says no. `again`: another policy is in force by now, or entries give the session other labels. */
export async function refuseJudged(
  call: PreparedCall & Pick<RecordedCall, 'recorder'>,
  { decision, input }: Pick<Judgement, 'decision' | 'input'>,
  rules: Rules,
  engine: Engine,
): Promise<Refusal | 'again'> {
  const unit = { ...denyUnit(call, decision, rules.policy, engine), sessionLabels: input.session.labels };
  const committed = await engine.inForce.commit(rules.epoch, () => engine.commit(unit));
  if (committed.kind === 'stale') return 'again';
  return refusal(call.callId, decision, engine, committed.kind === 'decided' ? { entry: committed.entry } : {});
}

function denyUnit(call: PreparedCall | RecordedCall, decision: Decision, policy: Policy, engine: Engine): DecideUnit {
  const { body, opening } = draftDecision(call, decision, [], policy, engine);
  return { kind: 'decide', body, opening, call: rowFacts(call), ...coverage(engine) };
}

/** Another run of a call that was decided before. Recorded, and the earlier call's state stays what it was. */
export async function refuseRepeat(call: PreparedCall, row: CallRow, rules: Rules, engine: Engine): Promise<Refusal> {
  const decision = repeatDecision(row);
  // What was refused is refused again: its entry already stands.
  if (row.state === 'denied') return refusal(row.id, decision, engine, { entry: row.decision });
  const { entry } = await refuse({ ...call, callId: row.id }, decision, rules, engine);
  engine.counts.refused--;
  return refusal(row.id, decision, engine, { ...(entry && { entry }), ...(row.status !== undefined && { earlier: row.status }) });
}

/** Allowed in the ledger, but a required audit log lacks the line: nothing ran, and the ledger says both. */
export async function refuseUnlogged(call: PreparedCall, allowed: EntryRef, rules: Rules, engine: Engine): Promise<Refusal> {
  const decision = denial('AUDIT_LOG_FAILED', 'the audit log is required and could not be written; the call was not run');
  const { callId, session } = call;
  const outcome = { agent: engine.agent, session, call: callId, decision: allowed, status: 'cancelled', duration_ms: 0 } as const;
  try {
    await engine.commit({ kind: 'outcome', body: { kind: 'outcome', ...outcome } });
    return await refuse(call, decision, rules, engine);
  } catch (error) {
    // Left open, or without its reason: the ledger fails as well.
    engine.lost(error, callId);
    return refusal(callId, decision, engine);
  }
}

export function repeatDecision(row: CallRow): Decision {
  switch (row.state) {
    case 'settled':
      return denial('CALL_ALREADY_RUN', `this call ran before and ended with ${row.status ?? 'an unknown status'}`);
    case 'denied':
      return { effect: 'deny', would: 'deny', reasonCode: row.reasonCode, reason: 'this call was refused before' };
    case 'allowed':
      if (row.writerAlive) return denial('CALL_IN_PROGRESS', 'this call is running');
      return denial('CALL_OUTCOME_UNKNOWN', 'this call was allowed before and its process died: it may have run');
    case 'unknown':
      return denial('CALL_OUTCOME_UNKNOWN', 'this call was allowed before and its process died: it may have run');
    case 'asked':
      return denial('CALL_IN_PROGRESS', 'this call waits for an approval');
  }
}

/** The decision for an error on the way: closed, and named for what failed. */
export function failure(error: unknown): Decision {
  if (!CountersignError.is(error)) return denial('INTERNAL_ERROR', 'the guard failed; the call was not run');
  // The agent reads refusals: where the ledger lies and how it failed goes to `onError` instead.
  if (error.code === 'LEDGER_QUEUE_FULL') return denial('LEDGER_QUEUE_FULL', 'too many calls wait to be recorded: slow down and retry');
  if (error.code.startsWith('LEDGER_'))
    return denial('LEDGER_WRITE_FAILED_DECISION', `the decision could not be recorded (${error.code}); the call was not run`);
  return denial('INTERNAL_ERROR', `the guard failed (${error.code}); the call was not run`);
}

/** What the store keeps to recognise the call again. */
export function rowFacts(call: PreparedCall | RecordedCall): DecideUnit['call'] {
  if (!('match' in call)) return { match: '' };
  return { ...(call.key !== undefined && { key: call.key }), match: call.match };
}

export function coverage(engine: Engine): Pick<DecideUnit, 'coverage'> {
  return engine.monitor === undefined ? {} : { coverage: engine.monitor.coverage };
}
