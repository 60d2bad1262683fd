/** The proxy between a suite and a server, over whatever it speaks on its two sides. The suites speak HTTP only. */
import { startHttpProxy } from '@countersign/mcp-proxy';
import type { Served, Server } from './servers.ts';
import type { Workplace } from './workplace.ts';

export interface Between {
  readonly server: Server;
  /** The server itself, over HTTP. */
  readonly url: string;
  readonly workplace: Workplace;
}

export interface Transport {
  readonly name: string;
  start(between: Between): Promise<Served>;
}

export const TRANSPORTS: readonly Transport[] = [{ name: 'http-http', start: httpToHttp }];

async function httpToHttp({ server, url, workplace }: Between): Promise<Served> {
  const guard = workplace.guard();
  const proxy = await startHttpProxy({ url, server: server.name, port: 0, guard: guard.open, log: ignore });
  return { url: proxy.url, close: () => closeAll(proxy, guard) };
}

/** What a proxy tells its operator; here that is looked up in the ledger. */
function ignore(): void {}

async function closeAll(...open: readonly { close(): Promise<void> }[]): Promise<void> {
  for (const each of open) await each.close();
}
