/**
 * The rules of the transaction (DESIGN section 4, step 5), the same for every store.
 *
 * `applyUnit` runs inside a transaction that the store opened and will make durable; it reads and writes through `Tx`.
 * It never throws for a business reason: a refusal is a value and an entry. Whatever it does throw fails the batch.
 *
 * Rows are hints; authority comes from entries. Whoever can edit the file can edit rows, but not the tree without the
 * ledger's key, so asks, answers and earlier uses of an approval are read back from entries proven to be in the tree.
 */
import type { BuiltInReasonCode, EntryRef, OutcomeStatus } from './call.ts';
import type { Draft } from './draft.ts';
import { isAfterHalt } from './halt/after-halt.ts';
import { haltedReason } from './halt/reason.ts';
import { commitSection, newOpeningKey } from './ledger/commitment.ts';
import type { DecisionBody, Opening, OutcomeBody } from './ledger/entry.ts';
import { countOf } from './policy/call-counts.ts';
import type { CallState } from './store-rows.ts';
import type { Committed, DecideUnit, OutcomeUnit, Unit } from './store-units.ts';
import { answer, lapse, objectionFromAnswers, objectionFromHistory, objectionToApproval } from './transaction/approvals.ts';
import { type Charged, chargeBudgets } from './transaction/budgets.ts';
import { objectionToEdit } from './transaction/edits.ts';
import { appendUnlessForgotten, forget } from './transaction/forget.ts';
import { type GrantUse, noteGrant, noteUse, revoke, useOfGrant } from './transaction/grants.ts';
import { isStopped, resume } from './transaction/halts.ts';
import { answerPins, isPinMoved, pin } from './transaction/pins.ts';
import { refundCharges } from './transaction/refunds.ts';
import { giveLabels, noteLabels, record, startSession, wasMisled } from './transaction/sessions.ts';
import type { CallRecord, SessionRecord, Tx } from './transaction/tx.ts';

export function applyUnit(unit: Unit, tx: Tx): Committed {
  switch (unit.kind) {
    case 'decide':
      return decide(unit, tx);
    case 'answer':
      return answer(unit, tx);
    case 'revoke':
      return revoke(unit, tx);
    case 'lapse':
      return lapse(unit.approval, unit.state, tx);
    case 'outcome':
      return settle(unit, tx);
    case 'keep':
      return { kind: 'kept', isKept: tx.keepNote(unit.note, unit.reason) };
    case 'record':
      return record(unit, tx);
    case 'resume':
      return resume(unit, tx);
    case 'forget':
      return forget(unit, tx);
    case 'pin':
      return pin(unit, tx);
    case 'pin-answer':
      return answerPins(unit, tx);
  }
}

function decide(unit: DecideUnit, tx: Tx): Committed {
  const { body } = unit;
  const known = unit.call.key === undefined ? undefined : tx.callByKey(unit.call.key);
  const own = tx.callById(body.call);
  if (body.effect !== 'deny') {
    if (known !== undefined && (known.id !== body.call || known.state !== 'asked')) return { kind: 'repeat', call: known };
    // Two callers may have taken over one suspended call: the second finds it decided.
    if (own !== undefined && own.state !== 'asked') return { kind: 'repeat', call: own };
    const kept = unit.custody === undefined ? undefined : tx.inCustody(unit.custody.name);
    if (kept !== undefined) return { kind: 'repeat', call: kept };
  }

  const session = tx.session(body.session);
  // A halt is told as such, not as a session that changed: nothing is decided anew.
  if (body.effect !== 'deny' && isStopped(unit, tx)) {
    if (unit.grant !== undefined && isAfterHalt(body.tool)) return { kind: 'not-granted', why: 'halted' };
    return inSession(unit, session, tx, () => refuse(unit, own, tx, denied(unit, 'SESSION_HALTED', haltedReason(body.session))));
  }
  if (unit.sessionVersion !== undefined && (session?.version ?? 0) !== unit.sessionVersion) return { kind: 'stale' };
  if (wasMisled(unit, session, tx)) return { kind: 'stale' };
  if (unit.counted !== undefined && hasCountedOtherwise(unit.counted, body.session, tx)) return { kind: 'stale' };
  if (isPinMoved(unit, tx)) return { kind: 'stale' };
  const granted = unit.grant === undefined ? undefined : useOfGrant(unit, unit.grant, tx);
  if (typeof granted === 'string') {
    noteGrant(unit.grant?.id ?? '', granted, tx);
    return { kind: 'not-granted', why: granted };
  }
  return inSession(unit, session, tx, () => decideIn(unit, own, granted, tx));
}

/** Starts the session, if it is the first time. */
function inSession(unit: DecideUnit, session: SessionRecord | undefined, tx: Tx, act: () => Committed): Committed {
  if (session !== undefined) return act();
  startSession(unit, tx);
  const committed = act();
  return committed.kind === 'decided' ? { ...committed, startedSession: true } : committed;
}

