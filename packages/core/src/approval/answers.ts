/** Whose answer an approval entry really is. Rows and entries may have been written by another process of the same user. */
import type { Assurance, EntryRef } from '../call.ts';
import type { Approver } from '../interfaces.ts';
import { parseEntry } from '../ledger/body.ts';
import type { ApproverIdentity } from '../ledger/entry.ts';
import { isName } from '../names.ts';
import type { Store } from '../store.ts';
import type { ApprovalRow } from '../store-rows.ts';
import { foldApprover } from './approver-name.ts';
import { assuranceOf } from './assurance.ts';
import { AUTO_APPROVER, isAutoApprover } from './auto-approve.ts';
import { type AnswerGiven, approvalStatement, isSignedBy, statementOf } from './statement.ts';

/** Approver names to verifier lines. */
export type ApproverKeys = ReadonlyMap<string, string>;

type Identified = { readonly identity: ApproverIdentity } | { readonly refused: string };

/**
 * The approver as it will be recorded, or why not. A name with a configured key is that approver only by that key;
 * method `key` is worth nothing for a name without one.
 */
export function identifyApprover(
  approver: Approver,
  row: Parameters<typeof statementOf>[0],
  given: AnswerGiven,
  keys: ApproverKeys,
): Identified {
  return identifyByStatement(approver, (name) => approvalStatement(statementOf(row, given, name)), keys);
}

/** @param statement - what that approver would have signed, by name. */
export function identifyByStatement(approver: Approver, statement: (name: string) => Uint8Array, keys: ApproverKeys): Identified {
  if (!isName(approver.id)) return { refused: 'the approver has no usable name' };
  const assurance = isAutoApprover(approver.id) ? autoAssurance(approver) : assuranceOf(approver.method);
  if (assurance === undefined) return { refused: `unknown approval method for ${approver.id}` };
  const vkey = keys.get(approver.id);
  const imitated = vkey === undefined && [...keys.keys()].find((name) => foldApprover(name) === foldApprover(approver.id));
  if (imitated !== undefined && imitated !== false)
    return { refused: `this name could be taken for the approver ${imitated}: write it exactly so` };
  if (vkey !== undefined && approver.method !== 'key') return { refused: `${approver.id} answers with a key only` };
  if (approver.method === 'key') {
    if (vkey === undefined) return { refused: `no key is configured for approver ${approver.id}: add it under \`approvers\`` };
    if (!isSignedBy(vkey, statement(approver.id), approver.signature)) {
      return { refused: `the signature of ${approver.id} does not verify for this approval` };
    }
  }
  return { identity: { id: approver.id, method: approver.method, assurance } };
}

/** Nobody answered: no channel and no key may lend that name more. */
function autoAssurance({ id, method }: Approver): Assurance | undefined {
  return id === AUTO_APPROVER && method === 'host' ? 'low' : undefined;
}

/**
 * The approving answers that are authentic: in the tree, and signed by the configured key where there is one.
 * What they bind, when they were given and whether they were used is for the transaction to check.
 */
export async function authenticAnswers(row: ApprovalRow, store: Pick<Store, 'entry'>, keys: ApproverKeys): Promise<readonly EntryRef[]> {
  const authentic: EntryRef[] = [];
  for (const { of, leaf } of row.answers) {
    const text = await store.entry({ of, leaf });
    if (text === undefined) continue;
    const entry = parseEntry(text);
    if (entry.kind !== 'approval' || entry.answer !== 'approve' || entry.approval !== row.id) continue;
    const claimed: Approver = { ...entry.approver, ...(entry.signature !== undefined && { signature: entry.signature }) };
    // The statement is rebuilt from the entry: what was signed is what is in the tree, whatever the row says.
    const signedRow = {
      ...row,
      binds: entry.binds,
      call: entry.call,
      expiresAtMs: entry.expires_at,
      agent: entry.agent,
      session: entry.session,
    };
    const who = identifyApprover(claimed, signedRow, { answer: entry.answer }, keys);
    if ('identity' in who && who.identity.assurance === entry.approver.assurance) authentic.push({ of, leaf });
  }
  return authentic;
}
