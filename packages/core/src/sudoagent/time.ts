/** Times in SudoAgent 2.0 ledgers: of entries always UTC with microseconds, of approvals as Python's isoformat() writes them. */

const ENTRY_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const ISO_TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/;
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const ZERO = 0x30;

/** True for a time such as 2026-11-22T04:46:52.035811Z that a calendar has. */
export function isSudoTime(text: string): boolean {
  return ENTRY_TIME.test(text) && isInCalendar(text);
}

/** Microseconds since 1970; undefined for what is no time. Exact up to the year 2255. */
export function microseconds(text: string): number | undefined {
  const [, seconds = '', fraction = '', zone = ''] = ISO_TIME.exec(text) ?? [];
  if (seconds === '' || !isInCalendar(seconds)) return undefined;
  const at = Date.parse(`${seconds}${zone}`);
  return Number.isNaN(at) ? undefined : at * 1000 + Number(fraction.padEnd(6, '0'));
}

/** Date.parse makes 31 February a day of March. */
function isInCalendar(text: string): boolean {
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  if (day < 1 || day > (DAYS[month - 1] ?? 0)) return false;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return (month !== 2 || day < 29 || isLeap) && twoDigits(text, 11) < 24 && twoDigits(text, 14) < 60 && twoDigits(text, 17) < 60;
}

function twoDigits(text: string, at: number): number {
  return (text.charCodeAt(at) - ZERO) * 10 + text.charCodeAt(at + 1) - ZERO;
}
