/**
 * Answering and using approvals inside the transaction. Rows say where to look; asks, answers and earlier uses are read
 * from entries proven to be in the tree.
 */
import { foldApprover } from '../approval/approver-name.ts';
import { isAssured } from '../approval/assurance.ts';
import type { Assurance, BuiltInReasonCode } from '../call.ts';
import { commitSection, newOpeningKey } from '../ledger/commitment.ts';
import type { ApprovalBody, Opening } from '../ledger/entry.ts';
import type { AnswerUnit, ApprovalState, Committed, DecideUnit } from '../store.ts';
import { giveGrant, objectionToGiving } from './grants.ts';
import type { ApprovalRecord, Tx } from './tx.ts';

/** Why this approval may not be used for this call; undefined when it may. */
export function objectionToApproval(unit: DecideUnit, use: NonNullable<DecideUnit['use']>, tx: Tx): BuiltInReasonCode | undefined {
  const { body } = unit;
  const row = tx.approval(use.approval);
  if (row === undefined || row.call !== body.call || body.binds === undefined) return 'APPROVAL_BINDING_MISMATCH';
  const asked = askOf(row, tx);
  if (asked === undefined) return 'APPROVAL_BINDING_MISMATCH';
  const { expires_at: expiresAt, quorum, approvers } = asked.approval;
  if (tx.atMs >= expiresAt) return 'APPROVAL_EXPIRED';
  if (asked.binds !== body.binds || asked.policyHash !== body.policy.hash) return 'APPROVAL_BINDING_MISMATCH';

  const approvedBy = new Set<string>();
  for (const ref of use.answers) {
    const given = tx.entry(ref);
    if (given?.kind !== 'approval' || given.approval !== use.approval || given.call !== body.call) return 'APPROVAL_BINDING_MISMATCH';
    if (given.binds !== body.binds || given.expires_at !== expiresAt) return 'APPROVAL_BINDING_MISMATCH';
    if (given.at >= expiresAt) return 'APPROVAL_EXPIRED';
    if (given.answer !== 'approve') return 'APPROVAL_DENIED';
    if (approvers !== undefined && !approvers.includes(given.approver.id)) return 'APPROVAL_BINDING_MISMATCH';
    approvedBy.add(foldApprover(given.approver.id));
  }
  return approvedBy.size >= quorum ? undefined : 'APPROVAL_BINDING_MISMATCH';
}
/**
 * Why entries since the ask forbid this use. Reads all of them, so it comes last, after everything that is cheap to check.
 */
export function objectionFromHistory(use: NonNullable<DecideUnit['use']>, tx: Tx): BuiltInReasonCode | undefined {
  const row = tx.approval(use.approval);
  if (row === undefined) return 'APPROVAL_BINDING_MISMATCH';
  for (const about of tx.entriesAbout(row.ask.of, use.approval)) {
    if (about.kind === 'decision' && about.effect === 'allow' && about.approval?.id === use.approval) return 'APPROVAL_ALREADY_USED';
    // Whoever can write to the file could have added those: they are on record, and they decide nothing.
    if (about.kind === 'recovery' && [row.ask, ...use.answers].some(({ of }) => of >= (about.from ?? 0) && of < (about.to ?? 0)))
      return 'APPROVAL_BINDING_MISMATCH';
    if (about.kind === 'approval' && about.answer === 'deny' && about.approval === use.approval) return 'APPROVAL_DENIED';
  }
  return undefined;
}