/** Only what the decision was made on is compared: other calls of the session may come and go. */
function hasCountedOtherwise(counted: Readonly<Record<string, number>>, session: string, tx: Tx): boolean {
  const tools = tx.sessionCalls(session);
  return Object.entries(counted).some(([subject, count]) => countOf(subject, tools) !== count);
}

/** In a session that has an entry. @param own - the row of this very call, if it was asked about before. */
function decideIn(unit: DecideUnit, own: CallRecord | undefined, granted: GrantUse | undefined, tx: Tx): Committed {
  const { body } = unit;
  if (body.effect === 'deny') return refuse(unit, own, tx, { body, opening: unit.opening });
  const unfounded = objectionToEdit(body, tx);
  if (unfounded !== undefined)
    return refuse(unit, own, tx, denied(unfounded === 'APPROVAL_ALREADY_USED' ? unit : withoutEdit(unit), unfounded));
  if (unit.ask !== undefined) return ask(unit, own, unit.ask, tx);

  const objection = unit.use === undefined ? undefined : objectionToApproval(unit, unit.use, tx);
  if (objection !== undefined) return refuse(unit, own, tx, denied(unit, objection));

  const budgets = chargeBudgets(unit, tx);
  if ('exceeded' in budgets) {
    // The approval stays unconsumed and the call re-enterable: a window may move on.
    return refuse(unit, own, tx, denied(unit, budgets.exceeded.code, budgets.exceeded.reason), { keepAsked: unit.use !== undefined });
  }
  const history = unit.use === undefined ? objectionFromAnswers(own?.approval, tx) : objectionFromHistory(unit.use, tx);
  if (history !== undefined) return refuse(unit, own, tx, denied(unit, history));
  return allow(unit, own, budgets, granted, tx);
}

function allow(unit: DecideUnit, own: CallRecord | undefined, budgets: Charged, granted: GrantUse | undefined, tx: Tx): Committed {
  const body: Draft<DecisionBody> = { ...unit.body };
  if (budgets.over !== undefined) {
    body.would = 'deny';
    body.reason_code = budgets.over;
  }
  if (budgets.charges.length > 0) body.budgets = budgets.charges;
  if (unit.grant !== undefined && granted !== undefined) body.grant = { ...unit.grant, use: granted.use };
  const entry = tx.append(body, unit.opening);
  for (const { id, key, cost } of budgets.charges) tx.charge({ budget: id, key, cost, call: body.call });
  if (unit.use !== undefined) {
    const row = tx.approval(unit.use.approval);
    if (row !== undefined) tx.putApproval({ ...row, state: 'consumed' });
  }
  if (unit.grant !== undefined && granted !== undefined) noteUse(unit.grant.id, granted.left, tx);
  if (body.labels !== undefined) noteLabels(body.session, tx);
  const record = callRecord(unit, own, body, entry, 'allowed', tx);
  if (unit.custody !== undefined) tx.takeCustody(unit.custody);
  // The entry names who wrote it; the row, whose life the call depends on.
  tx.putCall(unit.custody === undefined ? record : { ...record, writer: unit.custody.name });
  return { kind: 'decided', entry, atMs: tx.atMs, body };
}

function ask(unit: DecideUnit, own: CallRecord | undefined, terms: NonNullable<DecideUnit['ask']>, tx: Tx): Committed {
  const expiresAtMs = tx.atMs + terms.ttlMs;
  const body: DecisionBody = {
    ...unit.body,
    approval: {
      id: terms.id,
      expires_at: expiresAtMs,
      quorum: terms.quorum,
      ...(terms.approvers && { approvers: terms.approvers }),
      ...(terms.assurance && { assurance: terms.assurance }),
    },
  };
  const entry = tx.append(body, unit.opening);
  tx.putCall({ ...callRecord(unit, own, body, entry, 'asked', tx), approval: terms.id });
  tx.putApproval({
    id: terms.id,
    call: body.call,
    agent: body.agent,
    session: body.session,
    ...(body.principal !== undefined && { principal: body.principal }),
    tool: { ...(body.tool.server !== undefined && { server: body.tool.server }), name: body.tool.name },
    ...(body.rule !== undefined && { rule: body.rule }),
    reasonCode: body.reason_code,
    state: 'pending',
    binds: body.binds ?? '',
    policyHash: body.policy.hash,
    ask: entry,
    answers: [],
    createdAtMs: tx.atMs,
    expiresAtMs,
    quorum: terms.quorum,
    ...(terms.approvers && { approvers: terms.approvers }),
  });
  return { kind: 'decided', entry, atMs: tx.atMs, body };
}

type Refused = { readonly body: DecisionBody; readonly opening: Opening | undefined };

