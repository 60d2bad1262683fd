import { resolve } from 'node:path';
import {
  type ApprovalRow,
  approvalStatement,
  type Config,
  CountersignError,
  changeLines,
  commitSection,
  type GrantRow,
  type GrantTerms,
  type Json,
  newOpeningKey,
  parseVerifierKey,
  readSigner,
  type Signer,
  statementOf,
} from '@countersign/core';
import { type ApprovalView, readLedger } from '@countersign/core/sqlite';
import { answeringGuard } from '../answering-guard.ts';
import { approvalJson, findApproval, toolName } from '../approval-lookup.ts';
import type { Command, Invocation, Option } from '../command.ts';
import { configOf } from '../configuration.ts';
import { CHANGES_SHOWN, readEditedArguments } from '../edited-arguments.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { GRANT_OPTIONS, grantJson, grantTermsOf } from '../grant-lookup.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';
import { passphraseFor } from '../passphrase.ts';
import { instant } from '../time.ts';

type Answer = 'approve' | 'deny';

const ARGS_OPTION: Option = {
  name: 'args',
  kind: 'text',
  value: 'FILE',
  about: 'propose these arguments instead: JSON; - for standard input',
};
const ARGS_NOTE =
  'With --args the call is refused as it was, and made anew with your arguments: policy decides that call from the start, and may ask about it. Leave `[redacted:...]` where it stands: it is the secret of the call again. Nothing else may be secret in there.';
const GRANT_NOTE =
  'With --grant later calls by this agent of the same tool, under the same rule of the same policy, run without asking, until time or uses are up or `approvals revoke` takes it back. It overrides no deny.';

/** `approvals approve` and `approvals deny` differ in one word. */
export function approvalsAnswer(answer: Answer): Command {
  return {
    name: `approvals ${answer}`,
    summary: answer === 'approve' ? 'let one call run, signed with your key' : 'refuse one call, signed with your key',
    positionals: [{ name: 'id', required: true }],
    options: [
      { name: 'key', kind: 'text', value: 'FILE', about: 'your private key' },
      { name: 'as', kind: 'text', value: 'NAME', about: 'your name under `approvers` in the configuration' },
      { name: 'passphrase-file', kind: 'text', value: 'F', about: 'passphrase of the key; asked for on a terminal' },
      { name: 'message', kind: 'text', value: 'M', about: 'a sentence for the agent and the record' },
      ...(answer === 'approve' ? [ARGS_OPTION, ...GRANT_OPTIONS] : []),
    ],
    notes: [
      'Signs exactly this call: tool, arguments, agent, session, policy and expiry. Refused from inside a guarded process tree, and when the stored approval differs from the ledger.',
      ...(answer === 'approve' ? [ARGS_NOTE, GRANT_NOTE] : []),
    ],
    example: `countersign approvals ${answer} 3f9a1c --key ~/keys/finance.key --as finance`,
    run: (invocation) => run(answer, invocation),
  };
}

async function run(answer: Answer, invocation: Invocation): Promise<number> {
  const { io, output, flags, positionals } = invocation;
  const config = configOf({ io, flags });
  const view = lookUp(config, positionals[0] ?? '', io.env);
  checkAnswerable(view, answer);
  const name = required(invocation, 'as', 'NAME');
  const terms = answer === 'approve' ? grantTermsOf(flags) : undefined;
  const args = answer === 'approve' ? await proposal(invocation, terms) : undefined;
  const signer = await approverKey(config, name, invocation);
  const message = flags.text('message');
  const given = {
    answer,
    name,
    signer,
    ...(message !== undefined && { message }),
    ...(terms !== undefined && { terms }),
    ...(args !== undefined && { args }),
  };
  const { row, grant } = await commitAnswer(config, view, given);
  output.result({
    approval: approvalJson({ ...row, mismatches: [] }),
    answer: args === undefined ? answer : 'edit',
    approver: name,
    ...(grant !== undefined && { grant: grantJson(grant) }),
  });
  for (const line of args === undefined ? resultLines(row, answer) : editedLines(row, view.shown ?? null, args)) output.line(line);
  if (grant !== undefined) output.line(grantedLine(grant));
  return EXIT.OK;
}

/** @throws {UsageError} also together with a grant: what is granted is what was asked for. */
async function proposal({ flags, io }: Invocation, terms: GrantTerms | undefined): Promise<Json | undefined> {
  const path = flags.text('args');
  if (path === undefined) return undefined;
  if (terms !== undefined)
    throw new UsageError('--args and --grant do not go together', 'propose the arguments first; grant when the call asks again');
  return readEditedArguments(path, io);
}

function lookUp(config: Config, id: string, env: NodeJS.ProcessEnv): ApprovalView {
  const reader = readLedger(config.ledger.path);
  try {
    refuseInsideGuard(env, reader.liveWriterPids());
    return findApproval(reader, id);
  } finally {
    reader.close();
  }
}

