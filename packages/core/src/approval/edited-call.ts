/**
 * The call that a person's edit makes.
 *
 * It is another call: its own id, its own key derived from the leaf of the answer that proposed it, decided from the start.
 * Whoever comes back to the edited call, in whatever process and however often, comes to this one.
 */
import { type BuiltInReasonCode, type EntryRef, type Json, MAX_REASON_CHARS } from '../call.ts';
import { callBinding, editedCallKey } from '../call-key.ts';
import type { AuthorizeOptions } from '../call-options.ts';
import type { Engine, Rules } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import { parseEntry } from '../ledger/body.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { checkOpening, commitSection } from '../ledger/commitment.ts';
import type { ApprovalBody, DecisionBody } from '../ledger/entry.ts';
import { isUnusable, type PreparedCall, prepareCall } from '../prepare.ts';
import { captureArguments } from '../redact/arguments.ts';
import { schemaIssues } from '../schema-issues.ts';
import type { ApprovalRow, CallRow } from '../store-rows.ts';
import { identifyApprover } from './answers.ts';
import { editedArguments, MAX_EDITS } from './edit.ts';

export type EditedCall =
  | { readonly kind: 'edited'; readonly call: PreparedCall }
  /** There is an edit, and it cannot be run. */
  | { readonly kind: 'unusable'; readonly reasonCode: BuiltInReasonCode; readonly reason: string };

/** What an edit needs to become a call: the schema of its tool and what it costs, as for any other call of it. */
export type EditRules = Pick<AuthorizeOptions, 'validate' | 'costOf'> & Pick<Rules, 'policy'>;

/**
 * The call an answer makes of `call`; undefined when nobody edited it.
 *
 * @param call - the call that was asked about, with its own id.
 * @param bindKey - of its row, while it is there.
 */
export async function editedCall(
  call: PreparedCall,
  row: ApprovalRow,
  bindKey: string | undefined,
  rules: EditRules,
  engine: Engine,
): Promise<EditedCall | undefined> {
  const given = row.answers.find((answer) => answer.edited === true);
  if (row.state !== 'denied' || given === undefined) return undefined;
  const ref = { of: given.of, leaf: given.leaf };
  const proposal = await readProposal(ref, call, row, bindKey, engine);
  if ('reasonCode' in proposal) return { kind: 'unusable', ...proposal };
  return prepareEdited(call, proposal.args, ref, rules, engine);
}

/** What stands in place of a call by now: itself, or what people's edits made of it. Writes nothing. */
export async function latestCall(
  call: PreparedCall,
  earlier: CallRow | undefined,
  rules: EditRules,
  engine: Engine,
): Promise<{ readonly call: PreparedCall; readonly row: CallRow | undefined }> {
  let at = { call, row: earlier };
  for (let edits = 0; edits < MAX_EDITS; edits++) {
    const { row } = at;
    const approval = row?.approval === undefined ? undefined : await engine.store.approval(row.approval);
    if (row === undefined || approval === undefined) return at;
    const edit = await editedCall({ ...at.call, callId: row.id }, approval, row.bindKey, rules, engine);
    if (edit?.kind !== 'edited') return at;
    at = { call: edit.call, row: await engine.store.callById(edit.call.callId) };
  }
  return at;
}

interface Fault {
  readonly reasonCode: BuiltInReasonCode;
  readonly reason: string;
}

/** Rows and openings say where to look. What the answer proposes, and for which call, is what the tree holds. */
async function readProposal(
  ref: EntryRef,
  call: PreparedCall,
  row: ApprovalRow,
  bindKey: string | undefined,
  engine: Engine,
): Promise<{ readonly args: Json } | Fault> {
  const answer = await entryAt(ref, engine);
  const ask = await entryAt(row.ask, engine);
  if (answer?.kind !== 'approval' || ask?.kind !== 'decision') return forged('the edit of this call is not in the ledger');
  if (answer.approval !== row.id || answer.call !== call.callId || ask.call !== call.callId || ask.approval?.id !== row.id)
    return { reasonCode: 'APPROVAL_MISROUTED', reason: 'the edit is of another call' };
  if (!isProposal(answer, ask, row, engine)) return forged('the edit of this call is not authentic');
  const opening = await engine.store.opening(ref.of);
  const asked = await engine.store.opening(row.ask.of);
  if (opening === undefined || asked === undefined || !('args' in opening.sections)) {
    return { reasonCode: 'APPROVAL_EDIT_INVALID', reason: 'the arguments an approver proposed are not in the ledger any more' };
  }
  const args = opening.sections['args'];
  const commits = { args: answer.args_commit };
  if (checkOpening(commits, { key: opening.key, sections: { args } }).length > 0)
    return { reasonCode: 'APPROVAL_EDIT_INVALID', reason: 'the proposed arguments are not those the ledger commits to' };
  // Rows led from this call to that ask: the arguments that were edited must be these.
  const isBound = bindKey === undefined || callBinding(call, ask.policy.hash, bindKey) === ask.binds;
  if (!isBound || commitSection(asked.key, 'args', call.shown) !== ask.args_commit)
    return { reasonCode: 'APPROVAL_BINDING_MISMATCH', reason: 'the edit is of a call with other arguments' };
  return { args };
}

