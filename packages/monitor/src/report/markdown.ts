/** A report as Markdown, for issues and chats. Whatever came from outside is text there too: no link, no image, no mention, no HTML. */
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
  return [`| ${names.join(' | ')} |`, `|${'---|'.repeat(names.length)}`, ...rows.map((row) => `| ${row.map(text).join(' | ')} |`), ''];
}

/** Text that is nothing but text: one line, every character that could be markup escaped, no address that is made a link. */
function text(value: string): string {
  const line = escapeForTerminal(value);
  const cut = line.length > MAX_CELL_CHARS ? `${line.slice(0, MAX_CELL_CHARS)}…` : line;
  return (
    cut
      .toWellFormed()
      .replace(/[\\`*_[\]#|~$^]/g, '\\$&')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('@', '&#64;')
      // What would become a link, an emoji by its name between colons, or at the beginning a list.
      .replace(/:(?=\/\/)|(?<!\d):(?=[a-z0-9_+-]{1,64}:)/gi, '&#58;')
      .replace(/\bwww\./gi, (match) => `${match.slice(0, -1)}&#46;`)
      .replace(/^[-+=]/, '\\$&')
      .replace(/^(\d{1,9})([.)])(?=\s|$)/, '$1\\$2')
  );
}
