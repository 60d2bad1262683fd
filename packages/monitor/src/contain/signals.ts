/**
 * The only way a signal leaves the monitor. A pid alone may be another process by now, so a signal goes to a pid and a start time:
 * through a descriptor of the process, opened before its start time is compared, so that what is signalled is what was compared.
 * Without koffi the comparison comes just before the signal; in between lies a moment in which the pid could be reused.
 */
import { constants } from 'node:os';
import type { ProcessId } from '../activity.ts';
import { archTable } from '../kernel/syscalls.ts';
import type { Native } from '../native/native.ts';
import type { ProcessTable } from './process-table.ts';

export type StopSignal = 'SIGSTOP' | 'SIGCONT' | 'SIGKILL';

/** `spared`: ourselves, what we descend from, or no process that may be signalled. `denied`: another user's. */
export type SignalOutcome = 'sent' | 'gone' | 'denied' | 'spared';

export interface Signaller {
  send(to: ProcessId, signal: StopSignal): SignalOutcome;
  /** The same through one of its threads, where that can be done: who a process tells of its signals may be held in a call, and hears of none. */
  sendThrough(thread: number, to: ProcessId, signal: StopSignal): SignalOutcome;
  isSpared(process: ProcessId): boolean;
  /** Cheaper: false says that it is not spared, whatever its start time. */
  maySpare(pid: number): boolean;
}

export interface SignallerOptions {
  readonly table: ProcessTable;
  readonly native?: Native | undefined;
  /** Without `native`; Node's where it is not given. */
  readonly kill?: Kill;
  /** Never signalled, with all it descends from; this process where it is not given. */
  readonly self?: number;
}

type Kill = (pid: number, signal: StopSignal) => void;

const killByPid: Kill = (pid, signal) => void process.kill(pid, signal);

const { ESRCH } = constants.errno;

export function signaller({ table, native, kill = killByPid, self = process.pid }: SignallerOptions): Signaller {
  // Whoever loses its parent goes to one of its other ancestors, so nobody joins these later.
  const ancestors = lineage(table, self);
  const isSpared = ({ pid, start }: ProcessId): boolean =>
    !Number.isSafeInteger(pid) || pid <= 1 || pid === self || ancestors.get(pid) === start;
  const isStill = ({ pid, start }: ProcessId): boolean => table.read(pid)?.start === start;
  const send = (to: ProcessId, signal: StopSignal): SignalOutcome => {
    if (isSpared(to)) return 'spared';
    if (native === undefined) return isStill(to) ? byPid(to.pid, signal, kill) : 'gone';
    return byDescriptor(to.pid, native, () => (isStill(to) ? (pidfd) => native.pidfdSignal(pidfd, constants.signals[signal]) : undefined));
  };
  const tgkill = archTable(process.arch)?.numbers.get('tgkill');
  return {
    isSpared,
    maySpare: (pid) => pid <= 1 || ancestors.has(pid),
    send,
    sendThrough: (thread, to, signal) => {
      if (native === undefined || tgkill === undefined) return send(to, signal);
      if (isSpared(to)) return 'spared';
      const number = constants.signals[signal];
      // Of this very process: as long as we have a descriptor of it, its pid is nobody else's.
      return byDescriptor(to.pid, native, () => (isStill(to) ? () => native.kernel.syscall(tgkill, to.pid, thread, number) : undefined));
    },
  };
}

/** No chain of ancestors is longer; a table that loops ends here. */
const MAX_LINEAGE = 1_000;

/** A process and its ancestors: start times by pid. */
export function lineage(table: ProcessTable, self: number): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (let process = table.read(self); process !== undefined; process = table.read(process.parent)) {
    if (found.has(process.pid) || found.size >= MAX_LINEAGE) break;
    found.set(process.pid, process.start);
  }
  return found;
}

/** @param sending - asked once a descriptor is open. Undefined: it is another process by now. */
function byDescriptor(pid: number, native: Native, sending: () => ((pidfd: number) => number) | undefined): SignalOutcome {
  const pidfd = native.pidfdOpen(pid);
  if (pidfd < 0) return outcomeOf(pidfd);
  try {
    const send = sending();
    return send === undefined ? 'gone' : outcomeOf(send(pidfd));
  } finally {
    native.close(pidfd);
  }
}

function byPid(pid: number, signal: StopSignal, kill: Kill): SignalOutcome {
  try {
    kill(pid, signal);
    return 'sent';
  } catch (error) {
    return error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? outcomeOf(error.errno) : 'denied';
  }
}

/** Whatever else the kernel answers (a thread that is no process, no descriptor left), the signal was not sent. */
function outcomeOf(result: number): SignalOutcome {
  if (result >= 0) return 'sent';
  return result === -ESRCH ? 'gone' : 'denied';
}
