/**
 * Processes as `ps` tells them, for systems without /proc.
 *
 * Two calls: one whose columns hold nothing a process can choose says who there is, and only that decides who belongs. The other
 * has programs and arguments, which may hold newlines that look like lines of their own: a pid that appears twice in it is not
 * believed at all.
 */
import type { ProcessId } from '../activity.ts';

export interface PsProcess extends ProcessId {
  readonly parent: number;
  /** First letter of the state; `Z` has ended. */
  readonly state: string;
}

/** `start` is in whole seconds since 1970: a pid that is used again within the second is not told from its predecessor. */
export const PS_PROCESSES: readonly string[] = ['-ax', ...columns('pid', 'ppid', 'state', 'lstart')];
/** Lines read of one call. */
export const MAX_PS_LINES = 65_536;

/** @param text - of `ps` with `PS_PROCESSES`, in the C locale and UTC: `  501   1 Ss   Thu Nov 26 13:35:05 2026`. Lines that are none are left out. */
export function parseProcesses(text: string): ReadonlyMap<number, PsProcess> {
  const found = new Map<number, PsProcess>();
  for (const line of text.split('\n', MAX_PS_LINES)) {
    const [, pid, parent, state = '', started = ''] = PROCESS_LINE.exec(line) ?? [];
    if (pid === undefined) continue;
    const start = secondsOf(started);
    if (start !== undefined) found.set(Number(pid), { pid: Number(pid), parent: Number(parent), start, state: state.charAt(0) });
  }
  return found;
}

/** @param column - `comm` for the program, `command` for its arguments too. */
export function psTextOf(column: 'comm' | 'command', pids: readonly number[]): readonly string[] {
  return ['-ww', ...columns('pid', column), '-p', pids.join(',')];
}

/** Text of each process; without those that appear twice, or are none of `asked`. */
export function parseTexts(text: string, asked: ReadonlySet<number>): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  const twice = new Set<number>();
  for (const line of text.split('\n', MAX_PS_LINES)) {
    const [, number, rest = ''] = /^ *(\d{1,10}) (.*)$/.exec(line) ?? [];
    const pid = Number(number);
    if (number === undefined || !asked.has(pid)) continue;
    if (found.has(pid)) twice.add(pid);
    found.set(pid, rest.trim().slice(0, MAX_TEXT_LENGTH));
  }
  for (const pid of twice) found.delete(pid);
  return found;
}

/** Without headings. Each for itself: by the standard all that follows `=` is a heading, commas too. */
export function columns(...names: readonly string[]): readonly string[] {
  return names.flatMap((name) => ['-o', `${name}=`]);
}

const MAX_TEXT_LENGTH = 65_536;
const PROCESS_LINE = /^ *(\d{1,10}) +(\d{1,10}) +([A-Za-z?][^ ]{0,15}) +[A-Z][a-z]{2} ([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}) *$/;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** @param text - `Nov 26 13:35:05 2026`, UTC. */
function secondsOf(text: string): number | undefined {
  const [, month = '', day, hour, minute, second, year] = /^(\S{3}) +(\d+) (\d\d):(\d\d):(\d\d) (\d{4})$/.exec(text) ?? [];
  const at = Date.UTC(Number(year), MONTHS.indexOf(month), Number(day), Number(hour), Number(minute), Number(second));
  return MONTHS.includes(month) && Number.isSafeInteger(at) && at >= 0 ? at / 1_000 : undefined;
}
