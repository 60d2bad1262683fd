/** Durations as people write them: `500ms`, `30s`, `5m`, `1h`, `7d`. One whole number, one unit. */

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
/** Ten years: more is a typing error. */
export const MAX_DURATION_MS: number = 10 * 366 * 86_400_000;
const SHAPE = /^(\d{1,15})(ms|s|m|h|d)$/;

/** Milliseconds of a duration, at least 1; `undefined` when it does not parse or is out of range. */
export function parseDuration(text: string): number | undefined {
  const match = SHAPE.exec(text);
  if (match === null) return undefined;
  const milliseconds = Number(match[1]) * (UNIT_MS.get(match[2] ?? '') ?? Number.NaN);
  return milliseconds >= 1 && milliseconds <= MAX_DURATION_MS ? milliseconds : undefined;
}

/** Said wherever a duration does not parse. */
export const DURATION_HINT = 'write one whole number and a unit, such as 500ms, 30s, 5m, 1h or 7d';
