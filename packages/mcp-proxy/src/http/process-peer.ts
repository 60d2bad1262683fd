import { Interposer, type InterposerOptions } from '../interposer.ts';
import type { ServerEnd } from '../server-peer.ts';
import { pump } from '../stdio.ts';
import type { Target } from '../target.ts';
import { type StartedServer, Upstream, type UpstreamOptions } from '../upstream.ts';
import { parse } from './outgoing.ts';
import type { SessionClient, SessionPeer } from './session-peer.ts';

/** What waits to be written to a server that does not read. */
const MAX_PIPE_BYTES: number = 64 * 1024 * 1024;

export interface ProcessPeerOptions extends UpstreamOptions, Pick<InterposerOptions, 'onInvalid' | 'answerAt' | 'cancelGraceMs'> {
  readonly target: Target;
  /** Where the server's own words to people go. */
  readonly stderr: NodeJS.WritableStream;
  readonly onReady?: (upstream: StartedServer) => void;
}

/** A server over stdio behind one session: a process of its own. */
export function processPeer(options: ProcessPeerOptions, client: SessionClient): SessionPeer {
  const upstream = new Upstream(options);
  if (upstream.pid !== undefined) options.onReady?.({ pid: upstream.pid, ended: upstream.ended });
  const { target, onInvalid, answerAt, cancelGraceMs } = options;
  const interposer = new Interposer({
    target,
    lane: client.own,
    owner: client.owner,
    ...(onInvalid !== undefined && { onInvalid }),
    ...(answerAt !== undefined && { answerAt }),
    ...(cancelGraceMs !== undefined && { cancelGraceMs }),
  });
  upstream.stderr.pipe(options.stderr, { end: false });
  const output = pump(
    upstream.stdout,
    [],
    (line) => interposer.fromServer(line, line.kind === 'line' ? client.laneFor(parse(line.content)) : undefined),
    (head) => interposer.serverOverlong(head),
  );
  let end: ServerEnd | undefined;
  return {
    get isFull() {
      return upstream.stdin.writableLength > MAX_PIPE_BYTES;
    },
    ended: (async () => {
      end = await upstream.ended;
      await output;
      await interposer.serverEnded(end.reason);
      return end.code === 0 ? undefined : `server ${target.server}: ${end.reason}`;
    })(),
    // What it said is the client's to read.
    notBegun: () => `server ${target.server} began no session: ${end?.reason ?? 'it answered initialize with an error'}`,
    fromClient: (line, lane) => interposer.fromClient(line, lane),
    write: (bytes) => {
      if (!upstream.stdin.destroyed) upstream.stdin.write(bytes);
    },
    end: () => {
      upstream.stdin.end();
      upstream.terminate();
    },
    kill: () => upstream.kill(),
  };
}