/** A refusal is recorded like a permit. It changes the call's state only while nothing was allowed for it. */
function refuse(
  unit: DecideUnit,
  own: CallRecord | undefined,
  tx: Tx,
  refused: Refused,
  options: { readonly keepAsked?: boolean } = {},
): Committed {
  const { entry, isForgotten } = appendUnlessForgotten(refused.body, refused.opening, own, tx);
  if (options.keepAsked !== true && (own === undefined || own.state === 'asked')) {
    const { bindKey: _gone, key, ...record } = callRecord(unit, own, refused.body, entry, 'denied', tx);
    const call = isForgotten ? { ...record, match: '' } : record;
    // The key may belong to a twin that was allowed meanwhile: its row is what keeps the call from running again.
    const owner = key === undefined ? undefined : tx.callByKey(key);
    tx.putCall(key === undefined || (owner !== undefined && owner.id !== call.id) ? call : { ...call, key });
  }
  const reason = refused.opening?.sections['reason'];
  return {
    kind: 'decided',
    entry,
    atMs: tx.atMs,
    body: refused.body,
    ...(typeof reason === 'string' && { reason }),
    ...(isForgotten && { isForgotten }),
  };
}

/** The unit's decision turned into a refusal that only the transaction could know of. */
function denied(unit: DecideUnit, code: BuiltInReasonCode, reason?: string): Refused {
  const { labels: _labels, reason_commit: _commit, ...rest } = unit.body;
  const body: DecisionBody = { ...rest, effect: 'deny', would: 'deny', reason_code: code };
  if (reason === undefined) return { body, opening: withoutReason(unit.opening) };
  const key = unit.opening?.key ?? newOpeningKey();
  return {
    body: { ...body, reason_commit: commitSection(key, 'reason', reason) },
    opening: { key, sections: { ...unit.opening?.sections, reason } },
  };
}

/** The refusal is an entry like any other: what it claims must be so. */
function withoutEdit(unit: DecideUnit): DecideUnit {
  const { edited: _unfounded, ...body } = unit.body;
  return { ...unit, body };
}

function withoutReason(opening: Opening | undefined): Opening | undefined {
  if (opening === undefined || !('reason' in opening.sections)) return opening;
  const { reason: _reason, ...sections } = opening.sections;
  return { key: opening.key, sections };
}

function settle(unit: OutcomeUnit, tx: Tx): Committed {
  const row = tx.callById(unit.body.call);
  // A second outcome for one decision would make the ledger invalid.
  const earlier = outcomeOf(row, tx);
  if (earlier !== undefined) {
    // Two processes may have taken over one call, and whoever has this result may go on with it.
    giveLabels(unit.body, tx);
    if (tx.stoodUnsigned(earlier)) noteDisplaced(unit.body, earlier, tx);
    return { kind: 'settled', entry: earlier };
  }
  const refunds = refundCharges(unit, row, tx);
  const body: OutcomeBody = refunds.length > 0 ? { ...unit.body, refunds } : unit.body;
  const { entry } = appendUnlessForgotten(body, unit.opening, row, tx);
  if (row !== undefined) {
    tx.putCall({ ...withoutBindKey(row), state: 'settled', status: body.status satisfies OutcomeStatus, outcome: entry });
    if (row.writer !== tx.writer) tx.endCustody(row.writer);
  }
  if (body.labels !== undefined) noteLabels(body.session, tx);
  return { kind: 'settled', entry };
}

/** The outcome that stands may be anybody's, who added it while the tool ran. */
function noteDisplaced({ agent, session, call, status }: OutcomeBody, outcome: EntryRef, tx: Tx): void {
  tx.append({ kind: 'note', topic: 'outcome-displaced', data: { agent, session, call, outcome: { ...outcome }, status } });
}

/** Where a row leads to something else, somebody edited it, so that what the tool brought labels nothing. */
function outcomeOf(row: CallRecord | undefined, tx: Tx): EntryRef | undefined {
  const entry = row?.outcome === undefined ? undefined : tx.entry(row.outcome);
  return entry?.kind === 'outcome' && entry.call === row?.id ? row.outcome : undefined;
}

/** Most calls were never asked about, and have none. */
function withoutBindKey(row: CallRecord): CallRecord {
  if (row.bindKey === undefined) return row;
  const { bindKey: _gone, ...kept } = row;
  return kept;
}

function callRecord(
  unit: DecideUnit,
  own: CallRecord | undefined,
  body: DecisionBody,
  entry: EntryRef,
  state: CallState,
  tx: Tx,
): CallRecord {
  const { key, match, bindKey } = unit.call;
  const approval = own?.approval;
  return {
    id: body.call,
    match,
    state,
    session: body.session,
    agent: body.agent,
    writer: tx.writer,
    decision: entry,
    reasonCode: body.reason_code,
    // Last: what follows a spread is put in more slowly.
    ...(key !== undefined && { key }),
    ...(bindKey !== undefined && { bindKey }),
    ...(approval !== undefined && { approval }),
  };
}
