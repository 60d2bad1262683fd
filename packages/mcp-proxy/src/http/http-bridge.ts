import type { Bridge } from './bridge.ts';
import { type GatewayBridgeOptions, gatewayBridge } from './gateway-bridge.ts';
import { DEFAULT_PATH, type HttpListener, type ListenOptions, listenHttp } from './listener.ts';
import { publicOriginOf } from './relayed.ts';
import { type StdioBridgeOptions, stdioBridge } from './stdio-bridge.ts';

interface BridgeListenOptions extends Omit<ListenOptions, 'handler' | 'log'> {
  /** Where clients find it, if not at the host they name: behind TLS or another proxy. `https://mcp.example.com` */
  readonly publicUrl?: string;
}

export interface HttpBridgeOptions extends StdioBridgeOptions, BridgeListenOptions {}
export interface HttpGatewayOptions extends GatewayBridgeOptions, BridgeListenOptions {}

export interface HttpBridge {
  readonly port: number;
  /** What to give to clients. */
  readonly url: string;
  /** Answers what is open, ends every process, and frees the port. */
  close(): Promise<void>;
}

/**
 * Clients over HTTP in front of a server over stdio. No process of the server runs before a client asks for something.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`; the system's own error when the port cannot be had.
 */
export async function startHttpBridge(options: HttpBridgeOptions): Promise<HttpBridge> {
  return start(() => stdioBridge(options), options);
}

/**
 * Clients over HTTP in front of several servers as one: a session of the protocol up to 2025-11-25 has a gateway, and servers, of its
 * own; so has, in the protocol without sessions, everybody who sends the same credentials. No server runs before a client asks for
 * something.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`; the system's own error when the port cannot be had.
 */
export async function startHttpGateway(options: HttpGatewayOptions): Promise<HttpBridge> {
  return start(() => gatewayBridge(options), options);
}

async function start(open: () => Bridge, options: BridgeListenOptions & Pick<ListenOptions, 'log'>): Promise<HttpBridge> {
  const { publicUrl, path = DEFAULT_PATH } = options;
  const publicOrigin = publicUrl === undefined ? undefined : publicOriginOf(publicUrl);
  const allowedHosts = [...(options.allowedHosts ?? []), ...(publicOrigin === undefined ? [] : [new URL(publicOrigin).host])];
  const bridge = open();
  let listener: HttpListener;
  try {
    listener = await listenHttp({ ...options, allowedHosts, handler: bridge });
  } catch (error) {
    await bridge.close();
    throw error;
  }
  return {
    port: listener.port,
    url: publicOrigin === undefined ? listener.url : `${publicOrigin}${path}`,
    close: async () => {
      const closed = listener.close();
      await bridge.close();
      await closed;
    },
  };
}
