import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLossyNumber } from '../../src/ledger/decimal.ts';

describe('isLossyNumber', () => {
  it.each([
    '12345678901234567890',
    '9007199254740993',
    '-9007199254740993',
    '1e400',
    '-1e400',
    '1e-400',
    '0.1234567890123456789',
    '0.30000000000000001',
    '1.00000000000000000001',
    '100000000000000000001',
    '1e99999999999999999999',
    '4.94065645841246544176568792868E-324',
  ])('%s loses', (literal) => {
    expect(isLossyNumber(literal)).toBe(true);
  });

  it.each([
    '0',
    '-0',
    '0.0',
    '0e999999999999',
    '1.0',
    '1e2',
    '1E+2',
    '100',
    '0.1',
    '-0.1e-1',
    '0.30000000000000004',
    '9007199254740992',
    '1e23',
    '123e-20',
    '1.7976931348623157e308',
    '5e-324',
    '1.00000000000000000000000000000',
    '100000000000000000000',
    `0.${'0'.repeat(300)}1`,
  ])('%s survives', (literal) => {
    expect(isLossyNumber(literal)).toBe(false);
  });

  it('accepts whatever JavaScript itself writes', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (double) => {
        expect(isLossyNumber(JSON.stringify(double))).toBe(false);
      }),
    );
  });

  it('accepts an integer exactly if JavaScript writes it back unchanged', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 20n }), (integer) => {
        expect(isLossyNumber(String(integer))).toBe(String(Number(integer)) !== String(integer));
      }),
    );
  });
});
