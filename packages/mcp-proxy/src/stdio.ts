import type { Readable, Writable } from 'node:stream';
import type { ApprovalOptions } from './approval/shared.ts';
import { batchedWrites } from './batched-writes.ts';
import type { InvalidMessage } from './client-message.ts';
import type { ProxyGuard } from './guard-source.ts';
import { RemoteUpstream, type RemoteUpstreamOptions } from './http/remote-upstream.ts';
import { Interposer } from './interposer.ts';
import { logTo } from './log.ts';
import { overlong } from './refusals.ts';
import type { ServerPeer } from './server-peer.ts';
import { Target, type TargetOptions } from './target.ts';
import { type StartedServer, Upstream, type UpstreamOptions } from './upstream.ts';
import { type Line, LineReader, MAX_MESSAGE_BYTES, type OnOverlong } from './wire.ts';

/** Client gone, nothing left to answer: how long the server may take to end by itself. */
export const EXIT_GRACE_MS = 1_500;
/** Client gone, answers outstanding: `echo ... | countersign proxy -- server` still wants them. */
export const HALF_CLOSE_MS = 300_000;
export const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What a client over stdio is given, whatever stands behind it. */
export interface StdioClientOptions {
  /**
   * Opens the guard. Called at the first `tools/call` or `tools/list`, not at start: clients start a server once only to look at it.
   * When it rejects, that call is refused and the next one tries again. Closing the guard is up to the caller.
   */
  readonly guard: () => Promise<ProxyGuard>;
  /** The `mcp:` block of the configuration; what is absent has its default. */
  readonly mcp?: NonNullable<TargetOptions['mcp']>;
  /** Name of the server in our configuration, never what it calls itself. */
  readonly server: string;
  readonly stdin: Readable;
  /** Carries protocol and nothing else. */
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Told of every message that was refused before it could be decided. Must not throw. */
  readonly onInvalid?: (message: Pick<InvalidMessage, 'code' | 'text'>) => void;
  /** Where a person answers an approval: told to the client with a call that waits. Must not throw. */
  readonly answerAt?: (approvalId: string) => string;
  /** How people are asked through the client; default not at all. */
  readonly approvals?: ApprovalOptions;
  /** Where signals come from; default this process. */
  readonly signals?: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  readonly exitGraceMs?: number;
  readonly halfCloseMs?: number;
}

export interface StdioProxyOptions extends StdioClientOptions, UpstreamOptions {
  /** The server runs; called once. */
  readonly onReady?: (upstream: StartedServer) => void;
}

export interface RemoteProxyOptions extends StdioClientOptions, Omit<RemoteUpstreamOptions, 'log'> {}

/**
 * Runs an MCP server behind the guard, on this process' standard streams, until the server ends.
 *
 * The server gets the whole environment. It is ended when the client is gone, and answered for when it is gone first.
 *
 * @returns the exit code to end with: the server's own, 128 + n after signal n, 126 or 127 if it could not be started.
 */
export async function runStdioProxy(options: StdioProxyOptions): Promise<number> {
  const upstream = new Upstream(options);
  if (upstream.pid !== undefined) options.onReady?.({ pid: upstream.pid, ended: upstream.ended });
  return run(upstream, options);
}

