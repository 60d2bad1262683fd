import {
  approvalStatement,
  type Config,
  CountersignError,
  type Revoked,
  revocationStatement,
  type Signer,
  statementOf,
} from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';
import { answeringGuard } from '../answering-guard.ts';
import { approvalJson, toolName } from '../approval-lookup.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { type FoundApproval, findGrantOrApproval, grantJson } from '../grant-lookup.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';
import { approverKey, required } from './approvals-answer.ts';

export const approvalsRevoke: Command = {
  name: 'approvals revoke',
  summary: 'take back a grant, or an approval that was not used yet',
  positionals: [{ name: 'id', required: true }],
  options: [
    { name: 'key', kind: 'text', value: 'FILE', about: 'your private key' },
    { name: 'as', kind: 'text', value: 'NAME', about: 'your name under `approvers` in the configuration' },
    { name: 'passphrase-file', kind: 'text', value: 'F', about: 'passphrase of the key; asked for on a terminal' },
    { name: 'message', kind: 'text', value: 'M', about: 'a sentence for the record' },
  ],
  notes: [
    'From then on no call runs on the strength of it; calls that ran stay what they were. The grants there are: `countersign approvals list --grants`. Taking back twice is no error.',
  ],
  example: 'countersign approvals revoke 3f9a1c --key ~/keys/finance.key --as finance',
  async run(invocation) {
    const { io, output, flags, positionals } = invocation;
    const config = configOf({ io, flags });
    const found = lookUp(config, positionals[0] ?? '', io.env);
    const name = required(invocation, 'as', 'NAME');
    const signer = await approverKey(config, name, invocation);
    const revoked = await commitRevocation(config, found, name, signer, invocation);
    output.result(
      revoked.kind === 'grant'
        ? { grant: grantJson(revoked.grant), approver: name }
        : { approval: approvalJson({ ...revoked.approval, mismatches: [] }), approver: name },
    );
    output.line(resultLine(revoked));
    return EXIT.OK;
  },
};

function lookUp(config: Config, id: string, env: NodeJS.ProcessEnv): FoundApproval {
  const reader = readLedger(config.ledger.path);
  try {
    refuseInsideGuard(env, reader.liveWriterPids());
    return findGrantOrApproval(reader, id);
  } finally {
    reader.close();
  }
}

async function commitRevocation(
  config: Config,
  found: FoundApproval,
  name: string,
  signer: Signer,
  { flags }: Invocation,
): Promise<Revoked> {
  const id = 'grant' in found ? found.grant.id : found.approval.id;
  const store = openConfigured(config, { create: false, signNow: true });
  try {
    const statement = 'grant' in found ? grantBytes(found.grant, name) : await denialBytes(id, store, name);
    const signature = Buffer.from(signer.sign(statement)).toString('base64');
    const guard = answeringGuard(config, store);
    const message = flags.text('message');
    // The guard is not closed: it opened no session that could end.
    return await guard.approvals.revoke(id, { id: name, method: 'key', signature }, message === undefined ? {} : { message });
  } finally {
    await store.close();
  }
}

function grantBytes({ agent, id }: { readonly agent: string; readonly id: string }, approver: string): Uint8Array {
  return revocationStatement({ agent, approver, grant: id });
}

async function denialBytes(id: string, store: ReturnType<typeof openConfigured>, approver: string): Promise<Uint8Array> {
  const row = await store.approval(id);
  if (row === undefined) throw new CountersignError('APPROVAL_NOT_FOUND', `approval ${id} is gone`);
  return approvalStatement(statementOf(row, 'deny', approver));
}

function resultLine(revoked: Revoked): string {
  const row = revoked.kind === 'grant' ? revoked.grant : revoked.approval;
  const what = `${safe(toolName(row))} for ${safe(row.agent)}`;
  if (revoked.kind === 'approval') return `taken back: the approval of ${what}`;
  const { state, uses, usesLeft } = revoked.grant;
  if (state !== 'revoked') return `nothing is left to take back: the grant of ${what} is ${safe(state)}`;
  return `taken back: the grant of ${what}, used ${uses - usesLeft} of ${uses} times`;
}
