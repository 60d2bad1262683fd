/** Times in SudoAgent 2.0 ledgers: of entries always UTC with microseconds, of approvals as Python's isoformat() writes them. */

const ENTRY_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const ISO_TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/;

/** True for a time such as 2026-11-22T04:46:52.035811Z that a calendar has. */
export function isSudoTime(text: string): boolean {
  return ENTRY_TIME.test(text) && microseconds(text) !== undefined;
}

/** Microseconds since 1970; undefined for what is no time. Exact up to the year 2255. */
export function microseconds(text: string): number | undefined {
  const [, seconds = '', fraction = '', zone = ''] = ISO_TIME.exec(text) ?? [];
  const at = Date.parse(`${seconds}${zone}`);
  // Date.parse makes 31 February a day of March.
  const local = Date.parse(`${seconds}Z`);
  if (Number.isNaN(at) || Number.isNaN(local) || !new Date(local).toISOString().startsWith(seconds)) return undefined;
  return at * 1000 + Number(fraction.padEnd(6, '0'));
}
