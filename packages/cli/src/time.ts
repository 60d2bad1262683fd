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

const RELATIVE = /^([0-9]{1,9})(s|m|h|d|w)$/;
const RELATIVE_MS: ReadonlyMap<string, number> = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
]);
const ISO = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * A time as people write it: ISO 8601 (`2026-11-25`, `2026-11-25T20:30`, `...:05.123+01:00`; UTC unless it says otherwise),
 * or how long ago: `90s`, `15m`, `2h`, `3d`, `1w`.
 *
 * @returns UTC milliseconds; undefined for anything else, also for a day no calendar has.
 */
export function parseTime(text: string, nowMs: number): number | undefined {
  const [, amount, unit] = RELATIVE.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined) return nowMs - Number(amount) * (RELATIVE_MS.get(unit) ?? 0);
  const [, day, zone] = ISO.exec(text) ?? [];
  if (day === undefined || !isDay(day)) return undefined;
  // A date alone is UTC by itself; a time without a zone would be the machine's.
  const at = Date.parse(text.length === day.length || zone !== undefined ? text : `${text}Z`);
  return Number.isNaN(at) ? undefined : at;
}

/** Date.parse takes the 30th of February for the 2nd of March. */
function isDay(day: string): boolean {
  const at = Date.parse(day);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(day);
}
