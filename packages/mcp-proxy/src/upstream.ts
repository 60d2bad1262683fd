import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Duplex, Readable, Writable } from 'node:stream';
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

/** The server's process and everything it started, ended together. */
export class Upstream implements ServerPeer {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the process ended and its output was read; with what a shell would give as exit code. */
  readonly ended: Promise<ServerEnd>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #killGraceMs: number;
  #killing: NodeJS.Timeout | undefined;
  #over = false;

  /** @throws {CountersignError} `OPTIONS_INVALID`: on Windows, an argument that no script can be given. */
  constructor({ command, args, env, cwd, killGraceMs, control }: UpstreamOptions) {
    const started: Command = HAS_GROUPS ? { command, args } : windowsCommand(command, args, env ?? process.env);
    // Its own process group: `npx server` is three processes, and a signal to the first often misses the last.
    this.#child = spawn(started.command, started.args, {
      stdio: control === undefined ? ['pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe', 'pipe'],
      env: env ?? process.env,
      detached: HAS_GROUPS,
      windowsHide: true,
      ...(started.windowsVerbatimArguments === true && { windowsVerbatimArguments: true }),
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#killGraceMs = killGraceMs ?? KILL_GRACE_MS;
    this.stdin = this.#child.stdin;
    this.stdout = this.#child.stdout;
    this.stderr = this.#child.stderr;
    // A server that stops reading ends soon; that is reported by `ended`, not here.
    this.stdin.on('error', () => {});
    this.ended = this.#watch(command, control === undefined ? () => undefined : this.#launch(control));
  }

  get pid(): number | undefined {
    return this.#child.pid;
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
    const channel = this.#child.stdio[3] as unknown as Duplex | null | undefined; // of the descriptor that was asked for
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

  async #watch(command: string, problem: () => string | undefined): Promise<ServerEnd> {
    const ended = await new Promise<{ code: number; reason: string }>((resolve) => {
      this.#child.once('error', (error: NodeJS.ErrnoException) => {
        const missing = error.code === 'ENOENT';
        resolve({
          code: missing ? 127 : CANNOT_RUN,
          reason: `the server could not be started: ${missing ? `${command} not found` : error.message}`,
        });
      });
      this.#child.once('exit', (code, signal) => {
        const number = signal === null ? (code ?? 1) : 128 + constants.signals[signal];
        resolve({ code: number, reason: `the server ended with ${signal === null ? `exit code ${number}` : signal}` });
      });
    });
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
