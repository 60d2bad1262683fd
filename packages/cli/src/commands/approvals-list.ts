import type { ApprovalCounts, ApprovalFilter, ApprovalState } from '@countersign/core';
import { didYouMean } from '@countersign/core';
import { type ApprovalView, type LedgerReader, readLedger } from '@countersign/core/sqlite';
import { approvalJson, findApproval, toolName } from '../approval-lookup.ts';
import type { Command, Flags, Option } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { grantJson, grantListLines } from '../grant-lookup.ts';
import { type Output, safe } from '../output.ts';
import { type Column, tableLines } from '../table.ts';
import { span } from '../time.ts';

const STATES: readonly (ApprovalState | 'all')[] = ['pending', 'approved', 'denied', 'expired', 'failed', 'consumed', 'all'];
const ID_CHARS = 8;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
/** On narrower terminals the columns people can do without are left out. */
const NARROW = 60;
const NARROWEST = 40;

/** What an agent asked for, of whichever approvals. */
export const APPROVAL_FILTER_OPTIONS: readonly Option[] = [
  { name: 'agent', kind: 'text', value: 'A', about: 'calls of this agent' },
  { name: 'session', kind: 'text', value: 'S', about: 'calls of this session' },
  { name: 'tool', kind: 'text', value: 'T', about: 'calls of this tool: server/name; a name alone on any server' },
];

export const approvalsList: Command = {
  name: 'approvals list',
  summary: 'show the calls that wait for a person',
  positionals: [],
  options: [
    { name: 'state', kind: 'text', value: 'S', about: `${STATES.join(', ')}; default pending` },
    ...APPROVAL_FILTER_OPTIONS,
    { name: 'limit', kind: 'text', value: 'N', about: `at most so many; default ${DEFAULT_LIMIT}, at most ${MAX_LIMIT}` },
    { name: 'after', kind: 'text', value: 'ID', about: 'the next page: what comes after this approval' },
    { name: 'grants', kind: 'switch', about: 'what was granted instead: used, left, by whom' },
  ],
  notes: ['What waits longest comes first; of what is over, the newest. With --json, `next` is the id to give to --after, or null.'],
  example: 'countersign approvals list --state all',
  async run({ io, output, flags }) {
    const state = stateOf(flags.text('state') ?? 'pending');
    const filter = { ...approvalFilterOf(flags), ...(state !== 'all' && { state }) };
    const limit = limitOf(flags.text('limit'));
    const { ledger } = configOf({ io, flags });
    const reader = readLedger(ledger.path);
    try {
      if (flags.on('grants')) return listGrants(reader, output);
      const given = flags.text('after');
      const after = given === undefined ? undefined : findApproval(reader, given).id;
      const rows = reader.approvals({ ...filter, limit, ...(after !== undefined && { after }) });
      const last = rows.at(-1);
      const isMore = last !== undefined && rows.length === limit && reader.approvals({ ...filter, limit: 1, after: last.id }).length > 0;
      const counts = reader.approvalCounts(filter);
      output.result({ approvals: rows.map(approvalJson), counts, next: isMore ? last.id : null });
      const columns = output.isTerminal ? output.columns : undefined;
      const lines = rows.length === 0 ? emptyLines(state, filter, after) : listLines(rows, columns);
      for (const line of lines) output.line(line);
      if (isMore) output.line(moreLine(last, rows.length, numberOf(state, counts), after));
      if (rows.length > 0) output.line('details: countersign approvals show <id>');
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

function listGrants(reader: LedgerReader, output: Output): number {
  const rows = reader.grants();
  output.result({ grants: rows.map(grantJson) });
  for (const line of grantListLines(rows, output.isTerminal ? output.columns : undefined)) output.line(line);
  return EXIT.OK;
}

export function approvalFilterOf(flags: Flags): ApprovalFilter {
  const [agent, session, tool] = ['agent', 'session', 'tool'].map((name) => flags.text(name));
  return { ...(agent !== undefined && { agent }), ...(session !== undefined && { session }), ...(tool !== undefined && { tool }) };
}

function stateOf(given: string): ApprovalState | 'all' {
  const state = STATES.find((known) => known === given);
  if (state === undefined) {
    throw new UsageError(`unknown state ${JSON.stringify(given)}${didYouMean(given, STATES)}`, `use one of ${STATES.join(', ')}`);
  }
  return state;
}

function limitOf(given: string | undefined): number {
  if (given === undefined) return DEFAULT_LIMIT;
  const limit = Number(given);
  if (!/^[0-9]{1,6}$/.test(given) || limit < 1 || limit > MAX_LIMIT)
    throw new UsageError(`--limit takes a whole number from 1 to ${MAX_LIMIT}`, 'for the rest, give the last id to --after');
  return limit;
}

function emptyLines(state: ApprovalState | 'all', filter: ApprovalFilter, after: string | undefined): readonly string[] {
  const what = state === 'all' ? 'approvals' : `${state} approvals`;
  if (after !== undefined) return [`no ${what} after this one`];
  const isNarrowed = ['agent', 'session', 'tool'].some((name) => Object.hasOwn(filter, name));
  if (isNarrowed)
    return [`no ${what} like this in this ledger`, 'Names are compared whole: leave out --agent, --session or --tool to see more.'];
  return [
    `no ${what} in this ledger`,
    state === 'pending'
      ? 'A call waits here when a rule says `effect: require_approval`; older ones: countersign approvals list --state all'
      : 'What waits now: countersign approvals list',
  ];
}

interface Cell extends Column {
  readonly of: (row: ApprovalView, nowMs: number) => string;
  /** Left out on terminals narrower than this. */
  readonly from?: number;
}

const CELLS: readonly Cell[] = [
  { title: 'ID', of: (row) => safe(row.id).slice(0, ID_CHARS) },
  { title: 'STATE', from: NARROWEST, of: (row) => (row.mismatches.length > 0 ? `${safe(row.state)}!` : safe(row.state)) },
  { title: 'AGE', from: NARROW, of: (row, nowMs) => span(nowMs - row.createdAtMs) },
  { title: 'EXPIRES', of: (row, nowMs) => (row.state === 'pending' ? `in ${span(row.expiresAtMs - nowMs)}` : '-') },
  { title: 'AGENT', minWidth: 8, from: NARROW, of: (row) => safe(row.agent) },
  { title: 'TOOL', minWidth: 12, of: (row) => safe(toolName(row)) },
  { title: 'RULE', minWidth: 6, from: NARROW, of: (row) => safe(row.rule ?? '-') },
];

function listLines(rows: readonly ApprovalView[], columns: number | undefined): readonly string[] {
  const nowMs = Date.now();
  const cells = CELLS.filter(({ from = 0 }) => columns === undefined || columns >= from);
  const table = rows.map((row) => cells.map((cell) => cell.of(row, nowMs)));
  const isAltered = rows.some(({ mismatches }) => mismatches.length > 0);
  return [
    ...tableLines(cells, table, columns),
    ...(isAltered ? ['', '! differs from the ledger: run `countersign approvals show <id>`'] : []),
    '',
  ];
}

/** Rows may say anything: an id that is none is not put into a command to copy. */
function moreLine({ id }: ApprovalView, shown: number, all: number, after: string | undefined): string {
  const how = after === undefined ? `${all - shown} more of ${all}` : `more of ${all}`;
  return `${how}: countersign approvals list --after ${/^[0-9a-f]{32}$/.test(id) ? id : 'ID'}`;
}

function numberOf(state: ApprovalState | 'all', counts: ApprovalCounts): number {
  return state === 'all' ? Object.values(counts).reduce((sum, count) => sum + count, 0) : counts[state];
}
