/**
 * The outermost place of a hook: whatever ends this process without an answer ends it with a deny.
 *
 * Exit code 1 is what a program has that fails by itself, and to Claude Code it means: go on. So the exit code is 2 from the
 * first line on, and becomes another one only with an answer in hand. Loads nothing but Node's own modules.
 */
import { writeSync } from 'node:fs';

const DENY_EXIT = 2;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPIPE'] as const;
const MAX_MESSAGE_CHARS = 500;

/** Installs it. */
export function denyWhateverFails(): void {
  process.exitCode = DENY_EXIT;
  process.on('uncaughtException', (error) => denyNow(error));
  process.on('unhandledRejection', (error) => denyNow(error));
  for (const signal of SIGNALS) process.on(signal, () => denyNow(new Error(`ended by ${signal}`)));
}

/** Denies unless an answer was given in time: below the time after which the client goes on without one. */
export function denyAfter(ms: number): void {
  setTimeout(() => denyNow(new Error(`no decision within ${ms} ms`)), ms).unref();
}

export function denyNow(error: unknown): never {
  const message = error instanceof Error ? error.message : 'unknown error';
  say(2, `countersign: this call did not run: the hook failed (${message.slice(0, MAX_MESSAGE_CHARS)})\n`);
  process.exit(DENY_EXIT);
}

/** Ends the process with an answer. An answer that cannot be written is none. */
export function answerAndExit({
  exitCode,
  stdout,
  stderr,
}: {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}): never {
  const isTold = say(1, stdout);
  say(2, stderr);
  process.exit(isTold && exitCode === 0 ? 0 : DENY_EXIT);
}

/** Waits for slow readers: the process ends right after. */
function say(descriptor: 1 | 2, text: string): boolean {
  const bytes = Buffer.from(text);
  const until = Date.now() + WRITE_TIMEOUT_MS;
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN') || Date.now() > until) return false;
    }
  }
  return true;
}
const WRITE_TIMEOUT_MS = 5_000;
