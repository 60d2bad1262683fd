/** Answering an approval: the one way in for hosts, channels and commands. */
import { MAX_REASON_CHARS } from '../call.ts';
import type { Engine } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import { offerOf } from '../grant/give.ts';
import type { ApprovalAnswer, Approver } from '../interfaces.ts';
import { commitSection, newOpeningKey } from '../ledger/commitment.ts';
import { isRecordable, requireRecordable } from '../names.ts';
import { currentCall } from '../scope.ts';
import type { ApprovalRow } from '../store-rows.ts';
import type { AnswerUnit } from '../store-units.ts';
import { identifyApprover } from './answers.ts';
import { readEdit } from './edit.ts';

/**
 * @param options.revokes - a deny that also takes back what was approved, while it is unused.
 * @throws {CountersignError} `APPROVAL_NOT_FOUND`, `APPROVAL_NOT_PENDING`, `APPROVAL_EDIT_INVALID`, `APPROVER_REFUSED`,
 *   `GRANT_REFUSED`, `CONDITION_INVALID`, `LEDGER_*`
 */
export async function resolveApproval(
  id: string,
  answer: ApprovalAnswer,
  approver: Approver,
  engine: Engine,
  options: { readonly revokes?: boolean } = {},
): Promise<ApprovalRow> {
  // A tool that reaches the guard object must not answer for the human it is waiting for.
  if (currentCall() !== undefined)
    throw new CountersignError('APPROVER_REFUSED', 'an approval cannot be answered from inside a guarded call');
  if (!['approve', 'deny', 'edit'].includes(answer.decision))
    throw new CountersignError('OPTIONS_INVALID', 'an answer is `approve`, `deny` or `edit`');
  requireRecordable(approver.id, engine.redactor);
  const row = await engine.store.approval(id);
  if (row === undefined)
    throw new CountersignError('APPROVAL_NOT_FOUND', `no approval has the id ${isRecordable(id, engine.redactor) ? id : '(malformed)'}`);
  const edit = answer.decision === 'edit' ? editOf(answer, approver, row, engine) : undefined;
  const given = {
    answer: answer.decision === 'approve' ? 'approve' : 'deny',
    ...(edit !== undefined && { argsCommit: commitSection(edit.openingKey, 'args', edit.args) }),
  } as const;
  const who = identifyApprover(approver, row, given, engine.keys);
  if ('refused' in who) throw new CountersignError('APPROVER_REFUSED', who.refused);
  const grant = 'grant' in answer ? answer.grant : undefined;
  if (grant !== undefined && answer.decision !== 'approve')
    throw new CountersignError('GRANT_REFUSED', 'a grant is given with `approve` only');
  if (grant !== undefined && who.identity.assurance === 'low')
    throw new CountersignError(
      'APPROVER_REFUSED',
      `an answer by ${who.identity.method} has low assurance: it approves this call, and grants nothing`,
    );
  const offer = grant === undefined ? undefined : await offerOf(grant, row, approver, engine);
  const message =
    answer.message === undefined
      ? undefined
      : engine.redactor.text(answer.message.toWellFormed()).slice(0, MAX_REASON_CHARS).toWellFormed();
  const committed = await engine.commit({
    kind: 'answer',
    approval: id,
    answer: given.answer,
    approver: who.identity,
    ...(approver.method === 'key' && approver.signature !== undefined && { signature: approver.signature }),
    ...(message !== undefined && { message }),
    ...(edit !== undefined && { edit }),
    ...(offer !== undefined && { grant: offer }),
    ...(options.revokes === true && { revokes: true }),
  });
  if (committed.kind === 'answered') return committed.approval;
  if (committed.kind === 'not-answerable' && committed.why === 'approver') {
    throw new CountersignError('APPROVER_REFUSED', `${who.identity.id} is not among the approvers of this approval`);
  }
  if (committed.kind === 'not-answerable' && committed.why === 'assurance') {
    throw new CountersignError(
      'APPROVER_REFUSED',
      `an answer by ${who.identity.method} has ${who.identity.assurance} assurance, too little for this approval: answer with a key`,
    );
  }
  if (committed.kind === 'not-answerable' && committed.why === 'grant') {
    throw new CountersignError(
      'GRANT_REFUSED',
      `nothing can be granted with approval ${id}: it was answered before, or takes several answers`,
    );
  }
  if (committed.kind === 'not-answerable' && committed.why === 'altered') {
    throw new CountersignError('APPROVAL_NOT_FOUND', `approval ${id} has a row, but the ledger has no such ask: the row was altered`);
  }
  const state = committed.kind === 'not-answerable' ? (committed.state ?? 'gone') : committed.kind;
  throw new CountersignError('APPROVAL_NOT_PENDING', `approval ${id} is ${state}: it takes no more answers from ${who.identity.id}`);
}

const KEY_SHAPE = /^[0-9a-f]{64}$/;

/** The edit as it will be recorded, under the key it was signed with or a fresh one. */
function editOf(
  answer: Extract<ApprovalAnswer, { readonly decision: 'edit' }>,
  approver: Approver,
  row: ApprovalRow,
  engine: Pick<Engine, 'redactor'>,
): NonNullable<AnswerUnit['edit']> {
  const { shown } = row;
  if (shown === undefined)
    throw new CountersignError('APPROVAL_EDIT_INVALID', `the arguments of approval ${row.id} are not in the ledger any more`);
  const { openingKey } = answer;
  if (approver.method === 'key' && (typeof openingKey !== 'string' || !KEY_SHAPE.test(openingKey)))
    throw new CountersignError('OPTIONS_INVALID', 'a signed edit needs its openingKey: 64 hex digits, from newOpeningKey()');
  return {
    args: readEdit(answer.args, shown, engine.redactor),
    openingKey: approver.method === 'key' && openingKey !== undefined ? openingKey : newOpeningKey(),
  };
}
