import { type Budget, type BudgetStatus, budgetStatus, CountersignError, didYouMean } from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';
import { amount } from '../amount.ts';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { type Column, tableLines } from '../table.ts';
import { instant, span } from '../time.ts';

/** Rows for people; the rest is counted. */
const MAX_LISTED = 50;
/** Keys of each budget with --json. */
const MAX_JSON_KEYS = 1000;
const MAC_CHARS = 12;
const KEY_HINT = 'give the value as the expression of the budget works it out, 1 to 1024 characters';
const COLUMNS: readonly Column[] = [
  { title: 'BUDGET', minWidth: 8 },
  { title: 'PER', minWidth: 5 },
  { title: 'KEY', minWidth: 6 },
  { title: 'FULL' },
  { title: 'USED' },
  { title: 'LEFT' },
  { title: 'LIMIT' },
  { title: 'WINDOW', minWidth: 6 },
  { title: 'FREES', minWidth: 8 },
];

export const budgetsCommand: Command = {
  name: 'budgets',
  summary: 'show what is used and left of each budget',
  positionals: [],
  options: [
    { name: 'budget', kind: 'text', value: 'ID', about: 'this budget only' },
    { name: 'key', kind: 'text', value: 'VALUE', about: 'one agent, tool, session, principal, or value of a `key:` budget' },
  ],
  notes: [
    'The fullest come first. FREES says when the oldest charge leaves the window, and how much that gives.',
    'Keys of `key:` budgets are recorded as MACs: --key works out which one a value is, with the secret in the ledger.',
  ],
  example: 'countersign budgets --budget refund-total',
  async run({ io, output, flags }) {
    const { budgets, ledger } = configOf({ io, flags });
    const only = flags.text('budget');
    const key = flags.text('key');
    if (only !== undefined && !budgets.some(({ id }) => id === only)) throw unknownBudget(only, budgets);
    if (budgets.length === 0) {
      output.result({ budgets: [] });
      output.line('no budgets are configured');
      output.line('Add some under `budgets:` in the configuration, such as `- { id: calls, per: agent, limit: 100, window: 1h }`');
      return EXIT.OK;
    }
    const reader = readLedger(ledger.path);
    try {
      const filter = { limit: MAX_JSON_KEYS, ...(only !== undefined && { budget: only }), ...(key !== undefined && { key }) };
      const all = await budgetStatus(budgets, reader, filter).catch((error: unknown) => {
        throw CountersignError.is(error) && error.code === 'OPTIONS_INVALID' ? new UsageError(`--key: ${error.message}`, KEY_HINT) : error;
      });
      // A customer is no agent: of budgets nobody asked for by name, those that know the value are shown.
      const shown = key === undefined || only !== undefined ? all : all.filter(({ per, keys }) => per === 'key' || isUsed(keys));
      output.result({ budgets: shown.map(statusJson) });
      for (const line of listLines(shown, output.isTerminal ? output.columns : undefined)) output.line(line);
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

function isUsed(keys: BudgetStatus['keys']): boolean {
  return keys.some(({ used }) => used !== 0);
}

function unknownBudget(id: string, budgets: readonly Budget[]): UsageError {
  const ids = budgets.map((budget) => budget.id);
  const next = ids.length === 0 ? 'no budgets are configured' : `configured are ${ids.join(', ')}`;
  return new UsageError(`no budget has the id ${JSON.stringify(id)}${didYouMean(id, ids)}`, next);
}

/** Amounts in micro-units: exact, whatever reads them. */
function statusJson({ id, per, kind, limit, windowMs, refund, keys, more }: BudgetStatus): object {
  return {
    id,
    per,
    kind: kind ?? 'cost',
    limit,
    window_ms: windowMs ?? null,
    refund: refund ?? null,
    keys: keys.map(({ key, used, left, frees }) => ({
      key,
      used,
      left,
      frees: frees === undefined ? null : { at: instant(frees.atMs), amount: frees.amount },
    })),
    more_keys: more,
  };
}

interface Row {
  readonly cells: readonly string[];
  readonly full: number;
}

function listLines(all: readonly BudgetStatus[], columns: number | undefined): readonly string[] {
  const nowMs = Date.now();
  if (all.length === 0) return ['no budget knows this key'];
  const rows = all.flatMap((status) => rowsOf(status, nowMs)).toSorted((a, b) => b.full - a.full);
  const shown = rows.slice(0, MAX_LISTED);
  const hidden = rows.length - shown.length + all.reduce((sum, { more }) => sum + more, 0);
  const hasMacs = all.some(({ per, keys }) => per === 'key' && keys.length > 0);
  return [
    ...tableLines(
      COLUMNS,
      shown.map(({ cells }) => cells),
      columns,
    ),
    ...(hidden > 0 ? [`… ${hidden} more keys, less full; --key VALUE shows one, --json the ${MAX_JSON_KEYS} fullest of each budget`] : []),
    ...(hasMacs ? ['', '# is the beginning of a MAC: find a value with --key VALUE'] : []),
  ];
}

/** One row for each key; one for a budget that nobody has used. */
function rowsOf({ id, per, limit, windowMs, keys }: BudgetStatus, nowMs: number): readonly Row[] {
  const window = windowMs === undefined ? 'for life' : span(windowMs);
  const listed = keys.length === 0 ? [{ key: undefined, used: 0, left: limit }] : keys;
  return listed.map((each) => {
    const full = limit === 0 ? Number(each.used > 0) : each.used / limit;
    const frees = 'frees' in each && each.frees !== undefined ? `${amount(each.frees.amount)} in ${span(each.frees.atMs - nowMs)}` : '-';
    const key = each.key === undefined ? '-' : per === 'key' ? `#${each.key.slice(0, MAC_CHARS)}` : safe(each.key);
    const percent = `${Math.floor(full * 100)}%`;
    return { full, cells: [safe(id), per, key, percent, amount(each.used), amount(each.left), amount(limit), window, frees] };
  });
}
