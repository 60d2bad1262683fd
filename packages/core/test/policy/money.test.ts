import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { holds } from './functions.ts';

const ARGS = {
  eur: 'EUR',
  usd: 'usd',
  price: '12.50 EUR',
  n: 12.5,
  big: 9_007_199_254,
  nan: 'NaN',
  bill: [
    { amount: 400, currency: 'eur' },
    { amount: 99.99, currency: 'EUR' },
  ],
  mixed: [
    { amount: 1, currency: 'EUR' },
    { amount: 1, currency: 'USD' },
  ],
  none: [],
};

function outcome(source: string): boolean | string {
  try {
    return holds(source, ARGS);
  } catch (error) {
    if (CountersignError.is(error)) return error.code;
    throw error;
  }
}

describe('money()', () => {
  it.each([
    "money(args.n, args.eur) == money('12.50 EUR')",
    'money(args.price) == money(args.n, args.eur)',
    "money(12, 'EUR') < money('12.5 EUR')",
    "money('12.50 EUR') == money('12.5 eur')",
    "money('0.1 EUR') + money('0.2 EUR') == money('0.3 EUR')",
    "money('0.3 EUR') - money('0.1 EUR') == money('0.2 EUR')",
    "money('1 EUR') != money('2 EUR')",
    "money('1 EUR') <= money('1 EUR') && money('1 EUR') >= money('1 EUR')",
    "money('2 EUR') > money('1 EUR')",
    "money('1.10 EUR') * 3 == money('3.30 EUR')",
    "money('1.10 EUR') * args.bill.size() == money('2.20 EUR')",
    "money(args.usd == 'usd' ? 1999.0 / 100 : 0.0, args.usd) == money('19.99 USD')",
    "money('12.5 EUR').amount == args.n && money('12.5 EUR').currency == 'EUR'",
    "total(args.bill.map(b, money(b.amount, b.currency))) == money('499.99 EUR')",
    "total([money('1 EUR')]) == money('1 EUR')",
    "money('9007199254.740991 EUR') > money('9007199254.740990 EUR')",
    "money('0 EUR') == money(0, 'EUR')",
    "money('5 EUR') in [money('4 EUR'), money('5 EUR')]",
  ])('%s', (source) => expect(outcome(source)).toBe(true));

  it.each([
    // two currencies
    ["money('1 EUR') == money('1 USD')", 'two currencies'],
    ["money('1 EUR') != money('1 USD')", 'two currencies'],
    ["money('1 EUR') < money('1 USD')", 'two currencies'],
    ["money('1 EUR') + money('1 USD') > money('0 EUR')", 'two currencies'],
    ["money('1 EUR') in [money('1 USD')]", 'two currencies'],
    ["total(args.mixed.map(b, money(b.amount, b.currency))) > money('1 EUR')", 'two currencies'],
    ["money(args.n, args.usd) <= money('500 EUR')", 'two currencies'],
    // amounts that are none
    ["money(-1, 'EUR') < money('1 EUR')", 'negative'],
    ["money(0.0 - args.n, 'EUR') < money('1 EUR')", 'negative'],
    ["money('1 EUR') - money('2 EUR') < money('1 EUR')", 'below zero'],
    ["money('1 EUR') * -1 < money('1 EUR')", 'below zero'],
    ["money('1 EUR') * 0.5 < money('1 EUR')", 'whole numbers'],
    ["money(0.1 + 0.2, 'EUR') < money('1 EUR')", 'finer than 0.000001'],
    ["money(args.n / 3, 'EUR') < money('1 EUR')", 'finer than 0.000001'],
    ["money(double(args.nan), 'EUR') < money('1 EUR')", 'not a finite number'],
    ["money(args.big * 1000, 'EUR') > money('1 EUR')", 'at most'],
    ["money(9223372036854775807, 'EUR') > money('1 EUR')", 'too large'],
    ["money('9007199254 EUR') + money('9007199254 EUR') > money('1 EUR')", 'at most'],
    ["money('9007199254 EUR') * 1000000000000 > money('1 EUR')", 'at most'],
    ["money(args.n, 'E') < money('1 EUR')", 'needs a currency'],
    ["money(args.n, '') < money('1 EUR')", 'needs a currency'],
    ["money(args.n, 'EU1') < money('1 EUR')", 'needs a currency'],
    ["money(args.n, 'ＥＵＲ') < money('1 EUR')", 'needs a currency'],
    ["money(args.n, 'EUR ') < money('1 EUR')", 'needs a currency'],
    ["money(args.eur) < money('1 EUR')", 'money() takes a text such as'],
    // types
    ["money(args.price, args.eur) < money('1 EUR')", 'type error'],
    ["money('1 EUR') == args.n", 'different types'],
    ["args.n == money('1 EUR')", 'different types'],
    ["money('1 EUR') < args.n", 'type error'],
    ["money(args.nope, 'EUR') < money('1 EUR')", 'missing key'],
    ["total(args.none) < money('1 EUR')", 'has no currency'],
    ["total([1, 2]) < money('1 EUR')", 'adds up money() only'],
    // what stands in the rule is checked when it is loaded
    ["money('12,50 EUR') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('1.000.000 EUR') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('1.0000001 EUR') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('-1 EUR') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('01 EUR') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('1e3 EUR') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('EUR 1') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('1EUR') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('1') < money('1 EUR')", 'CONDITION_INVALID'],
    ["money('1 EUR') < 5", 'CONDITION_INVALID'],
    ["money('1 EUR') / 2 < money('1 EUR')", 'CONDITION_INVALID'],
  ])('%s: %s', (source, expected) => expect(String(outcome(source))).toContain(expected));

  it('counts exactly, whatever the amounts', () => {
    const cents = fc.integer({ min: 0, max: 1_000_000_000 });
    const text = (n: number): string => `${Math.floor(n / 100)}.${String(n % 100).padStart(2, '0')} EUR`;
    fc.assert(
      fc.property(cents, cents, (a, b) => {
        const args = { a: text(a), b: text(b), sum: text(a + b), n: Number((a / 100).toFixed(2)) };
        expect(holds('money(args.a) + money(args.b) == money(args.sum)', args)).toBe(true);
        expect(holds("money(args.n, 'EUR') == money(args.a)", args)).toBe(true);
        expect(holds('money(args.a) < money(args.b)', args)).toBe(a < b);
      }),
      { numRuns: 300 },
    );
  });

  it('reads any text as money or is a fault', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.,eE+-]{1,12} ?[A-Za-z]{0,5}$/)), fc.double(), (t, n) => {
        expect(String(holds("money(args.t) >= money('0 EUR')", { t }))).toMatch(/^(?:true|w: money\(\))/);
        if (Number.isFinite(n)) expect(String(holds("money(args.n, 'EUR') >= money('0 EUR')", { n }))).toMatch(/^(?:true|w: money\(\))/);
      }),
      { numRuns: 500 },
    );
  });
});