export function checkAnswerable(view: ApprovalView, answer: Answer): void {
  if (view.state !== 'pending') throw new CountersignError('APPROVAL_NOT_PENDING', `approval ${view.id} is ${view.state}`);
  if (answer === 'deny') return;
  // The person read what `approvals show` printed: it must be what the ledger says.
  if (view.mismatches.length > 0) {
    throw new CountersignError('LEDGER_CORRUPT', `approval ${view.id} does not agree with its ledger entry: ${view.mismatches.join(', ')}`);
  }
  if (view.shown === undefined) {
    throw new CountersignError(
      'APPROVER_REFUSED',
      `the arguments of approval ${view.id} are not in the ledger any more: nobody can know what would run`,
    );
  }
}

const UNSIGNED_HINT =
  'an answer is signed: --key FILE --as NAME (`countersign keygen` makes a key); without one, answer on the page of `countersign console`';

export function required({ flags }: Invocation, name: 'as' | 'key', value: string): string {
  const given = flags.text(name);
  if (given === undefined) throw new UsageError(`an answer needs --${name} ${value}`, UNSIGNED_HINT);
  return given;
}

export async function approverKey(config: Config, name: string, invocation: Invocation): Promise<Signer> {
  const vkey = config.approvers.get(name);
  if (vkey === undefined) {
    throw new CountersignError(
      'APPROVER_REFUSED',
      `${name} is not under \`approvers\` in the configuration; \`countersign keygen\` makes a key for it`,
    );
  }
  const path = resolve(invocation.io.cwd, required(invocation, 'key', 'FILE'));
  const signer = readSigner(path, name, await passphraseFor(path, 'passphrase-file', invocation));
  // Names of verifier lines may differ from the name in the configuration; the key may not.
  if (!Buffer.from(parseVerifierKey(signer.vkey).publicKey).equals(parseVerifierKey(vkey).publicKey)) {
    throw new CountersignError('APPROVER_REFUSED', `the key ${path} is not the one configured for ${name}`);
  }
  return signer;
}

export interface Given {
  readonly answer: Answer;
  readonly name: string;
  /** Absent: the person is at this terminal, and signs nothing. */
  readonly signer?: Signer;
  readonly message?: string;
  readonly terms?: GrantTerms;
  /** Proposed in place of the call's own. */
  readonly args?: Json;
}

export interface Answered {
  readonly row: ApprovalRow;
  readonly grant: GrantRow | undefined;
}

export async function commitAnswer(
  config: Config,
  view: ApprovalView,
  { answer, name, signer, message, terms, args }: Given,
): Promise<Answered> {
  const openingKey = newOpeningKey();
  const said = args === undefined ? answer : ({ answer: 'deny', argsCommit: commitSection(openingKey, 'args', args) } as const);
  const store = openConfigured(config, { create: false, signNow: true });
  try {
    const row = await store.approval(view.id);
    if (row === undefined) throw new CountersignError('APPROVAL_NOT_FOUND', `approval ${view.id} is gone`);
    const statement = approvalStatement(statementOf(row, said, name));
    // What was looked at must still be what is signed, and must stand in the tree under the ledger's key.
    const seen = approvalStatement(statementOf(view, said, name));
    if (!Buffer.from(statement).equals(seen) || (await store.entry(view.ask)) === undefined) {
      throw new CountersignError('LEDGER_CORRUPT', `approval ${view.id} changed while it was being answered`);
    }
    const signed = (text: Uint8Array): { readonly signature: string } | undefined =>
      signer === undefined ? undefined : { signature: Buffer.from(signer.sign(text)).toString('base64') };
    const guard = answeringGuard(config, store);
    const draft = terms === undefined ? undefined : await guard.approvals.draftGrant(view.id, terms);
    const grant = draft && { ...draft.offer, ...signed(draft.statement(name)) };
    const words = message !== undefined && { message };
    const reply =
      args === undefined
        ? { decision: answer, ...words, ...(grant !== undefined && { grant }) }
        : ({ decision: 'edit', args, openingKey, ...words } as const);
    // The guard is not closed: it opened no session that could end.
    const resolved = await guard.approvals.resolve(view.id, reply, {
      id: name,
      method: signer === undefined ? 'terminal' : 'key',
      ...signed(statement),
    });
    return { row: resolved, grant: grant === undefined ? undefined : await store.grant(grant.id) };
  } finally {
    await store.close();
  }
}

function grantedLine(grant: GrantRow): string {
  const whose = grant.session === undefined ? 'of every session' : 'of this session';
  const what = `${grant.uses} more calls ${whose}, until ${instant(grant.expiresAtMs)}`;
  return `granted: ${what}; take it back: countersign approvals revoke ${grant.id.slice(0, 8)}`;
}

function editedLines(row: ApprovalRow, shown: Json, args: Json): readonly string[] {
  return [
    `edited: ${safe(toolName(row))} for ${safe(row.agent)}`,
    ...changeLines(shown, args, CHANGES_SHOWN).map((line) => `  ${line}`),
    'the call is refused as it was; when the agent comes back the edited one is decided anew',
  ];
}

function resultLines(row: ApprovalRow, answer: Answer): readonly string[] {
  const what = `${safe(toolName(row))} for ${safe(row.agent)}`;
  if (answer === 'deny') return [`denied: ${what}`];
  const given = row.answers.filter((each) => each.answer === 'approve').length;
  if (row.state === 'pending') return [`approved by you: ${what}`, `${given} of ${row.quorum} approvals given; the call still waits`];
  return [`approved: ${what}`, 'the agent may run this call once, before it expires'];
}
