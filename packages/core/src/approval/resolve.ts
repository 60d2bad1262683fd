/** Answering an approval: the one way in for hosts, channels and commands. */
import { MAX_REASON_CHARS } from '../call.ts';
import type { Engine } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import type { ApprovalAnswer, Approver } from '../interfaces.ts';
import { isName } from '../names.ts';
import { currentCall } from '../scope.ts';
import type { ApprovalRow } from '../store.ts';
import { identifyApprover } from './answers.ts';

/** @throws {CountersignError} `APPROVAL_NOT_FOUND`, `APPROVAL_NOT_PENDING`, `APPROVER_REFUSED`, `LEDGER_*` */
export async function resolveApproval(id: string, answer: ApprovalAnswer, approver: Approver, engine: Engine): Promise<ApprovalRow> {
  // A tool that reaches the guard object must not answer for the human it is waiting for.
  if (currentCall() !== undefined)
    throw new CountersignError('APPROVER_REFUSED', 'an approval cannot be answered from inside a guarded call');
  if (answer.decision !== 'approve' && answer.decision !== 'deny')
    throw new CountersignError('OPTIONS_INVALID', 'an answer is `approve` or `deny`');
  const row = await engine.store.approval(id);
  if (row === undefined) throw new CountersignError('APPROVAL_NOT_FOUND', `no approval has the id ${isName(id) ? id : '(malformed)'}`);
  const who = identifyApprover(approver, row, answer.decision, engine.keys);
  if ('refused' in who) throw new CountersignError('APPROVER_REFUSED', who.refused);
  const message =
    answer.message === undefined
      ? undefined
      : engine.redactor.text(answer.message.toWellFormed()).slice(0, MAX_REASON_CHARS).toWellFormed();
  const committed = await engine.commit({
    kind: 'answer',
    approval: id,
    answer: answer.decision,
    approver: who.identity,
    ...(approver.method === 'key' && approver.signature !== undefined && { signature: approver.signature }),
    ...(message !== undefined && { message }),
  });
  if (committed.kind === 'answered') return committed.approval;
  if (committed.kind === 'not-answerable' && committed.why === 'approver') {
    throw new CountersignError('APPROVER_REFUSED', `${who.identity.id} is not among the approvers of this approval`);
  }
  if (committed.kind === 'not-answerable' && committed.why === 'altered') {
    throw new CountersignError('APPROVAL_NOT_FOUND', `approval ${id} has a row, but the ledger has no such ask: the row was altered`);
  }
  const state = committed.kind === 'not-answerable' ? (committed.state ?? 'gone') : committed.kind;
  throw new CountersignError('APPROVAL_NOT_PENDING', `approval ${id} is ${state}: it takes no more answers from ${who.identity.id}`);
}
