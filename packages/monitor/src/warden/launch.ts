/**
 * Starts an agent that runs nothing until it is watched: a shell waits on a pipe for our word, then becomes the agent. In between it
 * is entered into the tree, and into a control group where there is one, so that whatever the agent starts is born in both.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { CountersignError } from '@countersign/core';

const SHELL = '/bin/sh';
/** Our word comes as one line; when we are gone before it, it never comes, and nothing is started. */
const WAIT_THEN_BECOME = 'IFS= read -r go <&3 || exit 125; exec 3<&-; unset go; exec "$@"';
const MAX_PATH_FOLDERS = 1_000;

export interface LaunchOptions {
  /** Absolute: see `findProgram`. */
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Default: it has our own standard streams, and with them our terminal. */
  readonly stdio?: 'inherit' | 'pipe';
}

export interface AgentEnd {
  readonly code?: number;
  readonly signal?: NodeJS.Signals;
}

export interface LaunchedAgent {
  readonly pid: number;
  readonly child: ChildProcess;
  /** From here on it runs. */
  go(): void;
  /** Resolves when it ended; what it started may still run. */
  readonly ended: Promise<AgentEnd>;
}

/** @throws {CountersignError} `MONITOR_UNAVAILABLE` when no process could be started */
export async function launchAgent({ program, args, cwd, env, stdio = 'inherit' }: LaunchOptions): Promise<LaunchedAgent> {
  const child = spawn(SHELL, ['-c', WAIT_THEN_BECOME, 'countersign', program, ...args], {
    cwd,
    env,
    stdio: [stdio, stdio, stdio, 'pipe'],
  });
  const ended = new Promise<AgentEnd>((done) => {
    child.once('exit', (code, signal) => done({ ...(code !== null && { code }), ...(signal !== null && { signal }) }));
  });
  const gate = child.stdio[3];
  // It may end before it is told to go: that is told by `ended`.
  gate?.on('error', () => {});
  await new Promise<void>((started, failed) => {
    child.once('spawn', started);
    child.once('error', (cause) =>
      failed(new CountersignError('MONITOR_UNAVAILABLE', `the agent could not be started: ${cause.message}`, { cause })),
    );
  });
  child.on('error', () => {});
  const { pid } = child;
  if (pid === undefined || gate === undefined || gate === null || !('end' in gate))
    throw new CountersignError('MONITOR_UNAVAILABLE', 'the agent could not be started: it has no process id');
  return { pid, child, ended, go: () => void gate.end('\n') };
}

export type FoundProgram = { readonly program: string } | { readonly missing: 'not found' | 'not executable' };

/** The file a shell would run for this word. @param path - `PATH`. */
export function findProgram(word: string, cwd: string, path: string | undefined): FoundProgram {
  if (word === '' || word.includes('\0')) return { missing: 'not found' };
  if (word.includes('/')) return look(resolve(cwd, word));
  let best: FoundProgram = { missing: 'not found' };
  for (const folder of (path ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter).slice(0, MAX_PATH_FOLDERS)) {
    // An empty folder is the working directory, for shells.
    const found = look(join(isAbsolute(folder) ? folder : resolve(cwd, folder), word));
    if ('program' in found) return found;
    if (found.missing === 'not executable') best = found;
  }
  return best;
}

function look(file: string): FoundProgram {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return { missing: 'not found' };
  if (!stats.isFile()) return { missing: 'not executable' };
  try {
    accessSync(file, constants.X_OK);
    return { program: file };
  } catch {
    return { missing: 'not executable' };
  }
}
