import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Budget, type BudgetDefinition, BudgetError, budgetFrom } from '../../src/budget/budget.ts';
import { chargesFor as chargesUnder } from '../../src/budget/charges.ts';
import { BudgetKeys } from '../../src/budget/key.ts';
import { microUnits } from '../../src/budget/micro.ts';
import { CountersignError } from '../../src/errors.ts';
import type { PolicyInput } from '../../src/policy/policy.ts';
import type { Charge } from '../../src/store-units.ts';
import { policyInput } from '../policy/input.ts';

describe('micro-units', () => {
  it.each([
    [0, 0],
    [-0, 0],
    [1, 1_000_000],
    [0.1, 100_000],
    [0.000001, 1],
    [1e-6, 1],
    [1.5e3, 1_500_000_000],
    [19.99, 19_990_000],
    [1.005, 1_005_000],
    [9007199254.74, 9_007_199_254_740_000],
  ])('%s is %s', (amount, expected) => expect(microUnits(amount)).toBe(expected));

  it.each([
    NaN,
    Infinity,
    -Infinity,
    -1,
    -1e-9,
    1e-7,
    0.1 + 0.2,
    0.0000015,
    1 / 3,
    9007199254.740992,
    1e10,
    1e21,
    Number.MAX_VALUE,
    Number.MIN_VALUE,
  ])('%s is refused', (amount) => expect(() => microUnits(amount)).toThrow(RangeError));

  it('is the inverse of dividing by a million, for every amount it accepts', () => {
    const property = fc.property(fc.integer({ min: 0, max: 999_999_999_999_999 }), (units) => microUnits(Number(`${units}e-6`)) === units);
    expect(fc.check(property).failed).toBe(false);
  });

  it('never rounds: what it accepts has at most six decimals', () => {
    const property = fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (amount) => {
      let units: number;
      try {
        units = microUnits(amount);
      } catch {
        return true;
      }
      return Number(`${units}e-6`) === amount;
    });
    expect(fc.check(property).failed).toBe(false);
  });
});

const mac = (text: string): string => createHmac('sha256', 'a secret').update(text).digest('hex');
const chargesFor = (budgets: readonly Budget[], input: PolicyInput): readonly Charge[] => chargesUnder(budgets, input, new BudgetKeys(mac));

const CALLS: BudgetDefinition = { id: 'calls', per: 'agent', limit: 100, window: '1h' };
const TOTAL: BudgetDefinition = { id: 'total', per: 'tool', limit: 0.5, tools: ['refund'], cost: 'args.amount' };

describe('budgets', () => {
  it('counts calls at one unit each', () => {
    const budget = budgetFrom(CALLS);
    expect(budget).toMatchObject({ id: 'calls', per: 'agent', limit: 100_000_000, windowMs: 3_600_000, kind: 'count' });
    expect(budget.cost(policyInput())).toBe(1_000_000);
    expect(budgetFrom(TOTAL)).not.toHaveProperty('windowMs');
  });

  it('covers a bare name on every server, however it is written', () => {
    const budget = budgetFrom(TOTAL);
    for (const tool of [{ name: 'refund' }, { server: 'bank', name: 'refund' }]) expect(budget.matches(tool)).toBe(true);
    for (const name of ['refund2', '', 'REFUND', '*']) expect(budget.matches({ name })).toBe(false);
    for (const name of ['', 'a/b', '*']) expect(budgetFrom(CALLS).matches({ name })).toBe(true);
  });

  it.each([
    [{ ...CALLS, id: '' }, 'id'],
    [{ ...CALLS, id: 'a b' }, 'id'],
    [{ ...CALLS, per: 'user' }, 'per must be one of agent, tool, session, principal'],
    [{ ...CALLS, per: 'constructor' }, 'per must be'],
    [{ ...CALLS, limit: -1 }, 'negative'],
    [{ ...CALLS, limit: NaN }, 'finite'],
    [{ ...CALLS, limit: '5' }, 'finite'],
    [{ ...CALLS, limit: 1e-9 }, 'finer'],
    [{ ...CALLS, window: '1w' }, 'window'],
    [{ ...CALLS, window: 5 }, 'window'],
    [{ ...CALLS, tools: [] }, 'tools'],
    [{ ...CALLS, tools: ['a**'] }, '**'],
    [{ ...CALLS, cost: 'tool' }, 'a number, not string'],
    [{ ...CALLS, cost: '' }, 'empty'],
  ])('refuses %j', (definition, message) => {
    expect(() => budgetFrom(definition as BudgetDefinition)).toThrow(message);
    expect(() => budgetFrom(definition as BudgetDefinition)).toThrow(CountersignError);
  });
});

describe('charges', () => {
  const per = (scope: NonNullable<BudgetDefinition['per']>): Budget => budgetFrom({ id: scope, per: scope, limit: 1 });
  const input = policyInput({ tool: { server: 'bank', name: 'refund' }, args: { amount: 0.25 }, principal: 'ann' });

  it('are keyed by what the budget is for', () => {
    const charges = chargesFor([per('agent'), per('tool'), per('session'), per('principal')], input);
    expect(charges.map((charge) => charge.key)).toEqual(['bot', 'bank/refund', 's1', 'ann']);
    expect(charges[0]).toEqual({ id: 'agent', per: 'agent', key: 'bot', cost: 1_000_000, limit: 1_000_000 });
  });

  it('carry the window and the cost', () => {
    expect(chargesFor([budgetFrom(CALLS), budgetFrom(TOTAL)], input)).toEqual([
      { id: 'calls', per: 'agent', key: 'bot', cost: 1_000_000, limit: 100_000_000, window_ms: 3_600_000 },
      { id: 'total', per: 'tool', key: 'bank/refund', cost: 250_000, limit: 500_000 },
    ]);
  });

  it('leave out budgets of other tools', () => {
    expect(chargesFor([budgetFrom(TOTAL)], policyInput({ tool: { name: 'read' } }))).toEqual([]);
  });

  it.each(['', undefined])('refuse a call without a principal: %j', (principal) => {
    const call = principal === undefined ? policyInput() : policyInput({ principal });
    expect(() => chargesFor([per('principal')], call)).toThrow('budget "principal": the call names no principal');
  });

  it.each([[{}], [{ amount: '[redacted:iban]' }], [{ amount: -1 }], [{ amount: null }], [{ amount: 1e-9 }]])(
    'name the budget that cannot tell: %j',
    (args) => {
      expect(() => chargesFor([budgetFrom(TOTAL)], policyInput({ args }))).toThrow(/^budget "total": the cost could not be worked out/);
      expect(() => chargesFor([budgetFrom(TOTAL)], policyInput({ args }))).toThrow(BudgetError);
    },
  );

  it.each([[NaN], [-1], [0.5], [Infinity], ['5'], [undefined], [10n]])('refuse a hand-written cost of %s', (cost) => {
    const budget = { ...per('agent'), cost: () => cost as number };
    expect(() => chargesFor([budget], input)).toThrow(BudgetError);
  });

  it('do not repeat what a hand-written budget throws', () => {
    const budget: Budget = {
      ...per('agent'),
      cost: () => {
        throw new Error('sk-secret');
      },
    };
    expect(() => chargesFor([budget], input)).toThrow(/^budget "agent": the cost could not be worked out$/);
  });

  it('refuse two budgets with one id', () => {
    expect(() => chargesFor([per('agent'), per('agent')], input)).toThrow('another budget has this id');
  });
});
