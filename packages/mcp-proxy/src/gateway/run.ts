import type { Readable, Writable } from 'node:stream';
import { GuardSource, type ProxyGuard } from '../guard-source.ts';
import type { InterposerOptions } from '../interposer.ts';
import { FORWARDED_SIGNALS, flushed, HALF_CLOSE_MS, pump } from '../stdio.ts';
import { Target, type TargetOptions } from '../target.ts';
import type { UpstreamOptions } from '../upstream.ts';
import { Gateway } from './gateway.ts';
import type { GatewayServer } from './link.ts';
import { processServer } from './process-server.ts';

/** One server: a program, or whatever can be connected to. */
export type GatewayTarget =
  | ({ readonly name: string } & UpstreamOptions)
  | { readonly name: string; readonly connect: (target: Target, receive: (bytes: Buffer) => void) => ReturnType<GatewayServer['connect']> };

export interface StdioGatewayOptions {
  readonly servers: readonly GatewayTarget[];
  /** Opens the guard, the one of all servers. Called at the first call, and again after a failure. Closing it is up to the caller. */
  readonly guard: () => Promise<ProxyGuard>;
  readonly stdin: Readable;
  /** Carries protocol and nothing else. */
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Of this program, for clients. */
  readonly version: string;
  /** What else there is to say about every server. */
  readonly target?: Omit<TargetOptions, 'guard' | 'server' | 'log'>;
  readonly interposer?: Omit<InterposerOptions, 'target' | 'lane' | 'framing'>;
  /** The process of a server runs; called for every process. */
  readonly onServer?: (server: string, upstream: { readonly pid: number }) => void;
  /** Where signals come from; default this process. */
  readonly signals?: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  readonly exitGraceMs?: number;
  readonly halfCloseMs?: number;
  readonly greetingWaitMs?: number;
  readonly listWaitMs?: number;
}

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs several MCP servers behind the guard as one server on this process' standard streams, until the client is gone.
 *
 * No server is started before the client speaks. All of them, and what they started, are ended with this process; when it is
 * killed outright they see the end of their input.
 *
 * @returns the exit code to end with: 0, or 128 + n after signal n.
 */
export async function runStdioGateway(options: StdioGatewayOptions): Promise<number> {
  const { stdin, stdout, stderr } = options;
  const log = (text: string): void => void stderr.write(`countersign: ${text}\n`);
  const guard = shared(options.guard);
  const source = new GuardSource(guard, log);
  const { version, greetingWaitMs, listWaitMs } = options;
  const gateway = new Gateway({
    servers: options.servers.map((server) => serverOf(server, new Target({ ...options.target, guard, server: server.name, log }), options)),
    toClient: (bytes) => void stdout.write(bytes),
    log,
    recordInvalid: async (tool, reason) => source.recordInvalid(tool, reason),
    version,
    ...(greetingWaitMs !== undefined && { greetingWaitMs }),
    ...(listWaitMs !== undefined && { listWaitMs }),
  });
  const asked = told(options);
  // No server holds up what is for another: what one does not read waits in its own pipe, and has its own limit.
  const client = pump(stdin, [stdout], (line) => gateway.fromClient(line)).then(() =>
    Promise.race([gateway.idle(), after(options.halfCloseMs ?? HALF_CLOSE_MS)]),
  );
  const code = await Promise.race([client.then(() => 0), asked.code]);
  await gateway.close();
  asked.release();
  stdin.pause();
  await flushed(stdout);
  return code;
}

function serverOf(server: GatewayTarget, target: Target, options: StdioGatewayOptions): GatewayServer {
  if ('connect' in server) return { name: server.name, connect: (receive) => server.connect(target, receive) };
  const { stdout, stderr, interposer, onServer, exitGraceMs } = options;
  return processServer({
    ...server,
    target,
    stdout,
    stderr,
    ...(interposer !== undefined && { interposer }),
    ...(onServer !== undefined && { onReady: (upstream) => onServer(server.name, upstream) }),
    ...(exitGraceMs !== undefined && { exitGraceMs }),
  });
}

/** One guard for all servers, whoever needs it first. */
function shared(open: () => Promise<ProxyGuard>): () => Promise<ProxyGuard> {
  let opening: Promise<ProxyGuard> | undefined;
  return async () => {
    const mine = (opening ??= Promise.resolve().then(open));
    try {
      return await mine;
    } catch (error) {
      if (opening === mine) opening = undefined;
      throw error;
    }
  };
}

/** Resolves when this process is told to end, or nobody reads what it says. */
function told({ stdout, stderr, signals = process }: StdioGatewayOptions): {
  readonly code: Promise<number>;
  readonly release: () => void;
} {
  let end: (code: number) => void = () => {};
  const code = new Promise<number>((resolve) => {
    end = resolve;
  });
  const handlers = FORWARDED_SIGNALS.map((signal) => [signal, () => end(128 + SIGNAL_NUMBERS[signal])] as const);
  // The error handlers stay: a late write error of a client that is gone must not end this process.
  stdout.on('error', () => end(0));
  stderr.on('error', () => {});
  for (const [signal, handler] of handlers) signals.on(signal, handler);
  return {
    code,
    release: () => {
      for (const [signal, handler] of handlers) signals.off(signal, handler);
    },
  };
}

async function after(ms: number): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
}
