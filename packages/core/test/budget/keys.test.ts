import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BudgetDefinition } from '../../src/budget/budget.ts';
import { budgetKey, MAX_KEY_CHARS } from '../../src/budget/key.ts';
import { allowAll, type Budget, budgetFrom, type Guard, type ToolCall } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const CUSTOMER: BudgetDefinition = { id: 'per-customer', key: 'args.customer', limit: 2, window: '1h' };

const pay = (args: unknown, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name: 'pay' }, args, ...more });

async function codeOf(guard: Guard, call: ToolCall): Promise<string> {
  const authorization = await guard.authorize(call);
  if (authorization.kind === 'permit') await authorization.settle({ status: 'success' });
  return authorization.kind === 'permit' ? 'allowed' : authorization.decision.reasonCode;
}

describe('a budget by key', () => {
  it('gives every value a window of its own', async () => {
    const guard = guardOn(memoryStore(), { policy: allowAll(), budgets: [budgetFrom(CUSTOMER)] });
    const codes: string[] = [];
    for (const customer of ['ann', 'bob', 'ann', 'ann', 'bob', 'bob', 'Ann', 'ann ']) codes.push(await codeOf(guard, pay({ customer })));
    const over = 'BUDGET_EXCEEDED_KEY_RATE';
    expect(codes).toEqual(['allowed', 'allowed', 'allowed', over, 'allowed', over, 'allowed', 'allowed']);
  });

  it('may be made of several parts of the call', async () => {
    const guard = guardOn(memoryStore(), {
      policy: allowAll(),
      budgets: [budgetFrom({ id: 'pairs', key: "principal + '/' + tool", limit: 1 })],
    });
    const codes = [
      await codeOf(guard, pay({}, { principal: 'ann' })),
      await codeOf(guard, { tool: { name: 'read' }, args: {}, principal: 'ann' }),
      await codeOf(guard, pay({}, { principal: 'bob' })),
      await codeOf(guard, pay({}, { principal: 'ann' })),
    ];
    expect(codes).toEqual(['allowed', 'allowed', 'allowed', 'BUDGET_EXCEEDED_KEY_RATE']);
  });

  it('counts a number and its text together', async () => {
    const guard = guardOn(memoryStore(), {
      policy: allowAll(),
      budgets: [budgetFrom({ id: 'ids', key: 'string(args.id)', limit: 1 })],
    });
    expect([await codeOf(guard, pay({ id: 7 })), await codeOf(guard, pay({ id: '7' }))]).toEqual(['allowed', 'BUDGET_EXCEEDED_KEY_RATE']);
  });

  it('writes a MAC in place of the value, the same after a restart, and the value nowhere in what an entry says', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const seen: string[] = [];
    for (const round of [1, 2]) {
      const store = openLedger(path);
      const guard = guardOn(store, { policy: allowAll(), budgets: [budgetFrom(CUSTOMER)], session: `s${round}` });
      const permit = await guard.authorize(pay({ customer: 'mallory the customer' }));
      if (permit.kind !== 'permit') throw new Error('refused');
      const entry = JSON.parse((await store.entry(permit.entry)) ?? '') as { budgets: { per: string; key: string }[] };
      expect(entry.budgets[0]).toMatchObject({ per: 'key', key: expect.stringMatching(/^[0-9a-f]{64}$/) });
      expect(entry.budgets[0]?.key).toBe(budgetKey('per-customer', 'mallory the customer', (text) => store.mac(text)));
      expect(JSON.stringify(entry)).not.toContain('mallory');
      seen.push(entry.budgets[0]?.key ?? '');
      await guard.close();
      await store.close();
    }
    expect(new Set(seen).size).toBe(1);
    // Elsewhere it stands in the shown arguments alone.
    const bytes = readFileSync(path).toString('latin1');
    expect(bytes.split('mallory').length - 1).toBe(bytes.split('"customer":"mallory').length - 1);
  });

  it('has other MACs under another budget, and under another secret', () => {
    const mac =
      (secret: string) =>
      (text: string): string =>
        createHmac('sha256', secret).update(text).digest('hex');
    const keys = [budgetKey('a', 'ann', mac('1')), budgetKey('b', 'ann', mac('1')), budgetKey('a', 'ann', mac('2'))];
    expect(new Set(keys).size).toBe(3);
    // Injective: no other budget and value have this text.
    expect(budgetKey('a","b', 'c', mac('1'))).not.toBe(budgetKey('a', 'b","c', mac('1')));
  });
});

