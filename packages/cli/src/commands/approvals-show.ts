import { changeLines, haltQuestion, type Json, terminalRows } from '@countersign/core';
import { type ApprovalView, readLedger } from '@countersign/core/sqlite';
import { approvalJson, toolName } from '../approval-lookup.ts';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { CHANGES_SHOWN } from '../edited-arguments.ts';
import { EXIT } from '../exit-codes.ts';
import { findGrantOrApproval, grantJson, grantLines } from '../grant-lookup.ts';
import { type Output, safe, safeJsonLines, safeName } from '../output.ts';
import { instant, span } from '../time.ts';

export const approvalsShow: Command = {
  name: 'approvals show',
  summary: 'show one approval or grant: what would run, why, what an answer binds',
  positionals: [{ name: 'id', required: true }],
  options: [],
  notes: ['The first 6 digits of the id are enough. Exit 1 when the stored approval differs from the ledger.'],
  example: 'countersign approvals show 3f9a1c',
  async run({ io, output, flags, positionals }) {
    const reader = readLedger(configOf({ io, flags }).ledger.path);
    try {
      const found = findGrantOrApproval(reader, positionals[0] ?? '');
      if ('grant' in found) {
        output.result({ grant: grantJson(found.grant) });
        for (const line of grantLines(found.grant, output)) output.line(rows(line, output));
        return EXIT.OK;
      }
      const row = found.approval;
      output.result({ approval: approvalJson(row) });
      for (const line of approvalLines(row, output)) output.line(rows(line, output));
      return row.mismatches.length > 0 ? EXIT.FAILED : EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

/** Piped, a line stays a line. */
function rows(line: string, { isTerminal, columns }: Output): string {
  return terminalRows(line, isTerminal ? columns : undefined);
}

function approvalLines(row: ApprovalView, output: Output): readonly string[] {
  const nowMs = Date.now();
  const expiry = row.state === 'pending' ? `in ${span(row.expiresAtMs - nowMs)}, at ${instant(row.expiresAtMs)}` : instant(row.expiresAtMs);
  const given = row.answers.filter(({ answer }) => answer === 'approve').length;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['state', row.state],
    ['asked', `${span(nowMs - row.createdAtMs)} ago, at ${instant(row.createdAtMs)}`],
    ['expires', expiry],
    ['agent', row.agent],
    ['for', row.principal],
    ['session', row.session],
    ['tool', toolName(row)],
    ['rule', row.rule],
    ['reason', row.reason],
    ['code', row.reasonCode],
    ['call', row.call],
    ['policy', row.policyHash],
    ['binds', row.binds],
    ['answers', `${given} of ${row.quorum} approvals given`],
    ['by', approversText(row.approvers)],
    ['worth', row.assurance === undefined ? undefined : `${row.assurance} assurance or more`],
    ['message', row.message],
  ];
  return [
    output.style('bold', `approval ${safe(row.id)}`),
    ...facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(8)} ${safeName(value)}`])),
    ...row.answers.map(
      ({ approver, answer, edited, of }) =>
        `  ${answer === 'approve' ? 'approved' : (edited === true ? 'edited' : 'denied').padEnd(8)} by ${safeName(String(approver))}, entry ${safe(String(of + 1))}`,
    ),
    ...haltLines(row),
    '  arguments, as the policy saw them',
    ...(row.shown === undefined ? ['    (their clear text is not in the ledger)'] : safeJsonLines(row.shown).map((line) => `    ${line}`)),
    ...editLines(row),
    ...mismatchLines(row, output),
    ...(row.state === 'pending' ? ['', `answer: ${answerCommand(row)}`] : []),
  ];
}

/** Denying the question after a halt ends everything: who means less has a command that says so. */
function answerCommand(row: ApprovalView): string {
  const id = safe(row.id).slice(0, 8);
  return haltLines(row).length > 0
    ? `countersign resume ${id} [--deny | --kill]`
    : `countersign approvals approve|deny ${id} --key FILE --as NAME`;
}

function haltLines({ tool, shown, coverageSince }: ApprovalView): readonly string[] {
  const halt = shown === undefined ? undefined : haltQuestion({ tool, args: shown, coverageSince });
  return halt === undefined ? [] : ['  the halt', ...halt.lines.map(([name, text]) => `    ${name.padEnd(8)} ${safe(text)}`)];
}

/** What a person made of the call, and of which call a person made it. */
function editLines({ shown, edit, edited }: ApprovalView): readonly string[] {
  const diff = (from: Json, to: Json): readonly string[] => changeLines(from, to, CHANGES_SHOWN).map((line) => `    ${line}`);
  return [
    ...(edited === undefined ? [] : [`  edited from call ${safe(edited.call)}`]),
    ...(edited?.from === undefined || shown === undefined ? [] : diff(edited.from, shown)),
    ...(edit === undefined ? [] : ['  proposed instead']),
    ...(edit === undefined || shown === undefined ? [] : diff(shown, edit)),
  ];
}

/** Rows are JSON that somebody may have edited: a list only if it is one. */
function approversText(approvers: unknown): string | undefined {
  return approvers === undefined ? undefined : Array.isArray(approvers) ? approvers.join(', ') : JSON.stringify(approvers);
}

function mismatchLines({ mismatches }: ApprovalView, output: Output): readonly string[] {
  if (mismatches.length === 0) return [];
  return [
    '',
    output.style('bad', `TAMPERED: this does not agree with the ledger entry that asked: ${mismatches.map(safe).join(', ')}`),
    'Do not approve it. Keep the file as evidence and run `countersign verify`.',
  ];
}
