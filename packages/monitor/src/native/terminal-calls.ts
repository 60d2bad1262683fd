/**
 * Job control: which process group has a terminal, and what becomes of others that use it. Through koffi as all of `native`; answers like
 * the kernel, less than zero is the negated errno.
 *
 * @see tcsetpgrp(3), termios(3), signal(7)
 */
import type * as Koffi from 'koffi';
import { callsOf } from './calls-of.ts';

export interface TerminalCalls {
  /** This whole process does not get the signal from now on. What it starts does, where Node starts it. */
  ignoreSignal(signal: number): number;
  ownGroup(): number;
  /** Who has the terminal. `ENOTTY`: it is none, or not that of our session. */
  foregroundGroup(fd: number): number;
  setForegroundGroup(fd: number, group: number): number;
  /** What was typed and not read is gone. */
  dropTyped(fd: number): number;
}

const SIG_IGN = 1;
const TCIFLUSH = 0;

/** @throws when the C library lacks a function */
export function terminalBindings(koffi: typeof Koffi): TerminalCalls {
  const fn = callsOf(koffi);
  // What it returns is the address of a function, or -1.
  const signal = fn('signal', 'long', ['int', 'long']);
  const getpgrp = fn('getpgrp', 'int', []);
  const tcgetpgrp = fn('tcgetpgrp', 'int', ['int']);
  const tcsetpgrp = fn('tcsetpgrp', 'int', ['int', 'int']);
  const tcflush = fn('tcflush', 'int', ['int', 'int']);
  return {
    ignoreSignal: (number) => signal(number, SIG_IGN),
    ownGroup: () => getpgrp(),
    foregroundGroup: tcgetpgrp,
    setForegroundGroup: tcsetpgrp,
    dropTyped: (fd) => tcflush(fd, TCIFLUSH),
  };
}
