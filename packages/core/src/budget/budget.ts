/** Budgets: a limit on count or cost, in a sliding window or for life, per agent, tool, session, principal or any key. */
import type { ToolRef } from '../call.ts';
import { DURATION_HINT, MAX_DURATION_MS, parseDuration } from '../config/duration.ts';
import { CountersignError } from '../errors.ts';
import type { BudgetCharge } from '../ledger/entry.ts';
import { compileCost, compileKey } from '../policy/conditions.ts';
import { compileToolPattern, patternFault } from '../policy/patterns.ts';
import type { PolicyInput } from '../policy/policy.ts';
import { NAME_HINT, NAME_SHAPE } from '../policy/rule-definition.ts';
import { MICRO, microUnits } from './micro.ts';

export interface Budget {
  readonly id: string;
  /** `key`: whatever `key` works out. */
  readonly per: BudgetCharge['per'];
  /** Micro-units. */
  readonly limit: number;
  /** Sliding window: a charge at t counts until t + windowMs, exclusive; absent = for life. */
  readonly windowMs?: number;
  /** `count`: every call costs one. */
  readonly kind?: 'count' | 'cost';
  /** `error`: what a call was charged is given back when its outcome is an error. */
  readonly refund?: 'error';
  matches(tool: Pick<ToolRef, 'server' | 'name'>): boolean;
  /** Micro-units this call costs. Throws when it cannot tell: the call is then refused. */
  cost(input: PolicyInput): number;
  /**
   * With `per: 'key'`: whom this call is charged to, 1 to `MAX_KEY_CHARS` characters. Only a MAC of it is recorded. Throws
   * when it cannot tell, and must not hold a redacted value: the call is then refused.
   */
  key?(input: PolicyInput): string;
}

/** One item of `budgets:` in `countersign.yaml`. */
export interface BudgetDefinition {
  readonly id: string;
  /** One of `per` and `key`. */
  readonly per?: (typeof BUDGET_SCOPES)[number] | undefined;
  /** CEL text of the call, such as `args.customer`: each value has a window of its own. */
  readonly key?: string | undefined;
  /** Calls, or units of cost with at most six decimals. */
  readonly limit: number;
  /** Duration such as `1h`; absent = for life. */
  readonly window?: string | undefined;
  /** Tool patterns; absent = every tool. A bare name matches on any server. */
  readonly tools?: readonly string[] | undefined;
  /** CEL amount of the call, such as `args.amount`; absent = every call costs one. */
  readonly cost?: string | undefined;
  /** `error`: a call whose outcome is an error gets back what it was charged; absent = never. */
  readonly refund?: (typeof REFUNDS)[number] | undefined;
}

/** A charge that could not be worked out. The message names the budget and holds no argument value. */
export class BudgetError extends Error {
  override readonly name = 'BudgetError';
}

export const BUDGET_SCOPES = ['agent', 'tool', 'session', 'principal'] as const;
export const REFUNDS = ['error'] as const;
export const MAX_BUDGETS = 100;
const MAX_BUDGET_TOOLS = 200;

/**
 * A budget from its definition.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`, or `CONDITION_INVALID` for its cost or key.
 */
export function budgetFrom(definition: BudgetDefinition): Budget {
  const { id, per, key, cost, refund } = definition;
  const [fault] = budgetFaults(definition);
  if (fault !== undefined)
    throw new CountersignError('OPTIONS_INVALID', `budget ${NAME_SHAPE.test(String(id)) ? `"${id}"` : ''}: ${fault.message}`);
  const windowMs = definition.window === undefined ? undefined : parseDuration(definition.window);
  const patterns = definition.tools?.map((tool) => compileToolPattern(tool, 'wide', `budget "${id}"`));
  const costOf = cost === undefined ? () => MICRO : compileCost(cost, `budget "${id}" cost`);
  const keyOf = key === undefined ? undefined : compileKey(key, `budget "${id}" key`);
  return {
    id,
    per: per ?? 'key',
    limit: microUnits(definition.limit),
    ...(windowMs === undefined ? {} : { windowMs }),
    kind: cost === undefined ? 'count' : 'cost',
    ...(refund !== undefined && { refund }),
    matches: (tool) => patterns === undefined || patterns.some((pattern) => pattern.matches(tool)),
    cost: (input) => costOf(input),
    ...(keyOf !== undefined && { key: (input) => keyOf(input) }),
  };
}

interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Everything that is wrong with a definition, except its expressions. */
export function budgetFaults(definition: BudgetDefinition): readonly Fault[] {
  const faults: Fault[] = [];
  if (typeof definition.id !== 'string' || !NAME_SHAPE.test(definition.id)) faults.push({ path: ['id'], message: `id: ${NAME_HINT}` });
  faults.push(...scopeFaults(definition));
  try {
    microUnits(definition.limit);
  } catch (error) {
    faults.push({ path: ['limit'], message: `limit: ${error instanceof Error ? error.message : 'not an amount'}` });
  }
  if (definition.window !== undefined && (typeof definition.window !== 'string' || parseDuration(definition.window) === undefined)) {
    faults.push({ path: ['window'], message: `window: ${DURATION_HINT}` });
  }
  if (definition.refund !== undefined && !REFUNDS.includes(definition.refund)) {
    faults.push({ path: ['refund'], message: 'refund must be error; leave it out when nothing is given back' });
  }
  return [...faults, ...toolFaults(definition.tools)];
}

function scopeFaults({ per, key }: BudgetDefinition): readonly Fault[] {
  const scopes = BUDGET_SCOPES.join(', ');
  if (per !== undefined && !BUDGET_SCOPES.includes(per)) return [{ path: ['per'], message: `per must be one of ${scopes}` }];
  if (per !== undefined && key !== undefined) return [{ path: ['key'], message: 'a budget has per or key: remove one of the two' }];
  if (per === undefined && key === undefined) return [{ path: [], message: `give per (one of ${scopes}) or key (a CEL text of the call)` }];
  if (key !== undefined && typeof key !== 'string') return [{ path: ['key'], message: 'key is a CEL expression, such as args.customer' }];
  return [];
}

function toolFaults(tools: BudgetDefinition['tools']): readonly Fault[] {
  if (tools === undefined) return [];
  if (!Array.isArray(tools) || tools.length === 0 || tools.length > MAX_BUDGET_TOOLS) {
    return [{ path: ['tools'], message: `tools is a list of 1 to ${MAX_BUDGET_TOOLS} patterns; leave it out for every tool` }];
  }
  return tools.flatMap((pattern: unknown, index): Fault[] => {
    const wrong = patternFault(pattern);
    return wrong === undefined ? [] : [{ path: ['tools', index], message: wrong }];
  });
}

/**
 * Refuses what would not be counted as it is meant: two budgets with one id, which would share one window, and figures of
 * hand-written budgets that no comparison holds (`NaN` is below every limit).
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function requireUsableBudgets(budgets: readonly Budget[]): void {
  const fail = (message: string): never => {
    throw new CountersignError('OPTIONS_INVALID', message);
  };
  if (!Array.isArray(budgets) || budgets.length > MAX_BUDGETS) fail(`budgets is a list of at most ${MAX_BUDGETS} budgets`);
  const seen = new Set<string>();
  for (const budget of budgets) {
    const { id } = budget;
    if (typeof id !== 'string' || !NAME_SHAPE.test(id)) fail(`a budget has no usable id: ${NAME_HINT}`);
    if (seen.has(id)) fail(`budget "${id}": another budget has this id`);
    seen.add(id);
    const fault = figureFault(budget);
    if (fault !== undefined) fail(`budget "${id}": ${fault}`);
  }
}

function figureFault(budget: Budget): string | undefined {
  const { per, limit, windowMs, refund } = budget;
  const isScope = per === 'key' || (BUDGET_SCOPES as readonly string[]).includes(per);
  if (!isScope) return `per must be one of ${BUDGET_SCOPES.join(', ')}, key`;
  if (!Number.isSafeInteger(limit) || limit < 0) return 'limit must be a whole number of micro-units, 0 or more';
  if (windowMs !== undefined && !(Number.isSafeInteger(windowMs) && windowMs > 0 && windowMs <= MAX_DURATION_MS))
    return `windowMs must be whole milliseconds, 1 to ${MAX_DURATION_MS}; leave it out for life`;
  if (refund !== undefined && refund !== 'error') return 'refund must be error, or absent';
  if (typeof budget.matches !== 'function' || typeof budget.cost !== 'function') return 'it needs matches() and cost()';
  if ((per === 'key') !== (typeof budget.key === 'function')) return 'per: key and a function key() belong together';
  return undefined;
}
