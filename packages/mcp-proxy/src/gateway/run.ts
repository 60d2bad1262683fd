import { GuardSource, type ProxyGuard } from '../guard-source.ts';
import { RemoteUpstream, type RemoteUpstreamOptions } from '../http/remote-upstream.ts';
import { FORWARDED_SIGNALS, flushed, HALF_CLOSE_MS, pump, type StdioClientOptions } from '../stdio.ts';
import { Target } from '../target.ts';
import { type StartedServer, Upstream, type UpstreamOptions } from '../upstream.ts';
import { Gateway } from './gateway.ts';
import type { GatewayServer } from './link.ts';
import { peerServer } from './peer-server.ts';

/** One server, by its name in rules: a program, or one over HTTP. */
export type GatewayTarget = { readonly name: string } & (UpstreamOptions | Omit<RemoteUpstreamOptions, 'log'>);

/** What a client over stdio is given, as before a single server. The guard is the one of all servers. */
export interface StdioGatewayOptions extends Omit<StdioClientOptions, 'server'> {
  readonly servers: readonly GatewayTarget[];
  /** Of this program, for clients. */
  readonly version: string;
  /** The process of a server runs; called for every process. */
  readonly onServer?: (server: string, upstream: StartedServer) => void;
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
    servers: options.servers.map((server) => serverOf(server, targetOf(server.name, guard, options, log), options)),
    toClient: (bytes) => void stdout.write(bytes),
    log,
    recordInvalid: async (tool, reason) => source.recordInvalid(tool, reason),
    version,
    ...(greetingWaitMs !== undefined && { greetingWaitMs }),
    ...(listWaitMs !== undefined && { listWaitMs }),
  });
  const asked = told(options);
  // No server holds up what is for another: what one does not read waits in its own pipe, and has its own limit.
  const client = pump(stdin, [stdout], (line) => gateway.fromClient(line)).then(() => {
    gateway.clientSilent();
    return Promise.race([gateway.idle(), after(options.halfCloseMs ?? HALF_CLOSE_MS)]);
  });
  const code = await Promise.race([client.then(() => 0), asked.code]);
  await gateway.close();
  asked.release();
  stdin.pause();
  await flushed(stdout);
  return code;
}

function targetOf(
  server: string,
  guard: () => Promise<ProxyGuard>,
  { mcp, approvals }: StdioGatewayOptions,
  log: (text: string) => void,
): Target {
  return new Target({ guard, server, log, ...(mcp !== undefined && { mcp }), ...(approvals !== undefined && { approvals }) });
}

function serverOf(server: GatewayTarget, target: Target, options: StdioGatewayOptions): GatewayServer {
  const { stdout, stderr, onInvalid, answerAt, onServer, exitGraceMs } = options;
  return peerServer({
    target,
    open: () => ('url' in server ? new RemoteUpstream({ ...server, log: target.log }) : new Upstream(server)),
    stdout,
    stderr,
    interposer: { ...(onInvalid !== undefined && { onInvalid }), ...(answerAt !== undefined && { answerAt }) },
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
