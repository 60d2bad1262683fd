/** /proc/PID/stat, in one line: `4242 (node) S 4200 4242 4200 ...`. The name is the process's own choice, up to 15 bytes of anything. */

export interface ProcessStat {
  readonly pid: number;
  /** As the process calls itself; never to be trusted for what it is. */
  readonly name: string;
  /** `R` `S` `D` `T` `Z` ... Processes held by a cgroup freezer show `S` or `D`. */
  readonly state: string;
  readonly parent: number;
  readonly session: number;
  /** User and system time of it and all its threads, clock ticks. */
  readonly cpuTicks: number;
  readonly threads: number;
  /** Clock ticks since boot. With the pid the identity of a process. */
  readonly start: number;
  readonly rssPages: number;
  /** As `wait` gives it. 0 also when the kernel does not tell us: of another user's process, and of one that has not ended. */
  readonly exitStatus: number;
}

/** Undefined for what is no such line. */
export function parseStat(line: string): ProcessStat | undefined {
  const open = line.indexOf(' (');
  // A name may hold `)` and spaces, even ` ) R 1 `: nothing after the last one is chosen by the process.
  const close = line.lastIndexOf(') ');
  if (open < 1 || close < open) return undefined;
  const fields = line
    .slice(close + 2)
    .trimEnd()
    .split(' ');
  const state = fields[0] ?? '';
  const numbers = [line.slice(0, open), ...[FIELD.parent, FIELD.session, FIELD.userTicks, FIELD.systemTicks].map((at) => fields[at])];
  const [pid, parent, session, user, system] = numbers.map(count);
  const [threads, start, rssPages] = [FIELD.threads, FIELD.start, FIELD.rssPages].map((at) => count(fields[at]));
  if (pid === undefined || parent === undefined || start === undefined || threads === undefined || !/^[A-Za-z]$/.test(state))
    return undefined;
  return {
    pid,
    name: line.slice(open + 2, close),
    state,
    parent,
    session: session ?? 0,
    cpuTicks: (user ?? 0) + (system ?? 0),
    threads,
    start,
    rssPages: rssPages ?? 0,
    exitStatus: count(fields[FIELD.exitStatus]) ?? 0,
  };
}

/**
 * False for a zombie: it has ended and only its parent does not know. But a process whose first thread left while others go on
 * shows the same letter, with an empty command line and no descriptors, and runs: that is a way to hide.
 */
export function isRunning({ state, threads }: ProcessStat): boolean {
  return state === 'X' || state === 'x' ? false : state !== 'Z' || threads > 1;
}

/** Positions after the name, from 0. */
const FIELD = { parent: 1, session: 3, userTicks: 11, systemTicks: 12, threads: 17, start: 19, rssPages: 21, exitStatus: 49 } as const;

function count(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,20}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
