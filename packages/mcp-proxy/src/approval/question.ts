/**
 * What a person reads in the client before answering.
 *
 * Everything in it but our own words may come from the agent or the server, and clients show it as text or as Markdown. So it
 * stands in a block that is indented by four: there neither links nor images nor markup come to life, and no line passes for
 * one of ours. Characters that deceive are spelled out, and what was left out is said.
 */
import { clip, escapeForTerminal, type Json, nameText } from '@countersign/core';

export const MAX_ARGUMENT_LINES = 40;
export const MAX_LINE_CHARS = 200;
const MAX_LABEL_CHARS = 300;

export interface Question {
  readonly server: string;
  readonly tool: string;
  readonly approvalId: string;
  /** The shown view of the arguments: secrets are replaced. */
  readonly shown: Json;
  readonly reason?: string;
  readonly rule?: string;
  readonly expiresAtMs: number;
  /** A person changed other arguments into these. */
  readonly isEdited?: boolean;
}

const ASKED = 'Countersign: may this tool call run?';
const ADVICE = 'Your answer is good for this one call. If you did not expect it, deny it.';
const OPEN = 'Countersign: a tool call waits for an answer on the approval page.';
const OPEN_ADVICE = 'Opening the page approves nothing. You answer there.';

/** @param isAnsweredHere - or on the approval page, which shows all of the arguments itself. */
export function questionText(question: Question, isAnsweredHere: boolean): string {
  const { server, tool, approvalId, reason, rule, expiresAtMs, isEdited } = question;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['tool', `${server}/${tool}`],
    ['reason', reason],
    ['rule', rule],
    ['approval', approvalId],
    ['expires', new Date(expiresAtMs).toISOString()],
    ['changed', isEdited === true ? 'by a person, from what the agent asked for' : undefined],
  ];
  return [
    isAnsweredHere ? ASKED : OPEN,
    '',
    ...facts.flatMap(([name, value]) =>
      value === undefined ? [] : [`    ${name.padEnd(9)} ${nameText(value, MAX_LABEL_CHARS, wholeOf(approvalId))}`],
    ),
    ...(isAnsweredHere ? ['    arguments', ...argumentLines(question)] : []),
    '',
    isAnsweredHere ? ADVICE : OPEN_ADVICE,
  ].join('\n');
}

function argumentLines({ shown, approvalId }: Question): readonly string[] {
  const lines = JSON.stringify(shown, undefined, 2).split('\n');
  const advice = wholeOf(approvalId);
  const told = lines.slice(0, MAX_ARGUMENT_LINES).map((line) => {
    const safe = escapeForTerminal(line);
    const cut = clip(safe, MAX_LINE_CHARS);
    return `    ${cut}${cut === safe ? '' : ` (line cut; ${advice})`}`;
  });
  const hidden = lines.length - told.length;
  return hidden > 0 ? [...told, `    … ${hidden} more lines not shown; ${advice}`] : told;
}

function wholeOf(approvalId: string): string {
  return `all of it: countersign approvals show ${clip(escapeForTerminal(approvalId), MAX_LABEL_CHARS)}`;
}
