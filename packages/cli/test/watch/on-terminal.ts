/** Commands on a terminal of their own, with what a person types there. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CLI, NODE } from './agent-process.ts';

export const hasPython: boolean = spawnSync('python3', ['-c', 'import os; os.waitstatus_to_exitcode']).status === 0;
if (!hasPython) console.warn('SKIPPED: python3 (3.9 or later) makes the terminal; without it nothing here is shown');

const DRIVER = fileURLToPath(new URL('on-terminal.py', import.meta.url));
export const RUN: readonly string[] = [process.execPath, ...NODE, CLI, 'run'];

/** What is typed sooner after a question counts as typed before it. Seconds. */
export const ANSWER_AFTER = 1;

export interface Shown {
  readonly output: string;
  readonly code: number;
  readonly steps: number;
}

/** What is typed once that is shown, and so many seconds later. */
export type Step = readonly [pattern: string, typed: string, secondsBefore?: number];

export async function onTerminal(cwd: string, command: readonly string[], steps: readonly Step[], seconds = 200): Promise<Shown> {
  const { stdout } = await promisify(execFile)('python3', [
    DRIVER,
    JSON.stringify({ command, cwd, steps: steps.map(([pattern, typed, pause = 0]) => [pattern, typed, pause]), seconds }),
  ]);
  return JSON.parse(stdout) as Shown;
}

/** Below a shell with job control, as people start it. The last step is its prompt after it. */
export function inShell(cwd: string, command: readonly string[], steps: readonly Step[], seconds?: number): Promise<Shown> {
  const typed = `${command.map((word) => `'${word}'`).join(' ')}; echo "code $?"`;
  return onTerminal(cwd, ['bash', '--norc', '-i'], [['[#$] ', `${typed}\n`], ...steps, ['code \\d+\r', 'exit\n']], seconds);
}
