/** Amounts are integers of 1/1,000,000: counted exactly, compared exactly, never rounded. */

export const MICRO: number = 1_000_000;
const DECIMALS = 6;
/** Largest amount whose millionths are still exact. */
export const MAX_AMOUNT: number = Number.MAX_SAFE_INTEGER / MICRO;

/**
 * Millionths of an amount, converted from its shortest decimal text: 0.1 is exactly 100000.
 *
 * A sum that went through binary rounding (`0.1 + 0.2`) has more than six decimals and is refused, not rounded.
 *
 * @throws {RangeError} for NaN, infinity, a negative amount, one finer than a millionth, one above 9007199254.74
 */
export function microUnits(amount: number): number {
  if (!Number.isFinite(amount)) throw new RangeError('an amount must be a finite number');
  if (amount < 0) throw new RangeError('an amount may not be negative');
  if (amount > MAX_AMOUNT) throw new RangeError('an amount may be at most 9007199254.74');
  // ECMAScript prints a double as the shortest decimal that reads back as the same double.
  const [mantissa = '', exponent = '0'] = String(amount).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const shift = DECIMALS + Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  if (shift >= 0) return safe(digits * 10n ** BigInt(shift));
  const divisor = 10n ** BigInt(-shift);
  if (digits % divisor !== 0n) throw new RangeError('an amount may not be finer than 0.000001');
  return safe(digits / divisor);
}

function safe(units: bigint): number {
  if (units > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError('an amount may be at most 9007199254.74');
  return Number(units);
}
