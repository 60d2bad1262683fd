/** Step 4: opening an approval, and waiting for its answer. */
import { type ApprovalTerms, type Assurance, type BuiltInReasonCode, MAX_REASON_CHARS, type Refusal } from '../call.ts';
import { callBinding } from '../call-key.ts';
import { draftDecision } from '../draft.ts';
import type { Engine, Rules } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import type { Channel } from '../interfaces.ts';
import type { Judgement } from '../judge.ts';
import { newId } from '../ledger/body.ts';
import { newOpeningKey } from '../ledger/commitment.ts';
import type { PreparedCall } from '../prepare.ts';
import { coverage, denial, refusal, refuseRepeat, rowFacts } from '../refusal.ts';
import { outsideCalls } from '../scope.ts';
import type { ApprovalRow, CallRow } from '../store-rows.ts';
import type { DecideUnit } from '../store-units.ts';
import { askChannels } from './ask.ts';
import { isForAnybody } from './auto-approve.ts';

/** An ask of a call that stands in the store. */
export interface Asked {
  readonly approvalId: string;
  readonly bindKey: string;
}

const MAX_QUORUM = 32;
const MAX_TIMER_MS = 2_147_483_647;

/** Somebody else, who came at the same moment, has asked about this very call. */
export type Taken = { readonly takenBy: CallRow };

/** Makes the ask durable, then tells the channels. `again`: the session or the policy changed, decide anew. */
export async function openAsk(
  call: PreparedCall,
  judgement: Judgement,
  rules: Rules,
  engine: Engine,
): Promise<Asked | Refusal | Taken | 'again'> {
  const bindKey = newOpeningKey();
  const approvalId = newId();
  const { decision, input, recorder } = judgement;
  const { body, opening } = draftDecision(call, decision, [], rules.policy, engine, recorder);
  const terms = termsOf(judgement.terms, rules, engine);
  const counted = recorder.counted();
  const unit: DecideUnit = {
    kind: 'decide',
    body: { ...body, binds: callBinding(call, rules.policy.hash, bindKey) },
    opening,
    call: { ...rowFacts(call), bindKey },
    sessionVersion: input.session.version,
    sessionLabels: input.session.labels,
    ...(counted !== undefined && { counted }),
    ...coverage(engine),
    ask: { id: approvalId, ...terms },
  };
  const committed = await engine.inForce.commit(rules.epoch, () => engine.commit(unit));
  if (committed.kind === 'stale') return 'again';
  if (committed.kind === 'repeat')
    return committed.call.state === 'asked' ? { takenBy: committed.call } : refuseRepeat(call, committed.call, rules, engine);
  if (committed.kind !== 'decided') throw new CountersignError('LEDGER_WRITE_FAILED', `the store answered an ask with ${committed.kind}`);

  // Only the transaction could know: the call stands on an edit that it may not stand on.
  if (committed.body.effect === 'deny') {
    const { body: recorded, reason, entry } = committed;
    return refusal(call.callId, denial(recorded.reason_code as BuiltInReasonCode, reason), engine, { entry });
  }
  const expiresAtMs = committed.body.approval?.expires_at ?? committed.atMs;
  engine.notices.asked(approvalId);
  const { assurance } = committed.body.approval ?? {};
  const channels = engine.autoApprover !== undefined && isForAnybody({ ...terms, assurance }) ? [engine.autoApprover] : engine.channels;
  prompt(call, judgement, { id: approvalId, expiresAtMs, assurance, channels }, engine);
  return { approvalId, bindKey };
}

export function termsOf(terms: Partial<ApprovalTerms>, rules: Rules, engine: Engine): ApprovalTerms {
  const wanted = Math.min(terms.ttlMs ?? engine.ttlMs, rules.ttlMs ?? Number.POSITIVE_INFINITY);
  const quorum = terms.quorum ?? 1;
  if (!Number.isSafeInteger(quorum) || quorum < 1 || quorum > MAX_QUORUM) {
    throw new CountersignError('OPTIONS_INVALID', `an approval needs a quorum from 1 to ${MAX_QUORUM}`);
  }
  return {
    ttlMs: Math.max(1, Math.floor(Math.min(wanted, engine.maxTtlMs))),
    quorum,
    ...(terms.approvers && { approvers: terms.approvers }),
    ...(terms.assurance && { assurance: terms.assurance }),
  };
}

