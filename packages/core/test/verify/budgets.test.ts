import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Budgets } from '../../src/verify/budgets.ts';
import type { EntryOf } from '../../src/verify/placed.ts';
import { Findings } from '../../src/verify/report.ts';

const LIMIT = 1_000_000;
const PLACED = { index: 0, number: 1, leaf: '' };

interface Call {
  readonly wait: number;
  readonly cost: number;
  readonly window: number | undefined;
  readonly key: 'a' | 'b';
}

const calls = (windows: readonly (number | undefined)[]): fc.Arbitrary<Call[]> =>
  fc.array(
    fc.record({ wait: fc.nat(20), cost: fc.nat(9), window: fc.constantFrom(...windows), key: fc.constantFrom('a' as const, 'b' as const) }),
    { minLength: 1, maxLength: 3000, size: 'max' },
  );

const PICK = { nth: fc.nat(), after: fc.nat(40) };

/** What the store's transaction computes, over a list of all charges. */
function replay(list: readonly Call[], lie: (index: number) => number): readonly string[] {
  const findings = new Findings();
  const budgets = new Budgets(findings);
  const charges: { at: number; cost: number; key: string }[] = [];
  let at = 1000;
  for (const [i, { wait, cost, window, key }] of list.entries()) {
    at += wait;
    const since = window === undefined ? 0 : at - window + 1;
    const spent = charges.filter((charge) => charge.key === key && charge.at >= since).reduce((sum, charge) => sum + charge.cost, 0);
    charges.push({ at, cost, key });
    const left = LIMIT - spent - cost + lie(i);
    const charge = { id: 'x', per: 'agent', key, cost, limit: LIMIT, left, ...(window !== undefined && { window_ms: window }) };
    budgets.allow(PLACED, { at, mode: 'enforce', budgets: [charge] } as unknown as EntryOf<'decision'>, false);
  }
  return findings.problems().map(({ code }) => code);
}

it('agrees with the store whatever the calls, one window or for life', () => {
  fc.assert(
    fc.property(fc.constantFrom<(number | undefined)[]>([50], [3000], [undefined], [50, undefined], [50, 400]).chain(calls), (list) => {
      expect(replay(list, () => 0)).toEqual([]);
    }),
    { numRuns: 40 },
  );
});

it('agrees with the store whatever was given back, and however late', () => {
  const windows = fc.constantFrom<(number | undefined)[]>([50], [3000], [undefined], [50, undefined], [50, 400]);
  const refunds = fc.array(fc.record(PICK), { maxLength: 1500, size: 'max' });
  fc.assert(
    fc.property(windows.chain(calls), refunds, (list, picks) => {
      const findings = new Findings();
      const budgets = new Budgets(findings);
      const charges: { at: number; cost: number; key: string; isOpen: boolean }[] = [];
      let at = 1000;
      for (const [i, { wait, cost, window, key }] of list.entries()) {
        at += wait;
        const since = window === undefined ? 0 : at - window + 1;
        const spent = charges.filter((charge) => charge.key === key && charge.at >= since).reduce((sum, charge) => sum + charge.cost, 0);
        const charge = { id: 'x', per: 'agent', key, cost, limit: LIMIT, left: LIMIT - spent - cost, ...(window && { window_ms: window }) };
        budgets.allow(PLACED, { at, mode: 'enforce', budgets: [charge] } as unknown as EntryOf<'decision'>, false);
        charges.push({ at, cost, key, isOpen: true });
        const pick = picks[i];
        // One of the last hundred calls, now and then one long gone.
        const from = pick === undefined || pick.after === 0 ? 0 : Math.max(0, charges.length - 100);
        const undone = pick === undefined ? undefined : charges[from + (pick.nth % (charges.length - from))];
        if (undone === undefined || !undone.isOpen || undone.cost === 0) continue;
        const owed = { id: 'x', key: undone.key, cost: undone.cost };
        budgets.refund(PLACED, [owed], { at: undone.at, charges: [{ ...owed, per: 'agent', limit: LIMIT, left: 0 }] });
        Object.assign(undone, { isOpen: false, cost: 0 });
      }
      expect(findings.problems()).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

it('notices a figure that is off by one', () => {
  fc.assert(
    fc.property(calls([50, undefined]), fc.nat(), fc.constantFrom(1, -1), (list, pick, lie) => {
      const liar = pick % list.length;
      expect(replay(list, (index) => (index === liar ? lie : 0))).toEqual(['BUDGET_MISMATCH']);
    }),
    { numRuns: 40 },
  );
});

it('accepts nothing impossible when a longer window reaches what was dropped', () => {
  const steady = Array.from({ length: 5000 }, (): Call => ({ wait: 10, cost: 1, window: 100, key: 'a' }));
  const longer: Call = { wait: 10, cost: 1, window: 1e9, key: 'a' };
  expect(replay([...steady, longer], () => 0)).toEqual([]);
  expect(replay([...steady, longer], (index) => (index === 5000 ? LIMIT : 0))).toEqual(['BUDGET_MISMATCH']);
});

it('counts two charges of one call to one budget one after the other', () => {
  const findings = new Findings();
  const charge = { id: 'x', per: 'agent', key: 'a', cost: 4, limit: 10 };
  const entry = {
    at: 1,
    mode: 'enforce',
    budgets: [
      { ...charge, left: 6 },
      { ...charge, left: 2 },
    ],
  };
  new Budgets(findings).allow(PLACED, entry as unknown as EntryOf<'decision'>, false);
  expect(findings.count).toBe(0);
});

it('follows amounts beyond what doubles count, and what is left below zero', () => {
  const findings = new Findings();
  const budgets = new Budgets(findings);
  const cost = Number.MAX_SAFE_INTEGER;
  const allow = (at: number, left: number, charged: number): void => {
    const charge = { id: 'x', per: 'agent', key: 'a', cost: charged, limit: 0, left, window_ms: 10 };
    budgets.allow(PLACED, { at, mode: 'audit', budgets: [charge] } as unknown as EntryOf<'decision'>, false);
  };
  // Each in a window of its own; together they are far more than any number holds exactly.
  for (let i = 1; i <= 2000; i++) allow(i * 10, -cost, cost);
  allow(20_010, -1, 1);
  allow(20_011, -4, 3);
  expect(findings.problems()).toEqual([]);
  allow(20_012, -cost, cost - 3);
  expect(findings.count).toBe(1);
});
