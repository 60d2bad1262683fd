/** A report as Markdown, for issues and chats. Whatever came from outside is text or code there: no link, no image, no mention, no HTML. */
import { escapeForTerminal } from '@countersign/core';
import { LEVELS } from '../verdict.ts';
import { preventionLines } from './prevention.ts';
import type { Report } from './report.ts';
import { bytesText, countText, durationText, STATUS_WORDS, timeText } from './words.ts';

const MAX_ROWS = 100;
const MAX_CELL_CHARS = 300;

export function reportMarkdown(report: Report): string {
  const { counts, predecessor } = report;
  const lines = [
    '# What the processes did',
    '',
    `${timeText(report.since)} to ${timeText(report.until)}. Made ${timeText(report.generated_at)} by \`countersign report\`.`,
    '',
    ...table(
      ['sessions', 'duration', 'activities', 'processes', 'SAFE', 'FLAG', 'HALT', 'KILL', 'incidents', 'calls', 'denied', 'approvals'],
      [
        [
          countText(counts.sessions),
          durationText(report.duration_ms),
          countText(counts.activities),
          countText(counts.processes),
          ...LEVELS.map((level) => countText(counts.verdicts[level])),
          countText(counts.incidents),
          countText(counts.calls),
          countText(counts.denied),
          countText(counts.approvals),
        ],
      ],
    ),
    '## What this cannot say',
    '',
    ...report.limits.map((limit) => `- ${text(limit)}`),
    '',
    ...section(
      'Incidents',
      ['time', 'level', 'rule', 'reason', 'state', 'incident'],
      report.incidents.map(({ at, level, rule, reason, state, id }) => [timeText(at), level, rule, reason, state, id]),
    ),
    ...section(
      'Top reasons',
      ['level', 'rule', 'example', 'times'],
      report.top_rules.map(({ level, rule, reason, count }) => [level, rule, reason, countText(count)]),
    ),
    ...section(
      'Calls, beside what was seen of them',
      ['time', 'tool', 'decision', 'answers', 'outcome', 'activities', 'verdicts', 'call'],
      report.calls.map((call) => [
        timeText(call.at),
        call.tool,
        call.effect,
        call.answers.map(({ answer, by }) => `${answer} by ${by}`).join(', '),
        call.status ?? 'none',
        countText(call.activities),
        countText(call.verdicts),
        call.call,
      ]),
    ),
    ...section(
      'What happened',
      ['time', 'level', 'what', 'details'],
      report.events.map(({ at, level, what, text: details }) => [timeText(at), level ?? '', what, details ?? '']),
    ),
    ...section(
      'Sessions',
      ['session', 'agent', 'level', 'mode', 'activities', 'processes', 'FLAG', 'HALT', 'KILL'],
      report.sessions.map((session) => [
        session.session,
        session.agent ?? '?',
        session.level,
        session.mode ?? '?',
        countText(session.activities),
        countText(session.processes),
        countText(session.verdicts.FLAG),
        countText(session.verdicts.HALT),
        countText(session.verdicts.KILL),
      ]),
    ),
    ...section(
      'What could be seen and prevented',
      ['session', ''],
      report.sessions.flatMap((session) => preventionLines(session).map((line) => [session.session, line])),
    ),
    ...section(
      'Canary logs',
      ['file', 'rows', 'blocked'],
      report.external.map(({ file, rows, blocked }) => [file, countText(rows), countText(blocked)]),
    ),
    ...(predecessor === undefined
      ? []
      : section(
          'Logs of Suy Sideguy',
          ['actions', 'incidents', 'KILL'],
          [[countText(predecessor.actions), countText(predecessor.incidents.length), countText(predecessor.verdicts['KILL'] ?? 0)]],
        )),
    ...section(
      'Evidence',
      ['file', 'bytes', 'SHA-256', 'ledger'],
      report.evidence.map(({ path, bytes, sha256, status }) => [
        path,
        bytes === undefined ? '' : bytesText(bytes),
        sha256 ?? '',
        STATUS_WORDS.get(status) ?? status,
      ]),
    ),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function section(title: string, names: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const rest = rows.length - MAX_ROWS;
  return [`## ${title}`, '', ...table(names, rows.slice(-MAX_ROWS)), ...(rest > 0 ? [`${rest} more are in the other formats.`, ''] : [])];
}

function table(names: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  // A pipe ends a cell in code too.
  const cell = (value: string): string => text(value).replaceAll('|', '\\|');
  return [`| ${names.join(' | ')} |`, `|${'---|'.repeat(names.length)}`, ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`), ''];
}

/**
 * Text that is nothing but text: plain words, amounts and times as they are, and everything else as code, on one line. Escapes and entities
 * would not do: mentions, emoji, links to issues and addresses are looked for in what those have become.
 */
function text(value: string): string {
  const line = escapeForTerminal(value);
  const cut = (line.length > MAX_CELL_CHARS ? `${line.slice(0, MAX_CELL_CHARS)}…` : line).toWellFormed();
  const words = cut.split(' ');
  if (words.includes('')) return cut === '' ? '' : code(cut);
  const pieces: { readonly isPlain: boolean; words: string }[] = [];
  for (const word of words) {
    const isPlain = PLAIN_WORD.test(word);
    const last = pieces.at(-1);
    if (last?.isPlain === isPlain) last.words += ` ${word}`;
    else pieces.push({ isPlain, words: word });
  }
  return pieces.map((piece) => (piece.isPlain ? piece.words : code(piece.words))).join(' ');
}

function code(given: string): string {
  // Spelled, as on a terminal what may not be shown: a backtick would end the code, and a backslash would take away that of a pipe.
  const inside = given.replaceAll('`', '\\u{60}').replaceAll('\\|', '\\u{7c}');
  // One space at both ends counts as none.
  return /^ .*[^ ].* $/.test(inside) ? `\` ${inside} \`` : `\`${inside}\``;
}

/** Letters, amounts, times: nothing that any dialect makes something of. What could abbreviate a commit is none of them. */
const PLAIN_WORD =
  /^(?![a-f\d]{7})(?:[A-Za-z]{1,30}(?:-[a-z]{1,30}){0,4}[,;:]?|\d{1,9}(?:[.,]\d{1,9}){0,3}[A-Za-z]{0,3},?|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\dZ)$/;
