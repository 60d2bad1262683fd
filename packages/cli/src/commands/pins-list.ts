import type { PinState } from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { safe } from '../output.ts';
import { flagsText, pinJson, pinName, pinWord, trustText } from '../pin-lookup.ts';
import { type Column, tableLines } from '../table.ts';
import { span } from '../time.ts';

const MAX_LISTED = 500;
/** On narrower terminals the columns people can do without are left out. */
const NARROW = 60;

export const pinsList: Command = {
  name: 'pins list',
  summary: 'show the tools of MCP servers, as they are trusted',
  positionals: [],
  options: [
    { name: 'server', kind: 'text', value: 'S', about: 'tools of this server' },
    { name: 'changed', kind: 'switch', about: 'only those that are declared otherwise by now' },
  ],
  notes: [
    'A tool is trusted as it is declared when it is first listed. CHANGED: its server declared it otherwise since, and nobody accepted that; `mcp.pins` says what is done about its calls. FLAGS are what a person should look at, told by heuristics.',
  ],
  example: 'countersign pins list --changed',
  async run({ io, output, flags }) {
    const reader = readLedger(configOf({ io, flags }).ledger.path);
    try {
      const server = flags.text('server');
      const all = reader.pins().filter((state) => server === undefined || state.server === server);
      const pins = flags.on('changed') ? all.filter(({ offered }) => offered.length > 0) : all;
      output.result({ pins: pins.map(pinJson) });
      const columns = output.isTerminal ? output.columns : undefined;
      const lines = pins.length === 0 ? emptyLines(server, all.length) : listLines(pins, columns);
      for (const line of lines) output.line(line);
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

function emptyLines(server: string | undefined, others: number): readonly string[] {
  if (others > 0) return [`no tool changed: ${others} ${others === 1 ? 'is' : 'are'} declared as they are trusted`];
  if (server !== undefined)
    return [`no tool of a server named ${safe(server)} is pinned in this ledger`, 'All there are: countersign pins list'];
  return ['no tool is pinned in this ledger', 'Tools are pinned when an MCP client lists them through `countersign proxy`.'];
}

interface Cell extends Column {
  readonly of: (state: PinState, nowMs: number) => string;
  /** Left out on terminals narrower than this. */
  readonly from?: number;
}

const CELLS: readonly Cell[] = [
  { title: 'TOOL', minWidth: 14, of: (state) => safe(pinName(state)) },
  { title: 'STATE', of: pinWord },
  { title: 'SINCE', from: NARROW, of: ({ sinceMs }, nowMs) => `${span(nowMs - sinceMs)} ago` },
  { title: 'BY', minWidth: 6, from: NARROW, of: (state) => safe(trustText(state)) },
  { title: 'FLAGS', minWidth: 5, of: flagsText },
];

function listLines(pins: readonly PinState[], columns: number | undefined): readonly string[] {
  const nowMs = Date.now();
  const cells = CELLS.filter(({ from = 0 }) => columns === undefined || columns >= from);
  const shown = pins.slice(0, MAX_LISTED);
  return [
    ...tableLines(
      cells,
      shown.map((state) => cells.map((cell) => cell.of(state, nowMs))),
      columns,
    ),
    ...(pins.length > shown.length ? [`… ${pins.length - shown.length} more; --json lists all`] : []),
    '',
    'details: countersign pins show SERVER/TOOL',
  ];
}