/**
 * As `runStdioProxy`, in front of a server over HTTP. Nothing is asked of it before the client sends something.
 *
 * @returns 0, or 1 when the server ended the connection.
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export async function runRemoteProxy(options: RemoteProxyOptions): Promise<number> {
  return run(new RemoteUpstream({ ...options, log: logTo(options.stderr) }), options);
}

async function run(upstream: ServerPeer, options: StdioClientOptions): Promise<number> {
  const { stdin, stdout, stderr } = options;
  const log = logTo(stderr);
  const { guard, server: name, mcp, approvals } = options;
  const target = new Target({ guard, server: name, log, ...(mcp !== undefined && { mcp }), ...(approvals !== undefined && { approvals }) });
  const interposer = new Interposer({
    target,
    lane: {
      toClient: (bytes) => void stdout.write(bytes),
      toServer: batchedWrites(upstream.stdin),
      dropped: () => {},
    },
    ...(options.onInvalid === undefined ? {} : { onInvalid: options.onInvalid }),
    ...(options.answerAt === undefined ? {} : { answerAt: options.answerAt }),
  });
  const release = endWith(upstream, options);

  upstream.stderr?.pipe(stderr, { end: false });
  const sinks = [stdout, upstream.stdin];
  const server = pump(
    upstream.stdout,
    sinks.slice(0, 1),
    (line) => interposer.fromServer(line),
    (head) => interposer.serverOverlong(head),
  );
  // Our own answers go to the client, so a client that does not read is not read either.
  const client = pump(stdin, sinks, (line) => interposer.fromClient(line), clientOverlong(log));
  void client.then(() => interposer.clientSilent());
  void client.then(() => closeUpstream(upstream, interposer, options));

  const { code, reason } = await upstream.ended;
  await server;
  await interposer.serverEnded(reason);
  if (code !== 0) log(reason);
  release();
  stdin.pause();
  await flushed(stdout);
  return code;
}

/** It is refused, on record, when it ends; and it may have no end. */
export function clientOverlong(log: (text: string) => void): OnOverlong {
  return () => {
    log(overlong('client'));
    return false;
  };
}

/** Reads lines until the source ends, no faster than every sink takes them. */
export async function pump(
  source: Readable,
  sinks: readonly Writable[],
  handle: (line: Line) => void,
  onOverlong?: OnOverlong,
): Promise<void> {
  const reader = new LineReader(MAX_MESSAGE_BYTES, onOverlong);
  const resume = (): void => {
    if (!sinks.some((sink) => sink.writableNeedDrain)) source.resume();
  };
  for (const sink of sinks) sink.on('drain', resume).on('close', resume);
  await new Promise<void>((resolve) => {
    source.on('data', (chunk: Buffer) => {
      // What one read brought leaves in one write.
      for (const sink of sinks) sink.cork();
      for (const line of reader.push(chunk)) handle(line);
      for (const sink of sinks) sink.uncork();
      if (sinks.some((sink) => sink.writableNeedDrain)) source.pause();
    });
    source
      .once('end', resolve)
      .once('close', resolve)
      .once('error', () => resolve());
  });
  for (const line of reader.end()) handle(line);
  for (const sink of sinks) sink.off('drain', resume).off('close', resume);
}

/** The client sends nothing more. The server may still answer, then it ends: by itself, or else by force. */
async function closeUpstream(upstream: ServerPeer, interposer: Interposer, options: StdioClientOptions): Promise<void> {
  const halfCloseMs = options.halfCloseMs ?? HALF_CLOSE_MS;
  await within(interposer.decided(), upstream, halfCloseMs);
  upstream.stdin.end();
  await within(interposer.idle(), upstream, halfCloseMs);
  await within(upstream.ended, upstream, options.exitGraceMs ?? EXIT_GRACE_MS);
  upstream.terminate();
}

/** Ends the server when the client stops reading, when this process is told to end, and when it ends untold. */
function endWith(upstream: ServerPeer, { stdout, stderr, signals = process }: StdioClientOptions): () => void {
  const gone = (): void => upstream.terminate();
  const killed = (): void => upstream.kill();
  const handlers = FORWARDED_SIGNALS.map((signal) => {
    // An interrupt may be handled and survived; the other two mean the end.
    return [signal, () => (signal === 'SIGINT' ? upstream.signal(signal) : upstream.terminate(signal))] as const;
  });
  stdout.on('error', gone);
  // Nobody reads the log any more: no reason to stop.
  stderr.on('error', () => {});
  process.on('exit', killed);
  for (const [signal, handler] of handlers) signals.on(signal, handler);
  return () => {
    process.off('exit', killed);
    for (const [signal, handler] of handlers) signals.off(signal, handler);
    // The error handler stays: a late write error of a client that is gone must not end this process.
  };
}

/** Waits for `work`, but not past the server's end nor past the time given. */
async function within(work: Promise<unknown>, upstream: ServerPeer, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, upstream.ended, timeout]);
  clearTimeout(timer);
}

export async function flushed(stream: Writable): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0) return;
  await new Promise<void>((resolve) => {
    stream
      .once('drain', resolve)
      .once('close', resolve)
      .once('error', () => resolve());
    stream.write('', () => resolve());
  });
}
