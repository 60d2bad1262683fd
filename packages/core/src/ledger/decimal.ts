/** Most significant digits a decimal without exponent can have and always survive a double. */
const SAFE_DIGITS = 15;
const NUMBER = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/**
 * True when a JSON number is no longer the same decimal after a JavaScript parser read it and wrote it again:
 * `12345678901234567890`, `1e400`, `0.1234567890123456789`. `1.0`, `1e2` and `0.1` survive.
 *
 * @param literal - a number by the JSON grammar.
 */
export function isLossyNumber(literal: string): boolean {
  if (literal.length <= SAFE_DIGITS && !/[eE]/.test(literal)) return false;
  const wanted = decimal(literal);
  if (wanted.digits === '') return false;
  const double = Number(literal);
  if (!Number.isFinite(double) || double === 0) return true;
  const kept = decimal(String(double));
  return kept.digits !== wanted.digits || kept.exponent !== wanted.exponent;
}

/** value = 0.digits x 10^exponent, with no zero at either end of `digits`; the sign never changes. */
function decimal(literal: string): { digits: string; exponent: number } {
  const [, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(literal) ?? [];
  const all = whole + fraction;
  let first = 0;
  while (first < all.length && all[first] === '0') first += 1;
  let end = all.length;
  while (end > first && all[end - 1] === '0') end -= 1;
  return { digits: all.slice(first, end), exponent: Number(exponent) + whole.length - first };
}
