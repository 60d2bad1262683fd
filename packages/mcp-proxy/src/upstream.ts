import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { type Duplex, PassThrough, type Readable, type Writable } from 'node:stream';
import { CountersignError } from '@countersign/core';
import type { ServerEnd, ServerPeer } from './server-peer.ts';
import { type Command, windowsCommand } from './windows-command.ts';

/** After a signal that ends a server, how long until it is killed. MCP clients give their server two seconds. */
export const KILL_GRACE_MS = 1_500;
/** How long output may still arrive after the server's process ended; a grandchild may hold the pipe open for ever. */
const DRAIN_MS = 1_000;
/** As a shell says it of a program that cannot be run. */
const CANNOT_RUN = 126;
/** What a launcher says is short. */
const MAX_TOLD_BYTES = 65_536;
const HAS_GROUPS: boolean = process.platform !== 'win32';

export interface UpstreamOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Default: the whole environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly killGraceMs?: number;
  /** Of a launcher that becomes the server: its descriptor 3, a pipe that carries both ways, closed before the server runs. */
  readonly control?: LauncherControl;
}

export interface LauncherControl {
  /** Written at once. */
  readonly send: Uint8Array;
  /** @param told - all that came from it, at most `MAX_TOLD_BYTES`. @returns why there is no server; undefined when there was one */
  problem(told: Buffer): string | undefined;
}

/** A process of a server that runs. */
export interface StartedServer {
  readonly pid: number;
  /** Resolves when it ended, and never rejects: its pid may be another's then. */
  readonly ended: Promise<unknown>;
}

/** The server's process and everything it started, ended together. One that cannot be started has ended at once. */
export class Upstream implements ServerPeer {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the process ended and its output was read; with what a shell would give as exit code. */
  readonly ended: Promise<ServerEnd>;
  readonly #child: ChildProcess | undefined;
  readonly #killGraceMs: number;
  #killing: NodeJS.Timeout | undefined;
  #over = false;

  constructor(options: UpstreamOptions) {
    const { command, killGraceMs, control } = options;
    const child = spawned(options);
    this.#child = 'problem' in child ? undefined : child;
    this.#killGraceMs = killGraceMs ?? KILL_GRACE_MS;
    // Without a descriptor for them there are no pipes either.
    this.stdin = this.#child?.stdin ?? new PassThrough();
    this.stdout = this.#child?.stdout ?? new PassThrough().end();
    this.stderr = this.#child?.stderr ?? new PassThrough().end();
    // A server that stops reading ends soon; that is reported by `ended`, not here.
    this.stdin.on('error', () => {});
    this.ended = this.#watch(endOf(child, command), control === undefined ? () => undefined : this.#launch(control));
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Sends a signal to the whole group. */
  signal(signal: NodeJS.Signals): void {
    if (this.#over) return;
    try {
      if (this.pid !== undefined) process.kill(HAS_GROUPS ? -this.pid : this.pid, signal);
    } catch {
      // Nobody left to signal.
    }
  }

  /** Asks the server to end, and kills what is left of it after the grace. */
  terminate(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.#over || this.#killing !== undefined) return;
    this.#killing = setTimeout(() => this.kill(), this.#killGraceMs);
    this.signal(signal);
  }

  kill(): void {
    this.signal('SIGKILL');
  }

  /** @returns what the launcher said was wrong, once it ended */
  #launch(control: LauncherControl): () => string | undefined {
    const channel = this.#child?.stdio?.[3] as unknown as Duplex | null | undefined; // of the descriptor that was asked for
    const told: Buffer[] = [];
    let toldBytes = 0;
    // It may end before it read all.
    channel?.on('error', () => {});
    channel?.on('data', (chunk: Buffer) => {
      toldBytes += chunk.length;
      if (toldBytes <= MAX_TOLD_BYTES) told.push(chunk);
    });
    channel?.end(control.send);
    return () => control.problem(Buffer.concat(told));
  }

  async #watch(exited: Promise<ServerEnd>, problem: () => string | undefined): Promise<ServerEnd> {
    const ended = await exited;
    await drained(this.stdout);
    // Only a server that was told to end takes its descendants with it.
    if (this.#killing !== undefined) this.kill();
    this.#over = true;
    clearTimeout(this.#killing);
    this.#killing = undefined;
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy();
    const why = ended.code === CANNOT_RUN ? problem() : undefined;
    return why === undefined ? ended : { code: CANNOT_RUN, reason: `the server could not be started: ${why}` };
  }
}

/** The system says some problems at once, by throwing, and others later. */
function spawned({ command, args, env = process.env, cwd, control }: UpstreamOptions): ChildProcess | { readonly problem: string } {
  try {
    const started: Command = HAS_GROUPS ? { command, args } : windowsCommand(command, args, env);
    // Its own process group: `npx server` is three processes, and a signal to the first often misses the last.
    return spawn(started.command, started.args, {
      stdio: control === undefined ? ['pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe', 'pipe'],
      env,
      detached: HAS_GROUPS,
      windowsHide: true,
      ...(started.windowsVerbatimArguments === true && { windowsVerbatimArguments: true }),
      ...(cwd === undefined ? {} : { cwd }),
    });
  } catch (error) {
    // What node says of an argument repeats it.
    const known = CountersignError.is(error) ? error.message : (error as NodeJS.ErrnoException).code;
    return { problem: known ?? 'unknown error' };
  }
}

function endOf(child: ReturnType<typeof spawned>, command: string): Promise<ServerEnd> {
  if ('problem' in child) return Promise.resolve({ code: CANNOT_RUN, reason: `the server could not be started: ${child.problem}` });
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT';
      resolve({
        code: missing ? 127 : CANNOT_RUN,
        reason: `the server could not be started: ${missing ? `${command} not found` : error.message}`,
      });
    });
    child.once('exit', (code, signal) => {
      const number = signal === null ? (code ?? 1) : 128 + constants.signals[signal];
      resolve({ code: number, reason: `the server ended with ${signal === null ? `exit code ${number}` : signal}` });
    });
  });
}

/** Resolves when the stream was read to its end, or when nothing came for `DRAIN_MS` although somebody was reading. */
async function drained(stream: Readable): Promise<void> {
  if (stream.readableEnded || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    let quiet = true;
    const timer = setInterval(() => {
      if (quiet && !stream.isPaused()) finish();
      quiet = true;
    }, DRAIN_MS);
    const finish = (): void => {
      clearInterval(timer);
      resolve();
    };
    stream.on('data', () => {
      quiet = false;
    });
    stream.once('close', finish);
  });
}
