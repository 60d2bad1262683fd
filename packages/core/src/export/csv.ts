/**
 * A ledger as CSV (RFC 4180), for spreadsheets: a header, then one row per entry, CRLF at the ends.
 *
 * Entries are rows because a ledger is read forwards: an outcome may stand a million entries behind its decision. It
 * names the decision in `decision_entry` and repeats its tool. Arguments and results are JSON in their cell.
 *
 * A spreadsheet runs a cell that begins with `= + - @` as a formula, whoever wrote it: such a cell gets an apostrophe in
 * front. Control and invisible characters are spelled (`\u{202e}`), so that a row is a line.
 */
import { escapeForTerminal, escapeJson } from '../approval/terminal-text.ts';
import type { RecordFacts } from '../container/record-facts.ts';
import type { DecisionFacts } from './decisions.ts';

/** Pinned. New ones go to the end. */
export const CSV_COLUMNS = [
  'entry',
  'leaf',
  'time',
  'kind',
  'agent',
  'session',
  'principal',
  'call',
  'server',
  'tool',
  'effect',
  'would',
  'mode',
  'reason_code',
  'rule',
  'policy_id',
  'policy_version',
  'policy_hash',
  'approval',
  'answer',
  'approver',
  'decision_entry',
  'status',
  'error_type',
  'duration_ms',
  'event',
  'args',
  'reason',
  'message',
  'result',
  'error',
  'grant',
  'when',
  'released',
  'released_would',
  'released_reason_code',
] as const;

export const CSV_HEADER: string = `${CSV_COLUMNS.join(',')}\r\n`;

type Cells = Readonly<Record<(typeof CSV_COLUMNS)[number], string | number | undefined>>;

/** One row with its end. @param decision - the decision it belongs to, if known. */
export function csvRow(facts: RecordFacts, decision: DecisionFacts | undefined, withClearText: boolean): string {
  const tool = facts.tool ?? decision?.tool;
  const shown = (section: string): string | undefined => (withClearText ? clearText(facts, section) : undefined);
  const cells: Cells = {
    entry: facts.index + 1,
    leaf: facts.leaf,
    time: facts.time,
    kind: facts.kind,
    agent: facts.agent,
    session: facts.session,
    principal: facts.principal ?? decision?.principal,
    call: facts.call,
    server: tool?.server,
    tool: tool?.name,
    effect: facts.effect,
    would: facts.would,
    mode: facts.mode,
    reason_code: facts.reasonCode,
    rule: facts.rule,
    policy_id: facts.policy?.id,
    policy_version: facts.policy?.version,
    policy_hash: facts.policy?.hash,
    approval: facts.approval,
    answer: facts.answer,
    approver: facts.approver,
    decision_entry: facts.kind === 'decision' || decision === undefined ? belongsTo(facts) : decision.index + 1,
    status: facts.status,
    error_type: facts.errorType,
    duration_ms: facts.durationMs,
    event: facts.event,
    args: shown('args'),
    reason: shown('reason'),
    message: shown('message'),
    result: shown('result'),
    error: shown('error'),
    grant: facts.grant,
    when: shown('when'),
    released: facts.released?.action,
    released_would: facts.released?.would,
    released_reason_code: facts.released?.reasonCode,
  };
  return `${CSV_COLUMNS.map((column) => cell(cells[column])).join(',')}\r\n`;
}

function belongsTo({ decision }: RecordFacts): number | undefined {
  return decision === undefined ? undefined : decision + 1;
}

function clearText({ shown }: RecordFacts, section: string): string | undefined {
  const value = shown.get(section);
  return value === undefined || typeof value === 'string' ? value : escapeJson(JSON.stringify(value));
}

function cell(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const text = guarded(escapeForTerminal(value));
  return /[",]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Also the full-width forms, which some spreadsheets take for the plain ones. */
function guarded(text: string): string {
  return /^\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
}
