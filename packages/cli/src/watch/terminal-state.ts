/**
 * The terminal that an agent shares with us. An agent that is ended has no time to put back what it changed, and one that is stopped
 * may have left it so that nobody can type an answer.
 */
import { execFileSync } from 'node:child_process';

/** By its full path: whoever started us chose PATH. */
const STTY = '/bin/stty';
const TIMEOUT_MS = 2_000;
/** What `stty -g` prints, on Linux and macOS. */
const SAVED = /^[0-9A-Za-z:=,._-]{1,1000}$/;
/** Main screen, cursor shown, no colours, no mouse, no bracketed paste. */
const QUIET = '\u001b[?1049l\u001b[?25h\u001b[0m\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1006l\u001b[?2004l';

export interface TerminalState {
  /** As it is now; undefined where nobody can tell. */
  save(): string | undefined;
  restore(saved: string | undefined): void;
  /** So that a line can be typed and seen. */
  makeUsable(): void;
}

/** @param isTerminal - standard input is one. */
export function terminalState(isTerminal: boolean): TerminalState {
  return {
    save: () => {
      const saved = isTerminal ? stty(['-g'])?.trim() : undefined;
      return saved !== undefined && SAVED.test(saved) ? saved : undefined;
    },
    restore: (saved) => {
      if (saved !== undefined) stty([saved]);
    },
    makeUsable: () => {
      if (isTerminal) stty(['sane']);
    },
  };
}

/** For a terminal whose program is gone. */
export function leaveScreen(write: (text: string) => void): void {
  write(QUIET);
}

function stty(args: readonly string[]): string | undefined {
  try {
    return execFileSync(STTY, [...args], {
      stdio: ['inherit', 'pipe', 'ignore'],
      encoding: 'utf8',
      env: {},
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
  } catch {
    return undefined;
  }
}