describe('a key that cannot be worked out refuses, and nothing is charged', () => {
  const whole: Budget = budgetFrom({ id: 'all', per: 'agent', limit: 100 });

  async function refused(budget: Budget, call: ToolCall): Promise<string | undefined> {
    const store = memoryStore();
    const reasons: unknown[] = [];
    const guard = guardOn(store, { policy: allowAll(), budgets: [whole, budget], onError: (error) => void reasons.push(error) });
    const authorization = await guard.authorize(call);
    if (authorization.kind !== 'refusal') throw new Error('the call was not refused');
    expect(authorization.decision.reasonCode).toBe('BUDGET_EVALUATION_FAILED');
    expect(store.entries().some((entry) => entry.kind === 'decision' && entry.budgets !== undefined)).toBe(false);
    expect(JSON.stringify([authorization.decision, String(reasons[0])])).not.toContain('secret');
    return reasons[0] instanceof Error ? reasons[0].message : undefined;
  }

  it.each([
    ['missing', {}, 'missing key'],
    ['null', { customer: null }, 'the result is not a text'],
    ['a number', { customer: 7 }, 'the result is not a text'],
    ['a list', { customer: ['ann'] }, 'the result is not a text'],
    ['an object', { customer: { secret: 'x' } }, 'the result is not a text'],
    ['true', { customer: true }, 'the result is not a text'],
    ['empty', { customer: '' }, 'empty'],
    ['too long', { customer: 'x'.repeat(MAX_KEY_CHARS + 1) }, 'longer than 1024 characters'],
    ['redacted', { customer: 'sk-live-0123456789abcdef0123456789abcdef' }, 'redacted value'],
    ['redacted in part', { customer: 'token sk-live-0123456789abcdef0123456789abcdef' }, 'redacted value'],
    ['dressed as redacted', { customer: '[redacted:iban]' }, 'redacted value'],
  ])('%s', async (_what, args, message) => {
    expect(await refused(budgetFrom(CUSTOMER), pay(args))).toContain(message);
  });

  it('also where the expression changed the case of the placeholder', async () => {
    const budget = budgetFrom({ id: 'x', key: 'args.customer.upperAscii()', limit: 1 });
    expect(await refused(budget, pay({ customer: 'sk-live-0123456789abcdef0123456789abcdef' }))).toContain('redacted value');
  });

  it.each([undefined, ''])('of a principal, for a call without one: %j', async (principal) => {
    const budget = budgetFrom({ id: 'pairs', key: "principal + '/' + tool", limit: 1 });
    const call = principal === undefined ? pay({}) : pay({}, { principal });
    if (principal === '') return expect((await guardOn(memoryStore(), { budgets: [budget] }).authorize(call)).kind).toBe('refusal');
    expect(await refused(budget, call)).toContain('the call names no principal');
  });

  it('takes the longest key, and counts its characters as they are', async () => {
    const guard = guardOn(memoryStore(), { policy: allowAll(), budgets: [budgetFrom(CUSTOMER)] });
    expect(await codeOf(guard, pay({ customer: 'x'.repeat(MAX_KEY_CHARS) }))).toBe('allowed');
  });

  const handWritten = (key: () => unknown): Budget => ({
    id: 'own',
    per: 'key',
    limit: 1_000_000,
    matches: () => true,
    cost: () => 1,
    key: key as () => string,
  });

  it.each([
    ['nothing', () => undefined],
    ['null', () => null],
    ['a number', () => 7],
    ['a BigInt', () => 7n],
    ['an object', () => ({ toString: () => 'ann' })],
    ['a boxed string', () => Object('ann')],
    ['a lone surrogate', () => '\ud800'],
    ['an empty text', () => ''],
    ['a promise', async () => 'ann'],
    ['a promise that rejects', () => Promise.reject(new Error('secret'))],
    [
      'a throw',
      () => {
        throw new Error('secret');
      },
    ],
  ])('of a hand-written budget: %s', async (_what, key) => {
    expect(await refused(handWritten(key), pay({}))).toMatch(/^budget "own": the key/);
  });
});
