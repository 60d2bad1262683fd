/** Budgets: a limit on count or cost, in a sliding window or for life, per agent, tool, session or principal. */
import type { ToolRef } from '../call.ts';
import { DURATION_HINT, parseDuration } from '../config/duration.ts';
import { CountersignError } from '../errors.ts';
import { compileCost } from '../policy/conditions.ts';
import { compileToolPattern, patternFault } from '../policy/patterns.ts';
import type { PolicyInput } from '../policy/policy.ts';
import { NAME_HINT, NAME_SHAPE } from '../policy/rule-definition.ts';
import type { Charge } from '../store.ts';
import { MICRO, microUnits } from './micro.ts';

export interface Budget {
  readonly id: string;
  readonly per: 'agent' | 'tool' | 'session' | 'principal';
  /** Micro-units. */
  readonly limit: number;
  /** Sliding window; absent = for life. */
  readonly windowMs?: number;
  /** `count`: every call costs one. */
  readonly kind?: 'count' | 'cost';
  matches(tool: Pick<ToolRef, 'server' | 'name'>): boolean;
  /** Micro-units this call costs. Throws when it cannot tell: the call is then refused. */
  cost(input: PolicyInput): number;
}

/** One item of `budgets:` in `countersign.yaml`. */
export interface BudgetDefinition {
  readonly id: string;
  readonly per: Budget['per'];
  /** Calls, or units of cost with at most six decimals. */
  readonly limit: number;
  /** Duration such as `1h`; absent = for life. */
  readonly window?: string | undefined;
  /** Tool patterns; absent = every tool. A bare name matches on any server. */
  readonly tools?: readonly string[] | undefined;
  /** CEL amount of the call, such as `args.amount`; absent = every call costs one. */
  readonly cost?: string | undefined;
}

/** A charge that could not be worked out. The message names the budget and holds no argument value. */
export class BudgetError extends Error {
  override readonly name = 'BudgetError';
}

export const BUDGET_SCOPES: readonly Budget['per'][] = ['agent', 'tool', 'session', 'principal'];
export const MAX_BUDGETS = 100;
const MAX_BUDGET_TOOLS = 200;

/**
 * A budget from its definition.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`, or `CONDITION_INVALID` for its cost.
 */
export function budgetFrom(definition: BudgetDefinition): Budget {
  const { id, per, cost } = definition;
  const [fault] = budgetFaults(definition);
  if (fault !== undefined)
    throw new CountersignError('OPTIONS_INVALID', `budget ${NAME_SHAPE.test(String(id)) ? `"${id}"` : ''}: ${fault.message}`);
  const windowMs = definition.window === undefined ? undefined : parseDuration(definition.window);
  const patterns = definition.tools?.map((tool) => compileToolPattern(tool, 'wide', `budget "${id}"`));
  const costOf = cost === undefined ? () => MICRO : compileCost(cost, `budget "${id}" cost`);
  return {
    id,
    per,
    limit: microUnits(definition.limit),
    ...(windowMs === undefined ? {} : { windowMs }),
    kind: cost === undefined ? 'count' : 'cost',
    matches: (tool) => patterns === undefined || patterns.some((pattern) => pattern.matches(tool)),
    cost: (input) => costOf(input),
  };
}

/** Everything that is wrong with a definition, except its cost expression. */
export function budgetFaults(
  definition: BudgetDefinition,
): readonly { readonly path: readonly (string | number)[]; readonly message: string }[] {
  const faults: { path: (string | number)[]; message: string }[] = [];
  if (typeof definition.id !== 'string' || !NAME_SHAPE.test(definition.id)) faults.push({ path: ['id'], message: `id: ${NAME_HINT}` });
  if (!BUDGET_SCOPES.includes(definition.per)) faults.push({ path: ['per'], message: `per must be one of ${BUDGET_SCOPES.join(', ')}` });
  try {
    microUnits(definition.limit);
  } catch (error) {
    faults.push({ path: ['limit'], message: `limit: ${error instanceof Error ? error.message : 'not an amount'}` });
  }
  if (definition.window !== undefined && (typeof definition.window !== 'string' || parseDuration(definition.window) === undefined)) {
    faults.push({ path: ['window'], message: `window: ${DURATION_HINT}` });
  }
  const { tools } = definition;
  if (tools !== undefined && (!Array.isArray(tools) || tools.length === 0 || tools.length > MAX_BUDGET_TOOLS)) {
    faults.push({ path: ['tools'], message: `tools is a list of 1 to ${MAX_BUDGET_TOOLS} patterns; leave it out for every tool` });
  } else {
    tools?.forEach((pattern: unknown, index) => {
      const wrong = patternFault(pattern);
      if (wrong !== undefined) faults.push({ path: ['tools', index], message: wrong });
    });
  }
  return faults;
}

/** Refuses two budgets with one id: they would share one window. @throws {CountersignError} `OPTIONS_INVALID` */
export function requireDistinctBudgets(budgets: readonly Budget[]): void {
  const seen = new Set<string>();
  for (const { id } of budgets) {
    if (seen.has(id)) throw new CountersignError('OPTIONS_INVALID', `budget "${id}": another budget has this id`);
    seen.add(id);
  }
}

/**
 * What this call costs each budget that covers its tool.
 *
 * @throws {BudgetError} when a cost cannot be worked out, or a budget per principal meets a call without one.
 * @throws {CountersignError} `OPTIONS_INVALID` for two budgets with one id.
 */
export function chargesFor(budgets: readonly Budget[], input: PolicyInput): readonly Charge[] {
  requireDistinctBudgets(budgets);
  return budgets.filter((budget) => covers(budget, input)).map((budget) => chargeOf(budget, input));
}

function covers(budget: Budget, input: PolicyInput): boolean {
  try {
    return budget.matches(input.tool);
  } catch (error) {
    throw new BudgetError(`budget "${budget.id}": its tools could not be matched`, { cause: error });
  }
}

function chargeOf(budget: Budget, input: PolicyInput): Charge {
  const { id, per, limit, windowMs } = budget;
  const cost = costOf(budget, input);
  if (!Number.isSafeInteger(cost) || cost < 0) throw new BudgetError(`budget "${id}": the cost must be a whole number of micro-units`);
  return { id, per, key: keyOf(budget, input), cost, limit, ...(windowMs === undefined ? {} : { window_ms: windowMs }) };
}

function costOf(budget: Budget, input: PolicyInput): number {
  try {
    return budget.cost(input);
  } catch (error) {
    // Errors of ours hold no argument values; those of a hand-written budget may.
    const detail = error instanceof Error && error.name === 'ConditionError' ? `: ${error.message}` : '';
    throw new BudgetError(`budget "${budget.id}": the cost could not be worked out${detail}`, { cause: error });
  }
}

function keyOf(budget: Budget, input: PolicyInput): string {
  switch (budget.per) {
    case 'agent':
      return input.agent;
    case 'session':
      return input.session.id;
    case 'tool': {
      const { server, name } = input.tool;
      return server === undefined || server === '' ? name : `${server}/${name}`;
    }
    case 'principal':
      if (input.principal === undefined || input.principal === '')
        throw new BudgetError(`budget "${budget.id}": the call names no principal`);
      return input.principal;
    default:
      throw new BudgetError(`budget "${String(budget.id)}": per is unknown`);
  }
}
