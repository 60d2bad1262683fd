import type { ApprovalState } from '@countersign/core';
import { didYouMean } from '@countersign/core';
import { type ApprovalView, readLedger } from '@countersign/core/sqlite';
import { approvalJson, toolName } from '../approval-lookup.ts';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { type Column, tableLines } from '../table.ts';
import { span } from '../time.ts';

const STATES: readonly (ApprovalState | 'all')[] = ['pending', 'approved', 'denied', 'expired', 'failed', 'consumed', 'all'];
const ID_CHARS = 8;
const MAX_LISTED = 200;
const COLUMNS: readonly Column[] = [
  { title: 'ID' },
  { title: 'STATE' },
  { title: 'AGE' },
  { title: 'EXPIRES' },
  { title: 'AGENT', minWidth: 8 },
  { title: 'TOOL', minWidth: 12 },
  { title: 'RULE', minWidth: 6 },
];

export const approvalsList: Command = {
  name: 'approvals list',
  summary: 'show the calls that wait for a person',
  positionals: [],
  options: [{ name: 'state', kind: 'text', value: 'S', about: `${STATES.join(', ')}; default pending` }],
  example: 'countersign approvals list --state all',
  async run({ io, output, flags }) {
    const state = stateOf(flags.text('state') ?? 'pending');
    const { ledger } = configOf({ io, flags });
    const reader = readLedger(ledger.path);
    try {
      const rows = reader.approvals(state === 'all' ? {} : { state });
      output.result({ approvals: rows.map(approvalJson) });
      const lines = rows.length === 0 ? emptyLines(state) : listLines(rows, output.isTerminal ? output.columns : undefined);
      for (const line of lines) output.line(line);
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

function stateOf(given: string): ApprovalState | 'all' {
  const state = STATES.find((known) => known === given);
  if (state === undefined) {
    throw new UsageError(`unknown state ${JSON.stringify(given)}${didYouMean(given, STATES)}`, `use one of ${STATES.join(', ')}`);
  }
  return state;
}

function emptyLines(state: ApprovalState | 'all'): readonly string[] {
  const what = state === 'all' ? 'no approvals' : `no ${state} approvals`;
  return [
    `${what} in this ledger`,
    state === 'pending'
      ? 'A call waits here when a rule says `effect: require_approval`; older ones: countersign approvals list --state all'
      : 'What waits now: countersign approvals list',
  ];
}

function listLines(rows: readonly ApprovalView[], columns: number | undefined): readonly string[] {
  const nowMs = Date.now();
  const shown = rows.slice(0, MAX_LISTED);
  const cells = shown.map((row) => [
    safe(row.id).slice(0, ID_CHARS),
    row.mismatches.length > 0 ? `${safe(row.state)}!` : safe(row.state),
    span(nowMs - row.createdAtMs),
    row.state === 'pending' ? `in ${span(row.expiresAtMs - nowMs)}` : '-',
    safe(row.agent),
    safe(toolName(row)),
    safe(row.rule ?? '-'),
  ]);
  return [
    ...tableLines(COLUMNS, cells, columns),
    ...(rows.length > shown.length ? [`… ${rows.length - shown.length} more; --json lists all`] : []),
    ...(shown.some(({ mismatches }) => mismatches.length > 0)
      ? ['', '! differs from the ledger: run `countersign approvals show <id>`']
      : []),
    '',
    'details: countersign approvals show <id>',
  ];
}
