/**
 * What every request must pass before anybody looks who sent it. No browser has any business here: a page that was rebound to
 * this address is known by its `Host`, every other by the headers that pages cannot leave out.
 */
import type { ServeCode } from './codes.ts';

type RefusedCode = Extract<ServeCode, 'HOST_REFUSED' | 'BROWSER_REFUSED'>;

/** Names under which this listener is reached: `127.0.0.1:4690`. */
export type Hosts = ReadonlySet<string>;

/** Why a request is not even looked at; undefined when it may pass. */
export function gateRefusal(request: Request, hosts: Hosts): RefusedCode | undefined {
  if (!hosts.has(request.headers.get('host') ?? '')) return 'HOST_REFUSED';
  // A preflight is refused like everything else: without an answer to it a page cannot send JSON or a token at all.
  if (isFromPage(request.headers) || request.method === 'OPTIONS') return 'BROWSER_REFUSED';
  return undefined;
}

/** Not `sec-fetch-mode`: the fetch of Node sends that one. Browsers send the site with every request to this host. */
const OF_PAGES: readonly string[] = ['origin', 'referer', 'cookie', 'sec-fetch-site', 'sec-fetch-dest', 'access-control-request-method'];

function isFromPage(headers: Headers): boolean {
  return OF_PAGES.some((name) => headers.has(name));
}