interface OpenAsk {
  readonly id: string;
  readonly expiresAtMs: number;
  readonly assurance: Assurance | undefined;
  readonly channels: readonly Channel[];
}

/** Prompts are withdrawn when the approval is settled or expires, whoever answered. */
function prompt(call: PreparedCall, judgement: Judgement, open: OpenAsk, engine: Engine): void {
  const { id, expiresAtMs, assurance, channels } = open;
  if (channels.length === 0) return;
  const controller = new AbortController();
  engine.prompts.set(id, controller);
  const { server, name } = call.tool;
  const { reason, rule } = judgement.decision;
  const request = {
    id,
    callId: call.callId,
    agent: engine.agent,
    session: call.session,
    ...(call.principal !== undefined && { principal: call.principal }),
    tool: { ...(server !== undefined && { server }), name },
    args: call.shown,
    ...(reason !== undefined && { reason: reason.slice(0, MAX_REASON_CHARS) }),
    ...(rule !== undefined && { rule }),
    expiresAtMs,
    ...(assurance !== undefined && { assurance }),
    ...(call.edited !== undefined && { edited: { from: call.edited.from } }),
  };
  askChannels(request, controller.signal, {
    channels,
    resolve: (approval, answer, approver) => engine.resolve(approval, answer, approver),
    failed: (approval) => engine.store.commit({ kind: 'lapse', approval, state: 'failed' }),
    onError: (error, during) => engine.report(error, { callId: call.callId, during }),
  });
  void outsideCalls(() => untilSettled(id, expiresAtMs, controller.signal, engine)).finally(() => {
    engine.prompts.delete(id);
    controller.abort();
    engine.notices.look(id);
  });
}

/** Waits for the answer, the expiry or the caller, whichever comes first. */
export async function waitForAnswer(
  row: ApprovalRow,
  caller: AbortSignal | undefined,
  engine: Engine,
): Promise<'answered' | 'expired' | 'cancelled'> {
  if (hasGivenUp(caller)) return 'cancelled';
  const expired = await untilSettled(row.id, row.expiresAtMs, caller, engine);
  if (hasGivenUp(caller)) return 'cancelled';
  return expired ? 'expired' : 'answered';
}

/** How an approval stands once it takes no more answers, has expired, or `stop` is aborted; undefined when there is none. */
export async function settledApproval(id: string, stop: AbortSignal | undefined, engine: Engine): Promise<ApprovalRow | undefined> {
  const row = await engine.store.approval(id);
  if (row?.state !== 'pending' || hasGivenUp(stop)) return row;
  await untilSettled(id, row.expiresAtMs, stop, engine);
  return engine.store.approval(id);
}

function hasGivenUp(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** @returns true when time ran out. */
async function untilSettled(id: string, expiresAtMs: number, stop: AbortSignal | undefined, engine: Engine): Promise<boolean> {
  const timeUp = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  // By the clock that expiry goes by: a timer has another one, may fire a millisecond early, and holds at most about 24.8 days. Whoever
  // looks when it fires must not find the approval pending still: nobody would look again.
  const check = (): void => {
    const leftMs = expiresAtMs - engine.store.nowMs();
    if (leftMs <= 0) timeUp.abort();
    else timer = setTimeout(check, Math.min(leftMs, MAX_TIMER_MS));
  };
  check();
  try {
    await engine.store.approvalSettled(id, stop === undefined ? timeUp.signal : AbortSignal.any([timeUp.signal, stop]));
    return timeUp.signal.aborted;
  } finally {
    clearTimeout(timer);
  }
}
