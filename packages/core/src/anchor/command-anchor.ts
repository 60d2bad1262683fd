/** Checkpoints to a command of the operator's: an upload, a mail, a printer. */
import { spawn } from 'node:child_process';
import { CountersignError } from '../errors.ts';
import type { Anchor } from '../interfaces.ts';

/** What a command may write before it is stopped; it is thrown away. */
const MAX_OUTPUT_BYTES = 65_536;
/** All that a command sees of our environment: keys and tokens may stand in the rest. */
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'TZ', 'SystemRoot'];

/**
 * Runs a command with the note on its standard input. Exit 0 means that the note is kept. No shell is involved, and what
 * the command writes is not shown: it may be secret.
 *
 * @param command - program and arguments.
 */
export function commandAnchor(command: readonly string[]): Anchor {
  const [program, ...args] = command;
  if (program === undefined || program === '') throw new CountersignError('OPTIONS_INVALID', 'anchor: the command is empty');
  return { name: `command ${program}`, publish: (note, { signal }) => run(program, args, note, signal) };
}

function run(program: string, args: readonly string[], note: string, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const env = Object.fromEntries(PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
    const child = spawn(program, [...args], { env, shell: false, stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true });
    let written = 0;
    const stop = (): void => void child.kill('SIGKILL');
    const count = (chunk: Buffer): void => {
      written += chunk.length;
      if (written > MAX_OUTPUT_BYTES) stop();
    };
    child.stdout.on('data', count);
    child.stderr.on('data', count);
    // A command that does not read its input says so by its exit code.
    child.stdin.on('error', () => undefined);
    signal.addEventListener('abort', stop, { once: true });
    child.once('error', (error) => {
      signal.removeEventListener('abort', stop);
      const code = 'code' in error ? String(error.code) : 'unknown error';
      fail(failed(`it cannot be started (${code})`));
    });
    child.once('close', (code, by) => {
      signal.removeEventListener('abort', stop);
      if (code === 0) return done();
      if (written > MAX_OUTPUT_BYTES) return fail(failed(`it wrote more than ${MAX_OUTPUT_BYTES} bytes and was stopped`));
      fail(failed(code === null ? `it was stopped by ${by ?? 'a signal'}` : `it ended with exit code ${code}`));
    });
    child.stdin.end(note);
  });
}

function failed(what: string): CountersignError {
  return new CountersignError('LEDGER_NOT_ANCHORED', `the command of an anchor: ${what}`);
}
