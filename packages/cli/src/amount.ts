const MICRO = 1_000_000;
const MICRO_DIGITS = 6;

/** Micro-units as units with at most six decimals, exactly. */
export function amount(micro: number): string {
  const whole = Math.trunc(Math.abs(micro) / MICRO);
  const rest = String(Math.abs(micro) % MICRO)
    .padStart(MICRO_DIGITS, '0')
    .replace(/0+$/, '');
  return `${micro < 0 ? '-' : ''}${whole}${rest === '' ? '' : `.${rest}`}`;
}