export function answer(unit: AnswerUnit, tx: Tx): Committed {
  const row = tx.approval(unit.approval);
  if (row === undefined) return { kind: 'not-answerable', why: 'not-found' };
  // What an answer binds comes from the ask in the tree: a row that was edited must not get a signature under it.
  const asked = askOf(row, tx);
  if (asked === undefined) return { kind: 'not-answerable', why: 'altered' };
  const { expires_at: expiresAt, quorum, approvers, assurance } = asked.approval;
  const isRevocation = unit.revokes === true && unit.answer === 'deny' && row.state === 'approved';
  if (row.state !== 'pending' && !isRevocation) return { kind: 'not-answerable', why: 'not-pending', state: row.state };
  if (tx.atMs >= expiresAt) return { kind: 'not-answerable', why: 'expired', state: 'expired' };
  if (approvers !== undefined && !approvers.includes(unit.approver.id)) return { kind: 'not-answerable', why: 'approver' };
  // A plain no needs no proof of who says it.
  if ((unit.answer === 'approve' || unit.edit !== undefined) && !isAssured(unit.approver.assurance, assurance))
    return { kind: 'not-answerable', why: 'assurance' };
  // Whoever approved may still take it back.
  const before = row.answers.filter((given) => foldApprover(given.approver) === foldApprover(unit.approver.id));
  if (before.some((given) => unit.revokes !== true || given.answer === 'deny')) {
    return { kind: 'not-answerable', why: 'not-pending', state: row.state };
  }
  // The row says it is unused; only entries know.
  if (unit.revokes === true && isSettled(row, tx)) return { kind: 'not-answerable', why: 'not-pending', state: 'consumed' };
  if (objectionToGiving(unit, row.ask, tx)) return { kind: 'not-answerable', why: 'grant' };

  const opening = openingOf(unit);
  const body: ApprovalBody = {
    kind: 'approval',
    agent: asked.agent,
    session: asked.session,
    call: asked.call,
    approval: row.id,
    ask: row.ask,
    answer: unit.answer,
    approver: unit.approver,
    binds: asked.binds,
    expires_at: expiresAt,
    ...(opening && unit.edit && { args_commit: commitSection(opening.key, 'args', unit.edit.args) }),
    ...(opening && unit.message !== undefined && { message_commit: commitSection(opening.key, 'message', unit.message) }),
    ...(unit.signature !== undefined && { signature: unit.signature }),
  };
  const entry = tx.append(body, opening);
  const grant = giveGrant(unit, row.ask, entry, tx);
  const answers = [
    ...row.answers,
    { ...entry, approver: unit.approver.id, answer: unit.answer, ...(unit.edit !== undefined && { edited: true as const }) },
  ];
  const approved = answers.filter((given) => given.answer === 'approve').length >= quorum;
  const state: ApprovalState = unit.answer === 'deny' ? 'denied' : approved ? 'approved' : 'pending';
  const updated = { ...row, answers, state };
  tx.putApproval(updated);
  const clear = { ...(unit.message !== undefined && { message: unit.message }), ...(unit.edit !== undefined && { edit: unit.edit.args }) };
  return { kind: 'answered', entry, atMs: tx.atMs, approval: { ...updated, ...clear }, ...(grant && { grant }) };
}

function isSettled(row: ApprovalRecord, tx: Tx): boolean {
  return tx
    .entriesAbout(row.ask.of, row.id)
    .some(
      (entry) =>
        (entry.kind === 'decision' && entry.effect === 'allow' && entry.approval?.id === row.id) ||
        (entry.kind === 'approval' && entry.answer === 'deny' && entry.approval === row.id),
    );
}

/** An approver who signs an edit chooses the key, because the commitment is among what is signed. */
function openingOf({ message, edit }: AnswerUnit): Opening | undefined {
  if (message === undefined && edit === undefined) return undefined;
  return {
    key: edit?.openingKey ?? newOpeningKey(),
    sections: { ...(edit !== undefined && { args: edit.args }), ...(message !== undefined && { message }) },
  };
}

interface Ask {
  readonly agent: string;
  readonly session: string;
  readonly call: string;
  readonly binds: string;
  readonly policyHash: string;
  readonly approval: {
    readonly expires_at: number;
    readonly quorum: number;
    readonly approvers?: readonly string[];
    readonly assurance?: Assurance;
  };
}

/** The ask an approval's row points to, if the tree has it and it is this approval's. */
function askOf(row: ApprovalRecord, tx: Tx): Ask | undefined {
  const entry = tx.entry(row.ask);
  if (entry?.kind !== 'decision' || entry.effect !== 'require_approval' || entry.call !== row.call) return undefined;
  const { approval, binds, agent, session, call, policy } = entry;
  if (approval?.id !== row.id || approval.expires_at === undefined || binds === undefined) return undefined;
  const { expires_at, quorum = 1, approvers, assurance } = approval;
  const terms = { expires_at, quorum, ...(approvers && { approvers }), ...(assurance && { assurance }) };
  return { agent, session, call, binds, policyHash: policy.hash, approval: terms };
}

export function lapse(id: string, state: 'failed' | 'expired', tx: Tx): Committed {
  const row = tx.approval(id);
  if (row?.state === 'pending') tx.putApproval({ ...row, state });
  return { kind: 'lapsed' };
}
