/** What a person reads on the terminal before answering. Everything in it may come from the agent: it is escaped and bounded. */
import type { Json } from '../call.ts';
import { haltQuestion } from '../halt/halt-question.ts';
import type { ApprovalRequest } from '../interfaces.ts';
import { changeLines } from './change-lines.ts';
import { clip, escapeForTerminal, nameText } from './terminal-text.ts';

/** Lines of arguments in the first view, and in the detailed one. */
export const MAX_PROMPT_LINES = 20;
export const MAX_DETAIL_LINES = 2000;
/** Characters of one line in the first view, and in the detailed one. */
export const MAX_PROMPT_LINE_CHARS = 200;
export const MAX_DETAIL_LINE_CHARS = 20_000;
/** Characters of a value before and after. */
const MAX_VALUE_CHARS = 80;
const MAX_LABEL_CHARS = 300;

export function questionText(request: ApprovalRequest, nowMs: number): string {
  const { agent, principal, session, reason, rule, edited } = request;
  const label = labelOf(request);
  const halt = haltQuestion(request);
  if (halt !== undefined)
    return [
      '',
      `approval ${shortId(request)}: THE AGENT IS STOPPED (${label(agent)}, session ${label(session)}). May it go on?`,
      ...halt.lines.map(([name, text]) => `  ${name.padEnd(8)} ${label(text)}`),
    ].join('\n');
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['agent', agent],
    ['for', principal],
    ['session', session],
    ['rule', rule],
    ['reason', reason],
  ];
  const shown = facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(8)} ${label(value)}`]));
  return [
    '',
    `approval ${shortId(request)}: may ${label(agent)} call ${label(toolName(request))}?`,
    ...shown,
    `  expires  ${expiryText(request.expiresAtMs, nowMs)}`,
    ...(edited === undefined
      ? []
      : [
          '  changed by a person, from what the agent asked for',
          ...promptChanges(edited.from, request.args, `\`countersign approvals show ${shortId(request)} --json\` has both`),
        ]),
    '  arguments',
    ...argumentLines(request, MAX_PROMPT_LINES, MAX_PROMPT_LINE_CHARS, 'type d to see them'),
  ].join('\n');
}

export function detailsText(request: ApprovalRequest): string {
  const advice = `see \`countersign approvals show ${shortId(request)}\``;
  const label = labelOf(request);
  return [
    `  approval ${label(request.id)}`,
    `  call     ${label(request.callId)}`,
    '  arguments',
    ...argumentLines(request, MAX_DETAIL_LINES, MAX_DETAIL_LINE_CHARS, advice),
  ].join('\n');
}

/** As `changeLines`, for the first view. */
export function promptChanges(from: Json, to: Json, whole: string): readonly string[] {
  const limits = { maxLines: MAX_PROMPT_LINES, maxValueChars: MAX_VALUE_CHARS, whole };
  return changeLines(from, to, limits).map((line) => `    ${line}`);
}

export function toolName({ tool }: ApprovalRequest): string {
  return tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
}

export function shortId({ id }: ApprovalRequest): string {
  return escapeForTerminal(id).slice(0, 8);
}

/** The shown arguments as indented JSON, escaped line by line, and what was left out. */
function argumentLines(request: ApprovalRequest, maxLines: number, maxChars: number, advice: string): readonly string[] {
  const lines = JSON.stringify(request.args, undefined, 2).split('\n');
  const shown = lines.slice(0, maxLines).map((line) => {
    const safe = escapeForTerminal(line);
    const cut = clip(safe, maxChars);
    return `    ${cut}${cut === safe ? '' : ` (line cut, ${advice})`}`;
  });
  const hidden = lines.length - shown.length;
  return hidden > 0 ? [...shown, `    … ${hidden} more lines not shown: ${advice}`] : shown;
}

function expiryText(expiresAtMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((expiresAtMs - nowMs) / 1000));
  const left = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  return `in ${left}, at ${new Date(expiresAtMs).toISOString()}`;
}

/** Whoever reads a request can be told where all of a long name is. */
function labelOf(request: ApprovalRequest): (text: string) => string {
  return (text) => nameText(text, MAX_LABEL_CHARS, `see \`countersign approvals show ${shortId(request)}\``);
}
