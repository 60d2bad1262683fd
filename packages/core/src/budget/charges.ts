/** What a call costs each budget that covers its tool. Budgets may be somebody's code: nothing they return is trusted. */
import type { PolicyInput } from '../policy/policy.ts';
import type { Charge } from '../store-units.ts';
import { type Budget, BudgetError, requireUsableBudgets } from './budget.ts';
import { type BudgetKeys, keyFault } from './key.ts';

/**
 * @param keys - MACs under the store's secret.
 * @throws {BudgetError} when a cost or a key cannot be worked out, or a budget per principal meets a call without one.
 * @throws {CountersignError} `OPTIONS_INVALID` for budgets that could not be counted.
 */
export function chargesFor(budgets: readonly Budget[], input: PolicyInput, keys: Pick<BudgetKeys, 'of'>): readonly Charge[] {
  requireUsableBudgets(budgets);
  return budgets.filter((budget) => covers(budget, input)).map((budget) => chargeOf(budget, input, keys));
}

function covers(budget: Budget, input: PolicyInput): boolean {
  const matches = ask(budget, 'its tools could not be matched', () => budget.matches(input.tool));
  if (typeof matches !== 'boolean') throw new BudgetError(`budget "${budget.id}": matches() must return true or false`);
  return matches;
}

function chargeOf(budget: Budget, input: PolicyInput, keys: Pick<BudgetKeys, 'of'>): Charge {
  const { id, per, limit, windowMs } = budget;
  const cost = ask(budget, 'the cost could not be worked out', () => budget.cost(input));
  if (!Number.isSafeInteger(cost) || cost < 0) throw new BudgetError(`budget "${id}": the cost must be a whole number of micro-units`);
  return { id, per, key: keyOf(budget, input, keys), cost, limit, ...(windowMs === undefined ? {} : { window_ms: windowMs }) };
}

function keyOf(budget: Budget, input: PolicyInput, keys: Pick<BudgetKeys, 'of'>): string {
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
    case 'key': {
      const value = ask(budget, 'the key could not be worked out', () => budget.key?.(input));
      const fault = keyFault(value);
      if (fault !== undefined) throw new BudgetError(`budget "${budget.id}": ${fault}`);
      return keys.of(budget.id, value as string);
    }
  }
}

function ask<T>(budget: Budget, fault: string, question: () => T): T {
  let answer: T;
  try {
    answer = question();
  } catch (error) {
    // Errors of ours hold no argument values; those of a hand-written budget may.
    const detail = error instanceof Error && error.name === 'ConditionError' ? `: ${error.message}` : '';
    throw new BudgetError(`budget "${budget.id}": ${fault}${detail}`, { cause: error });
  }
  // A promise is no answer here. One that rejects would end the process when nobody listens.
  if (answer instanceof Promise) answer.catch(() => undefined);
  return answer;
}
