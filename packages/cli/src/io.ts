/** Everything a command touches of the process it runs in. Tests hand in their own. */
import type { Readable, Writable } from 'node:stream';

export interface Io {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Which of the streams are terminals. */
  readonly isTTY: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  /** Width of the terminal. */
  readonly columns: number;
}

const DEFAULT_COLUMNS = 80;

export function processIo(): Io {
  const { stdin, stdout, stderr, env } = process;
  return {
    stdin,
    stdout,
    stderr,
    env,
    cwd: process.cwd(),
    // The types promise booleans; a pipe has no such member at all.
    isTTY: { stdin: Boolean(stdin.isTTY), stdout: Boolean(stdout.isTTY), stderr: Boolean(stderr.isTTY) },
    columns: stdout.columns > 0 ? stdout.columns : DEFAULT_COLUMNS,
  };
}
