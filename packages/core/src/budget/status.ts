/** What is left of each budget: for people, and for code that wants to ask before it is refused. */
import { CountersignError } from '../errors.ts';
import type { Budget } from './budget.ts';
import { budgetKey, keyFault } from './key.ts';
import type { BudgetQuery, BudgetUse, KeyUse } from './use.ts';

/** Amounts are micro-units: one call of a counting budget is 1,000,000. */
export interface BudgetStatus extends Pick<Budget, 'id' | 'per' | 'limit' | 'windowMs' | 'kind' | 'refund'> {
  /** The fullest first. */
  readonly keys: readonly (KeyUse & {
    /** Below zero where audit mode let calls run, or the limit was lowered. */
    readonly left: number;
  })[];
  /** Keys that use something and are not listed. */
  readonly more: number;
}

export interface BudgetsFilter {
  /** Id of one budget. */
  readonly budget?: string;
  /** One name, or what a budget by key works out, such as a customer: listed also when it uses nothing. */
  readonly key?: string;
  /** Most keys of each budget; default 100, at most `MAX_KEYS_LISTED`. */
  readonly limit?: number;
}

export const MAX_KEYS_LISTED = 10_000;
const DEFAULT_KEYS_LISTED = 100;

/** What a store or a reader gives. */
export interface BudgetSource {
  budgetUse(query: BudgetQuery): BudgetUse | Promise<BudgetUse>;
  /** HMAC under the ledger's secret, hex. */
  mac(text: string): string;
}

/**
 * What is used and left of each budget now. Nothing is reserved: a call may find less.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for a budget there is not, a key no call could have, or a limit out of range.
 */
export async function budgetStatus(
  budgets: readonly Budget[],
  source: BudgetSource,
  filter: BudgetsFilter = {},
): Promise<readonly BudgetStatus[]> {
  const { budget: only, limit = DEFAULT_KEYS_LISTED } = filter;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_KEYS_LISTED)
    throw new CountersignError('OPTIONS_INVALID', `limit must be a whole number from 1 to ${MAX_KEYS_LISTED}`);
  const asked = only === undefined ? budgets : budgets.filter(({ id }) => id === only);
  if (only !== undefined && asked.length === 0) throw new CountersignError('OPTIONS_INVALID', 'no budget has this id');
  const all: BudgetStatus[] = [];
  for (const budget of asked) all.push(await statusOf(budget, source, filter.key, limit));
  return all;
}

async function statusOf(budget: Budget, source: BudgetSource, name: string | undefined, limit: number): Promise<BudgetStatus> {
  const { id, per, windowMs, kind, refund } = budget;
  const key = name === undefined ? undefined : recordedKey(budget, name, source);
  const used = await source.budgetUse({
    budget: id,
    limit,
    ...(windowMs !== undefined && { windowMs }),
    ...(key !== undefined && { key }),
  });
  const listed = used.keys.length === 0 && key !== undefined ? [{ key, used: 0 }] : used.keys;
  return {
    id,
    per,
    limit: budget.limit,
    ...(windowMs !== undefined && { windowMs }),
    ...(kind !== undefined && { kind }),
    ...(refund !== undefined && { refund }),
    keys: listed.map((each) => ({ ...each, left: budget.limit - each.used })),
    more: Math.max(0, used.count - used.keys.length),
  };
}

function recordedKey({ id, per }: Budget, name: string, source: BudgetSource): string {
  if (per !== 'key') return name;
  const fault = keyFault(name);
  if (fault !== undefined) throw new CountersignError('OPTIONS_INVALID', `budget "${id}": ${fault}`);
  return budgetKey(id, name, (text) => source.mac(text));
}
