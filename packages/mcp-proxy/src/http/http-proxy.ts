import type { InterposerOptions } from '../interposer.ts';
import { Target, type TargetOptions } from '../target.ts';
import type { Refused } from './gate.ts';
import { CLOSE_GRACE_MS, type HttpListener, type ListenOptions, listenHttp } from './listener.ts';
import { POST_RESUME_WAIT_MS } from './post.ts';
import { HttpRelay } from './relay.ts';
import { publicOriginOf, Relayed } from './relayed.ts';
import { HttpUpstream, type HttpUpstreamOptions } from './upstream-http.ts';

export interface HttpProxyOptions
  extends HttpUpstreamOptions,
    Pick<InterposerOptions, 'onInvalid' | 'answerAt' | 'cancelGraceMs'>,
    Pick<TargetOptions, 'guard' | 'server' | 'mcp' | 'approvals' | 'listCheckMs'>,
    Omit<ListenOptions, 'handler' | 'path'> {
  /** Where clients find the proxy, if not at the host they name: behind TLS or another proxy. `https://mcp.example.com` */
  readonly publicUrl?: string;
  /** Told of every request that was refused before its message was read. Must not throw. */
  readonly onRefused?: (refused: Refused) => void;
  /** How long the answer to a call whose stream broke off may be fetched. Default `POST_RESUME_WAIT_MS`. */
  readonly resumeWaitMs?: number;
}

export interface HttpProxy {
  readonly port: number;
  /** What to give to clients: the path is that of the server. */
  readonly url: string;
  /** Answers what is open, records how it ended, and frees the port. */
  close(): Promise<void>;
}

/**
 * Streamable HTTP before Streamable HTTP: listens, and passes everything on to `url`, on the same path.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`; the system's own error when the port cannot be had.
 */
export async function startHttpProxy(options: HttpProxyOptions): Promise<HttpProxy> {
  const { log, resumeWaitMs = POST_RESUME_WAIT_MS, publicUrl } = options;
  const publicOrigin = publicUrl === undefined ? undefined : publicOriginOf(publicUrl);
  const upstream = new HttpUpstream(options);
  const target = new Target(options);
  const relay = new HttpRelay({ ...given(options), relayed: new Relayed(target, upstream, resumeWaitMs, publicOrigin) });
  if (upstream.isPlainAndFar)
    log('the server is asked over plain http: whoever is on the way can read and change everything, tokens included');
  const allowedHosts = [...(options.allowedHosts ?? []), ...(publicOrigin === undefined ? [] : [new URL(publicOrigin).host])];
  let listener: HttpListener;
  try {
    listener = await listenHttp({ ...options, allowedHosts, path: upstream.path, handler: relay });
  } catch (error) {
    upstream.close();
    throw error;
  }
  return {
    port: listener.port,
    url: publicOrigin === undefined ? listener.url : `${publicOrigin}${upstream.path}`,
    close: async () => {
      const closed = listener.close(CLOSE_GRACE_MS);
      await relay.close('the proxy is shutting down');
      await closed;
    },
  };
}

function given({
  onInvalid,
  answerAt,
  cancelGraceMs,
}: HttpProxyOptions): Pick<InterposerOptions, 'onInvalid' | 'answerAt' | 'cancelGraceMs'> {
  return {
    ...(onInvalid !== undefined && { onInvalid }),
    ...(answerAt !== undefined && { answerAt }),
    ...(cancelGraceMs !== undefined && { cancelGraceMs }),
  };
}