function isProposal(answer: ApprovalBody, ask: DecisionBody, row: ApprovalRow, engine: Engine): boolean {
  const { args_commit: argsCommit, approver, signature } = answer;
  if (answer.answer !== 'deny' || argsCommit === undefined) return false;
  if (answer.ask.of !== row.ask.of || answer.ask.leaf !== row.ask.leaf || answer.binds !== ask.binds) return false;
  const { expires_at: expiresAtMs, binds, call, agent, session } = answer;
  const signed = { ...row, expiresAtMs, binds, call, agent, session };
  const claimed = { ...approver, ...(signature !== undefined && { signature }) };
  const who = identifyApprover(claimed, signed, { answer: 'deny', argsCommit }, engine.keys);
  return 'identity' in who && who.identity.assurance === approver.assurance;
}

async function prepareEdited(call: PreparedCall, edit: Json, answer: EntryRef, rules: EditRules, engine: Engine): Promise<EditedCall> {
  const unusable = (reasonCode: BuiltInReasonCode, reason: string): EditedCall => ({
    kind: 'unusable',
    reasonCode,
    reason: engine.redactor.text(reason.toWellFormed()).slice(0, MAX_REASON_CHARS).toWellFormed(),
  });
  const { tool, session, principal, attempt, cost } = call;
  if (cost !== undefined && rules.costOf === undefined)
    return unusable('APPROVAL_EDIT_INVALID', 'what this call costs was given as a number: nobody knows what it costs with other arguments');
  const args = editedArguments(edit, call.shown, call.args);
  const named = { tool, session, attempt, ...(principal !== undefined && { principal }) };
  const prepared = prepareCall({ ...named, args }, engine, rules.costOf);
  if (isUnusable(prepared)) return unusable(prepared.reasonCode, prepared.reason);
  if (canonicalize(prepared.shown) !== canonicalize(edit))
    return unusable('APPROVAL_EDIT_INVALID', 'the proposed arguments are not shown here as they were proposed: was redaction changed?');
  const misfit = await misfitOf(args, prepared, rules);
  if (misfit !== undefined) return unusable('ARGUMENTS_INVALID', misfit);
  const key = editedCallKey(answer.leaf, (text) => engine.store.mac(text));
  const known = await engine.store.callByKey(key);
  const callId = known?.id ?? prepared.callId;
  return { kind: 'edited', call: { ...prepared, callId, key, edited: { call: call.callId, answer, from: call.shown } } };
}

/** Nothing a schema adds or changes was proposed, or will have been decided on. */
async function misfitOf(args: unknown, prepared: PreparedCall, { validate }: EditRules): Promise<string | undefined> {
  if (validate === undefined) return undefined;
  let parsed: unknown;
  try {
    // A copy: what runs must not be in the reach of a schema.
    parsed = await validate(captureArguments(args).value);
  } catch (error) {
    return `the edited arguments do not fit the tool${schemaIssues(error)}`;
  }
  try {
    if (captureArguments(parsed).exact === prepared.exact) return undefined;
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
  }
  return 'the schema of the tool changes the edited arguments: write them as the tool gets them';
}

async function entryAt(ref: EntryRef, { store }: Engine): Promise<ReturnType<typeof parseEntry> | undefined> {
  const text = await store.entry(ref);
  return text === undefined ? undefined : parseEntry(text);
}

function forged(reason: string): Fault {
  return { reasonCode: 'APPROVAL_FORGED', reason };
}
