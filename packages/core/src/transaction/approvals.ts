/**
 * Answering and using approvals inside the transaction. Rows say where to look; asks, answers and earlier uses are read
 * from entries proven to be in the tree.
 */
import { foldApprover } from '../approval/approver-name.ts';
import { isAssured } from '../approval/assurance.ts';
import type { ApprovalTerms, Assurance, BuiltInReasonCode } from '../call.ts';
import { commitSection, newOpeningKey } from '../ledger/commitment.ts';
import type { ApprovalBody, Opening } from '../ledger/entry.ts';
import type { ApprovalState } from '../store-rows.ts';
import type { AnswerUnit, Committed, DecideUnit } from '../store-units.ts';
import { giveGrant, objectionToGiving } from './grants.ts';
import type { ApprovalRecord, Tx } from './tx.ts';

/** Why this approval may not be used for this call; undefined when it may. */
export function objectionToApproval(unit: DecideUnit, use: NonNullable<DecideUnit['use']>, tx: Tx): BuiltInReasonCode | undefined {
  const { body } = unit;
  const row = tx.approval(use.approval);
  if (row === undefined) return 'APPROVAL_FORGED';
  if (row.call !== body.call) return 'APPROVAL_MISROUTED';
  const asked = askOf(row, tx);
  if (asked === undefined) return 'APPROVAL_FORGED';
  const { expires_at: expiresAt, quorum, approvers, assurance } = asked.approval;
  if (tx.atMs >= expiresAt) return 'APPROVAL_EXPIRED';
  if (asked.policyHash !== body.policy.hash) return 'APPROVAL_POLICY_CHANGED';
  if (asked.binds !== body.binds) return 'APPROVAL_BINDING_MISMATCH';

  const given: ApprovalBody[] = [];
  for (const ref of use.answers) {
    const answered = tx.entry(ref);
    if (answered?.kind !== 'approval') return 'APPROVAL_FORGED';
    if (answered.approval !== use.approval || answered.call !== body.call) return 'APPROVAL_MISROUTED';
    if (answered.binds !== body.binds || answered.expires_at !== expiresAt) return 'APPROVAL_FORGED';
    if (answered.at >= expiresAt) return 'APPROVAL_EXPIRED';
    if (answered.answer !== 'approve') return 'APPROVAL_DENIED';
    if (!mayApprove(answered, { approvers, assurance })) return 'APPROVAL_FORGED';
    given.push(answered);
  }
  if (peopleIn(given) < quorum) return 'APPROVAL_FORGED';
  return objectionToTerms(asked, given, use.terms, tx.atMs);
}

/** Policy may ask for more than when it asked, also under one hash: a function, or a decision point elsewhere. The stricter wins. */
function objectionToTerms(
  asked: Ask,
  given: readonly ApprovalBody[],
  now: Partial<ApprovalTerms> | undefined,
  atMs: number,
): BuiltInReasonCode | undefined {
  if (now === undefined) return undefined;
  if (now.ttlMs !== undefined && atMs >= asked.at + now.ttlMs) return 'APPROVAL_EXPIRED';
  const { approvers, assurance } = now;
  const counted = given.filter((each) => mayApprove(each, { approvers, assurance }));
  const quorum = Math.max(asked.approval.quorum, now.quorum ?? 1);
  return peopleIn(counted) >= quorum ? undefined : 'APPROVAL_POLICY_CHANGED';
}

function mayApprove(
  { approver }: ApprovalBody,
  terms: { readonly approvers: readonly string[] | undefined; readonly assurance: Assurance | undefined },
): boolean {
  return (terms.approvers === undefined || terms.approvers.includes(approver.id)) && isAssured(approver.assurance, terms.assurance);
}

/** One person is one, under however many spellings. */
function peopleIn(given: readonly ApprovalBody[]): number {
  return new Set(given.map(({ approver }) => foldApprover(approver.id))).size;
}

/**
 * Why entries since the ask forbid this use. Reads all of them, so it comes last, after everything that is cheap to check.
 */
export function objectionFromHistory(use: NonNullable<DecideUnit['use']>, tx: Tx): BuiltInReasonCode | undefined {
  const row = tx.approval(use.approval);
  if (row === undefined) return 'APPROVAL_FORGED';
  for (const about of tx.entriesAbout(row.ask.of, use.approval)) {
    if (about.kind === 'decision' && about.effect === 'allow' && about.approval?.id === use.approval) return 'APPROVAL_ALREADY_USED';
    // Whoever can write to the file could have added those: they are on record, and they decide nothing.
    if (about.kind === 'recovery' && [row.ask, ...use.answers].some(({ of }) => of >= (about.from ?? 0) && of < (about.to ?? 0)))
      return 'APPROVAL_FORGED';
    if (about.kind === 'approval' && about.approval === use.approval && about.answer === 'deny') return denialOf(about);
  }
  return undefined;
}

/**
 * Why a call that policy allows by now may not run all the same: it was asked about before, and a person said no or proposed
 * something else.
 * @param id - the approval that was asked for
 */
export function objectionFromAnswers(id: string | undefined, tx: Tx): BuiltInReasonCode | undefined {
  if (id === undefined) return undefined;
  const row = tx.approval(id);
  if (row === undefined) return 'APPROVAL_FORGED';
  const denied = tx
    .entriesAbout(row.ask.of, id)
    .find((about) => about.kind === 'approval' && about.approval === id && about.answer === 'deny');
  return denied?.kind === 'approval' ? denialOf(denied) : undefined;
}

function denialOf(given: ApprovalBody): BuiltInReasonCode {
  return given.args_commit === undefined ? 'APPROVAL_DENIED' : 'APPROVAL_EDITED';
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
  readonly at: number;
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
  const { approval, binds, at, agent, session, call, policy } = entry;
  if (approval?.id !== row.id || approval.expires_at === undefined || binds === undefined) return undefined;
  const { expires_at, quorum = 1, approvers, assurance } = approval;
  const terms = { expires_at, quorum, ...(approvers && { approvers }), ...(assurance && { assurance }) };
  return { at, agent, session, call, binds, policyHash: policy.hash, approval: terms };
}

export function lapse(id: string, state: 'failed' | 'expired', tx: Tx): Committed {
  const row = tx.approval(id);
  if (row?.state === 'pending') tx.putApproval({ ...row, state });
  return { kind: 'lapsed' };
}
