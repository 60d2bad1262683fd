/**
 * The terminal that a warden shares with those it watches. Any of them can take its foreground, and from then on whoever else writes to it
 * or reads from it may be stopped, with all of its group: the warden as well. So it is stopped by no such thing, and takes the terminal
 * when it has to ask. Without koffi it can do neither.
 */
import { constants } from 'node:os';
import { processTable } from '../contain/process-table.ts';
import { descends, type Processes, processesOf } from '../kernel/processes.ts';
import { type Native, native } from '../native/native.ts';

const { SIGTTIN, SIGTTOU } = constants.signals;

/** Of this whole process, for good. What Node starts is stopped as ever. */
export function goOnInBackground(calls: Pick<Native, 'terminal'> | undefined = native()): void {
  for (const signal of [SIGTTIN, SIGTTOU]) calls?.terminal.ignoreSignal(signal);
}

export interface SharedTerminal {
  /** Whether `take` would: changes nothing. */
  canTake(): boolean;
  /** False: it is another job's, as when a shell started us in the background. True: it is ours, or nobody can tell. */
  take(): boolean;
  /** To whom it was taken from. */
  giveBack(): void;
  /** What was typed before now is no answer to anything. */
  dropTyped(): void;
}

export interface SharedTerminalOptions {
  readonly fd: number;
  readonly calls?: Pick<Native, 'terminal'> | undefined;
  readonly processes?: Pick<Processes, 'warden' | 'parentOf' | 'groupOf'>;
  /** Of all there are. */
  readonly pids?: () => readonly number[];
}

export function sharedTerminal({
  fd,
  calls = native(),
  processes = processesOf(process.pid),
  pids = () => processTable().pids(),
}: SharedTerminalOptions): SharedTerminal {
  const terminal = calls?.terminal;
  let takenFrom: number | undefined;
  /** Undefined: it is ours, or nobody can tell. */
  const others = (): { readonly group: number; readonly own: number } | undefined => {
    const group = terminal?.foregroundGroup(fd) ?? -1;
    const own = terminal?.ownGroup() ?? -1;
    return group < 0 || group === own ? undefined : { group, own };
  };
  // A group that nobody is left of is nobody's.
  const isWatched = (group: number): boolean =>
    pids()
      .filter((pid) => processes.groupOf(pid) === group)
      .every((pid) => descends(pid, processes));
  return {
    canTake: () => {
      const found = others();
      return found === undefined || isWatched(found.group);
    },
    take: () => {
      const found = others();
      if (terminal === undefined || found === undefined) return true;
      const { group, own } = found;
      if (!isWatched(group)) return false;
      if (terminal.setForegroundGroup(fd, own) < 0) return false;
      takenFrom = group;
      return true;
    },
    giveBack: () => {
      const group = takenFrom;
      takenFrom = undefined;
      // A shell may have it by now.
      if (terminal === undefined || group === undefined || terminal.foregroundGroup(fd) !== terminal.ownGroup()) return;
      terminal.setForegroundGroup(fd, group);
    },
    dropTyped: () => void terminal?.dropTyped(fd),
  };
}
