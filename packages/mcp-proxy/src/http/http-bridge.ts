import { type HttpListener, type ListenOptions, listenHttp } from './listener.ts';
import { StdioBridge, type StdioBridgeOptions } from './stdio-bridge.ts';

export interface HttpBridgeOptions extends StdioBridgeOptions, Omit<ListenOptions, 'handler' | 'log'> {}

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
  const bridge = new StdioBridge(options);
  let listener: HttpListener;
  try {
    listener = await listenHttp({ ...options, handler: bridge });
  } catch (error) {
    await bridge.close();
    throw error;
  }
  return {
    port: listener.port,
    url: listener.url,
    close: async () => {
      const closed = listener.close();
      await bridge.close();
      await closed;
    },
  };
}
