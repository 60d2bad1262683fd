import { describe, expect, it } from 'vitest';
import { allowAll, budgetFrom } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

describe('the declared cost of a call', () => {
  const budgets = [budgetFrom({ id: 'money', per: 'agent', limit: 10, cost: 'cost' })];

  it('of a wrapped tool is charged to budgets that ask for it', async () => {
    const guard = guardOn(memoryStore(), { policy: allowAll(), budgets });
    const buy = guard.tool('buy', ({ units }: { units: number }) => units, { cost: ({ units }) => units * 1_000_000 });
    expect(await buy({ units: 9 })).toBe(9);
    await expect(buy({ units: 2 })).rejects.toMatchObject({ refusal: { decision: { reasonCode: 'BUDGET_EXCEEDED_AGENT_RATE' } } });
    expect(await buy({ units: 1 })).toBe(1);
  });

  it('that is missing is no zero', async () => {
    const guard = guardOn(memoryStore(), { policy: allowAll(), budgets });
    expect(await guard.authorize({ tool: { name: 'buy' }, args: {} })).toMatchObject({
      decision: { reasonCode: 'BUDGET_EVALUATION_FAILED' },
    });
  });

  it.each([Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY])('of %s micro-units is refused', async (cost) => {
    const guard = guardOn(memoryStore(), { policy: allowAll(), budgets });
    expect(await guard.authorize({ tool: { name: 'buy' }, args: {}, cost })).toMatchObject({
      decision: { reasonCode: 'ARGUMENTS_INVALID' },
    });
  });
});
