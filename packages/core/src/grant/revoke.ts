/** Taking back what was granted or approved: the one way in for hosts and commands. */

import { identifyByStatement } from '../approval/answers.ts';
import { resolveApproval } from '../approval/resolve.ts';
import { MAX_REASON_CHARS } from '../call.ts';
import type { Engine } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import type { Approver } from '../interfaces.ts';
import { isRecordable, requireRecordable } from '../names.ts';
import { currentCall } from '../scope.ts';
import type { ApprovalRow, GrantRow } from '../store-rows.ts';
import { revocationStatement } from './statement.ts';

export type Revoked = { readonly kind: 'grant'; readonly grant: GrantRow } | { readonly kind: 'approval'; readonly approval: ApprovalRow };

/** @throws {CountersignError} `APPROVAL_NOT_FOUND`, `APPROVAL_NOT_PENDING`, `APPROVER_REFUSED`, `LEDGER_*` */
export async function revoke(id: string, approver: Approver, options: { readonly message?: string }, engine: Engine): Promise<Revoked> {
  if (currentCall() !== undefined) throw new CountersignError('APPROVER_REFUSED', 'nothing can be taken back from inside a guarded call');
  requireRecordable(approver.id, engine.redactor);
  const grant = await engine.store.grant(id);
  if (grant !== undefined) return { kind: 'grant', grant: await revokeGrant(grant, approver, options, engine) };
  const row = await engine.store.approval(id);
  if (row === undefined)
    throw new CountersignError(
      'APPROVAL_NOT_FOUND',
      `no approval or grant has the id ${isRecordable(id, engine.redactor) ? id : '(malformed)'}`,
    );
  // It was denied or taken back before: nothing is left to say.
  if (row.state === 'denied') return { kind: 'approval', approval: row };
  const { message } = options;
  const answer = { decision: 'deny', ...(message !== undefined && { message }) } as const;
  return { kind: 'approval', approval: await resolveApproval(id, answer, approver, engine, { revokes: true }) };
}

async function revokeGrant(
  grant: GrantRow,
  approver: Approver,
  { message }: { readonly message?: string },
  engine: Engine,
): Promise<GrantRow> {
  const { agent, id } = grant;
  const statement = (name: string): Uint8Array => revocationStatement({ agent, approver: name, grant: id });
  const who = identifyByStatement(approver, statement, engine.keys);
  if ('refused' in who) throw new CountersignError('APPROVER_REFUSED', who.refused);
  const clean = message === undefined ? undefined : engine.redactor.text(message.toWellFormed()).slice(0, MAX_REASON_CHARS).toWellFormed();
  const committed = await engine.commit({
    kind: 'revoke',
    grant: id,
    approver: who.identity,
    ...(approver.method === 'key' && approver.signature !== undefined && { signature: approver.signature }),
    ...(clean !== undefined && { message: clean }),
  });
  if (committed.kind === 'not-revocable' && committed.why === 'approver')
    throw new CountersignError('APPROVER_REFUSED', `${who.identity.id} is not among the approvers of what was granted`);
  const row = committed.kind === 'revoked' ? await engine.store.grant(id) : undefined;
  if (row === undefined)
    throw new CountersignError('APPROVAL_NOT_FOUND', `grant ${id} has a row, but the ledger has no such grant: the row was altered`);
  return row;
}
