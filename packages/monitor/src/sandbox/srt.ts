/**
 * sandbox-runtime: bubblewrap with namespaces of its own on Linux, Seatbelt on macOS, and a proxy of ours for what goes out. It knows
 * one configuration for a process, so there is one of it at a time; each command has its own paths.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { CountersignError } from '@countersign/core';
import type { Scope } from '../scope/scope.ts';
import { findProgram } from '../system-program.ts';
import { placesOf } from './places.ts';
import { filesystemOf, loadRuntime, type SandboxRuntime } from './runtime.ts';
import type { Sandbox, SandboxCommand, SandboxKind } from './sandbox-kind.ts';
import { mayConnect, type SrtFiles, srtSettings } from './srt-settings.ts';

export interface SrtHost {
  readonly load: () => Promise<SandboxRuntime>;
  readonly find: (name: string) => string | undefined;
  /** Runs a command line; whether it ended well. */
  readonly tries: (commandLine: string) => Promise<boolean>;
}

const SHELL = '/bin/sh';
const TRY_MS = 15_000;
const NOTHING: SrtFiles = { denyRead: [], allowRead: [], allowWrite: [], denyWrite: [] };
/** Of attribution within it; its own documents ask for so many. */
const COMMAND_ID_BYTES = 16;

const THIS: SrtHost = {
  load: loadRuntime,
  find: findProgram,
  tries: async (commandLine) => {
    try {
      await promisify(execFile)(SHELL, ['-c', commandLine], { timeout: TRY_MS, killSignal: 'SIGKILL' });
      return true;
    } catch {
      return false;
    }
  },
};

let isOpen = false;

export function srtSandbox(host: SrtHost = THIS): SandboxKind {
  return { name: 'srt', open: (scope) => open(scope, host) };
}

async function open(scope: Scope, host: SrtHost): Promise<Sandbox | { readonly missing: string }> {
  if (isOpen) return { missing: 'sandbox-runtime holds one scope at a time, and is in use in this process' };
  let runtime: SandboxRuntime;
  try {
    runtime = await host.load();
  } catch {
    return { missing: 'sandbox-runtime is not installed or does not load here: npm install @anthropic-ai/sandbox-runtime@0.0.83' };
  }
  if (!runtime.isSupportedPlatform()) return { missing: `sandbox-runtime does not know this platform (${process.platform})` };
  const { errors } = runtime.checkDependencies();
  if (errors.length > 0) return { missing: errors.join(', ') };
  isOpen = true;
  try {
    await runtime.initialize(
      { network: { allowedDomains: [], deniedDomains: [] }, filesystem: filesystemOf(NOTHING), ...programs(host) },
      async ({ host: name, port }) => mayConnect(scope, name, port),
    );
    const line = await wrapped(runtime, host, { program: SHELL, args: ['-c', ':'] }, NOTHING);
    if (await host.tries(line)) return opened(scope, runtime, host);
    await closed(runtime);
    return { missing: 'a program that does nothing could not be started in it: user namespaces may not be allowed here' };
  } catch (error) {
    await closed(runtime);
    return { missing: error instanceof Error ? (error.message.split('\n', 1)[0] ?? '').slice(0, MAX_REASON_CHARS) : 'it failed' };
  }
}

const MAX_REASON_CHARS = 300;

function opened(scope: Scope, runtime: SandboxRuntime, host: SrtHost): Sandbox {
  return {
    name: 'srt',
    prepare: async (command, surroundings) => {
      const { files, unexpressed } = srtSettings(scope, placesOf(command, surroundings));
      try {
        return { ...command, program: SHELL, args: ['-c', await wrapped(runtime, host, command, files)], unexpressed };
      } catch (cause) {
        throw new CountersignError('MONITOR_UNAVAILABLE', 'sandbox-runtime could not prepare the command', { cause });
      }
    },
    close: () => closed(runtime),
  };
}

async function closed(runtime: SandboxRuntime): Promise<void> {
  try {
    await runtime.reset();
  } finally {
    isOpen = false;
  }
}

function programs({ find }: SrtHost): {
  readonly bwrapPath?: string;
  readonly socatPath?: string;
  readonly ripgrep?: { readonly command: string };
} {
  const [bwrapPath, socatPath, command] = [find('bwrap'), find('socat'), find('rg')];
  return {
    ...(bwrapPath !== undefined && { bwrapPath }),
    ...(socatPath !== undefined && { socatPath }),
    ...(command !== undefined && { ripgrep: { command } }),
  };
}

async function wrapped(
  runtime: SandboxRuntime,
  { find }: SrtHost,
  command: Pick<SandboxCommand, 'program' | 'args'> & Partial<Pick<SandboxCommand, 'env'>>,
  files: SrtFiles,
): Promise<string> {
  const tmp = command.env?.['TMPDIR'];
  // It names a folder for temporary files that may not be there.
  const line = `${tmp === undefined ? 'unset TMPDIR' : `export TMPDIR=${quotedForShell(tmp)}`}; exec ${[command.program, ...command.args].map(quotedForShell).join(' ')}`;
  const options = { commandId: randomBytes(COMMAND_ID_BYTES).toString('base64url') };
  const whole = await runtime.wrapWithSandbox(line, find('bash') ?? SHELL, { filesystem: filesystemOf(files) }, undefined, options);
  // Then no shell of ours stays above it.
  return /^(?:\/|env )/.test(whole) ? `exec ${whole}` : whole;
}

/** One word for a shell, whatever is in it. */
export function quotedForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
