/** A server as its peer is, a process or something far away, with its interposer: one link after the other. */

import type { Readable, Writable } from 'node:stream';
import { batchedWrites } from '../batched-writes.ts';
import { Interposer, type InterposerOptions } from '../interposer.ts';
import type { ServerPeer } from '../server-peer.ts';
import { EXIT_GRACE_MS, pump } from '../stdio.ts';
import type { Target } from '../target.ts';
import type { StartedServer } from '../upstream.ts';
import { LineReader } from '../wire.ts';
import type { GatewayServer, Link } from './link.ts';

/** Longest line of a server's own log that is passed on. */
const MAX_LOG_LINE_BYTES = 8192;

export interface PeerServerOptions {
  /** Starts it, or connects to it. */
  readonly open: () => ServerPeer;
  /** What outlives a link: what the server declared, its tasks, the guard before it. */
  readonly target: Target;
  /** The client's side, if it is one stream: while it does not read, neither is the server read. */
  readonly stdout?: Writable;
  readonly stderr: Writable;
  readonly interposer?: Omit<InterposerOptions, 'target' | 'lane' | 'framing'>;
  /** It runs; called for every process. */
  readonly onReady?: (upstream: StartedServer) => void;
  /** How long it may take to end by itself; default `EXIT_GRACE_MS`. */
  readonly exitGraceMs?: number;
}

export function peerServer(options: PeerServerOptions): GatewayServer {
  return { name: options.target.server, connect: (receive) => connect(options, receive) };
}

function connect(options: PeerServerOptions, receive: (bytes: Buffer) => void): Link {
  const { target, stdout, stderr } = options;
  const upstream = options.open();
  const interposer = new Interposer({
    ...options.interposer,
    // The gateway tells its client that lists change, whatever its servers do.
    listsChange: target.hidesTools,
    target,
    lane: { toClient: receive, toServer: batchedWrites(upstream.stdin), dropped: () => {} },
  });
  living.add(upstream);
  if (living.size === 1) process.on('exit', killAll);
  if (upstream.pid !== undefined) options.onReady?.({ pid: upstream.pid, ended: upstream.ended });
  if (upstream.stderr !== undefined) passLog(target.server, upstream.stderr, stderr);
  const read = pump(
    upstream.stdout,
    stdout === undefined ? [] : [stdout],
    (line) => interposer.fromServer(line),
    (head) => interposer.serverOverlong(head),
  );
  return {
    send: (line) => interposer.fromClient(line),
    clientSilent: () => interposer.clientSilent(),
    get backlogBytes() {
      return upstream.stdin.writableLength;
    },
    ended: (async () => {
      const { reason } = await upstream.ended;
      await read;
      await interposer.serverEnded(reason);
      living.delete(upstream);
      if (living.size === 0) process.off('exit', killAll);
      return reason;
    })(),
    close: () => {
      upstream.stdin.end();
      const timer = setTimeout(() => upstream.terminate(), options.exitGraceMs ?? EXIT_GRACE_MS);
      void upstream.ended.then(() => clearTimeout(timer));
    },
  };
}

/** Nothing outlives this process that it can still end. */
const living = new Set<ServerPeer>();
function killAll(): void {
  for (const upstream of living) upstream.kill();
}

/** Whole lines, each with the name of its server. */
function passLog(server: string, source: Readable, sink: Writable): void {
  const reader = new LineReader(MAX_LOG_LINE_BYTES);
  const pass = (lines: ReturnType<LineReader['push']>): void => {
    for (const line of lines)
      sink.write(`[${server}] ${line.kind === 'line' ? line.content.toString('utf8') : `(a line of ${line.sizeBytes} bytes)`}\n`);
  };
  source.on('data', (chunk: Buffer) => {
    pass(reader.push(chunk));
    if (!sink.writableNeedDrain) return;
    source.pause();
    sink.once('drain', () => source.resume());
  });
  source.once('end', () => pass(reader.end()));
}
