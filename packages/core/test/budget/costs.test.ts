/** Costs that are no amount: the call is refused, and nothing is charged to any budget. */
import { describe, expect, it } from 'vitest';
import { allowAll, type Budget, budgetFrom, CallRefusedError, type CountersignError, createGuard } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

const calls = budgetFrom({ id: 'calls', per: 'agent', limit: 1000 });
const amounts = budgetFrom({ id: 'amounts', per: 'agent', limit: 9_000_000_000, cost: 'args.amount' });
const declared = budgetFrom({ id: 'declared', per: 'agent', limit: 9_000_000_000, cost: 'cost' });

/** Runs one call that must be refused. @returns its reason code. */
async function refusedUnder(budgets: readonly Budget[], args: unknown, cost?: unknown): Promise<string> {
  const store = memoryStore();
  const guard = guardOn(store, { policy: allowAll(), budgets });
  let ran = false;
  const tool = guard.tool('pay', () => (ran = true), cost === undefined ? {} : { cost: () => cost as number });
  const refusal: unknown = await tool(args).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(refusal instanceof CallRefusedError)) throw new Error(`not refused: ${String(refusal)}`);
  expect(ran).toBe(false);
  expect(store.entries().some((entry) => entry.kind === 'decision' && entry.budgets !== undefined)).toBe(false);
  return refusal.refusal.decision.reasonCode;
}

const NO_AMOUNT: readonly (readonly [string, unknown])[] = [
  ['negative', -1],
  ['a little negative', -0.000001],
  ['finer than a millionth', 0.0000001],
  ['a rounded sum', 0.1 + 0.2],
  ['huge', 1e300],
  ['past what is counted exactly', 9_007_199_255],
  ['a text', '5'],
  ['an empty text', ''],
  ['null', null],
  ['a list', [5]],
  ['a redacted number', '[redacted:iban]'],
  ['true', true],
];

describe('a cost in CEL', () => {
  it.each(NO_AMOUNT)('%s', async (_what, amount) => {
    expect(await refusedUnder([calls, amounts], { amount })).toBe('BUDGET_EVALUATION_FAILED');
  });

  it('missing', async () => {
    expect(await refusedUnder([calls, amounts], {})).toBe('BUDGET_EVALUATION_FAILED');
  });

  // What JSON cannot say does not get as far as a budget, or reaches it as a placeholder.
  it.each([
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY],
    ['a BigInt', 5n],
    ['an object with valueOf', { valueOf: (): number => 5 }],
  ])('%s', async (_what, amount) => {
    expect(['ARGUMENTS_INVALID', 'BUDGET_EVALUATION_FAILED']).toContain(await refusedUnder([calls, amounts], { amount }));
  });

  it.each(['args.amount / 0.0', '0.0 / 0.0', '-args.amount', '9223372036854775807', 'args.amount * 1e300'])('%s', async (cost) => {
    const budget = budgetFrom({ id: 'worked-out', per: 'agent', limit: 9_000_000_000, cost });
    expect(await refusedUnder([calls, budget], { amount: 1e10 })).toBe('BUDGET_EVALUATION_FAILED');
  });
});

describe('a cost declared by a wrapped tool, or returned by a hand-written budget', () => {
  const WRONG: readonly (readonly [string, unknown])[] = [
    ['negative', -1],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['fractional', 0.5],
    ['huge', 2 ** 53],
    ['a BigInt', 5n],
    ['a text', '5'],
    ['null', null],
    ['a promise', Promise.resolve(5)],
    ['a rejected promise', Promise.reject(new Error('no')).catch(() => 5)],
    ['an object with valueOf', { valueOf: () => 5 }],
  ];

  it.each(WRONG)('%s, of a tool', async (_what, cost) => {
    expect(await refusedUnder([calls, declared], {}, cost)).toBe('ARGUMENTS_INVALID');
  });

  it.each([...WRONG, ['nothing', undefined] as const])('%s, of a budget', async (_what, cost) => {
    expect(await refusedUnder([calls, { ...amounts, id: 'own', cost: () => cost as number }], {})).toBe('BUDGET_EVALUATION_FAILED');
  });

  it('a budget that does not say whether it covers the tool', async () => {
    for (const matches of [() => undefined, () => Promise.resolve(false), () => Promise.reject(new Error('no')), () => 1]) {
      expect(await refusedUnder([calls, { ...amounts, id: 'own', matches: matches as () => never }], {})).toBe('BUDGET_EVALUATION_FAILED');
    }
  });

  it('more than is left, or than can be counted together', async () => {
    const big = { ...amounts, id: 'own', limit: Number.MAX_SAFE_INTEGER, cost: () => Number.MAX_SAFE_INTEGER };
    const store = memoryStore();
    const guard = guardOn(store, { policy: allowAll(), budgets: [big] });
    expect((await guard.authorize({ tool: { name: 'x' }, args: {} })).kind).toBe('permit');
    const second = await guard.authorize({ tool: { name: 'x' }, args: {} });
    expect(second).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'BUDGET_EXCEEDED_AGENT_RATE' } });
  });
});

describe('a budget that could not be counted is refused with the guard', () => {
  const own: Budget = { id: 'own', per: 'agent', limit: 1, matches: () => true, cost: () => 1 };
  const unusable: readonly (readonly [string, unknown])[] = [
    ['a limit that is NaN', [{ ...own, limit: Number.NaN }]],
    ['a negative limit', [{ ...own, limit: -1 }]],
    ['an endless limit', [{ ...own, limit: Number.POSITIVE_INFINITY }]],
    ['a limit in text', [{ ...own, limit: '5' }]],
    ['a window that is NaN', [{ ...own, windowMs: Number.NaN }]],
    ['a window of nothing', [{ ...own, windowMs: 0 }]],
    ['a negative window', [{ ...own, windowMs: -1 }]],
    ['a fractional window', [{ ...own, windowMs: 0.5 }]],
    ['an endless window', [{ ...own, windowMs: Number.POSITIVE_INFINITY }]],
    ['an unknown scope', [{ ...own, per: 'constructor' }]],
    ['a key without its function', [{ ...own, per: 'key' }]],
    ['a key function without its scope', [{ ...own, key: () => 'x' }]],
    ['another refund', [{ ...own, refund: 'always' }]],
    ['no id', [{ ...own, id: '' }]],
    ['an id with a line feed', [{ ...own, id: 'a\nb' }]],
    ['no cost', [{ ...own, cost: undefined }]],
    ['two with one id', [own, { ...own, limit: 2 }]],
    ['too many', Array.from({ length: 101 }, (_, i) => ({ ...own, id: `b${i}` }))],
    ['no list', own],
  ];
  it.each(unusable)('%s', (_what, budgets) => {
    const make = (): unknown =>
      createGuard({ agent: 'a', policy: allowAll(), store: memoryStore(), budgets: budgets as readonly Budget[] });
    expect(make).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' } satisfies Partial<CountersignError>));
  });

  it('also when it turns so later', async () => {
    const turning = { ...own };
    const guard = guardOn(memoryStore(), { policy: allowAll(), budgets: [turning] });
    Object.assign(turning, { limit: Number.NaN });
    expect(await guard.authorize({ tool: { name: 'x' }, args: {} })).toMatchObject({
      decision: { reasonCode: 'BUDGET_EVALUATION_FAILED' },
    });
  });
});
