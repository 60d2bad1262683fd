/** Times for people: how long ago, how long still. */

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const;

/** `4m`, `2h`, `3d`; never negative. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const [unit, size] = UNITS.find(([, each]) => seconds >= each) ?? (['s', 1] as const);
  return `${Math.floor(seconds / size)}${unit}`;
}

/** ISO 8601 in UTC; a number no date can hold stays a number. */
export function instant(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString();
}
