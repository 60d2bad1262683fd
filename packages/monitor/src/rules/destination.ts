/** Where a connection goes. */
import type { ConnectAction } from '../activity.ts';
import { canonicalAddress, isLoopback } from './address.ts';

export interface Destination {
  /** Lower case, without a final dot. */
  readonly host?: string;
  /** In one spelling. */
  readonly address?: string;
  readonly port?: number;
  readonly protocol: ConnectAction['protocol'];
  /** This host itself. */
  readonly local: boolean;
  /** For reasons. */
  readonly name: string;
}

/** Longest name of a host there is. */
const MAX_HOST_CHARS = 255;

export function destinationOf({ host, address, port, protocol }: ConnectAction): Destination {
  const named = host === undefined ? undefined : cleanHost(host);
  // A name may be an address in some spelling.
  const numeric =
    (address === undefined ? undefined : canonicalAddress(address)) ?? (named === undefined ? undefined : canonicalAddress(named));
  const at = numeric ?? address?.slice(0, MAX_HOST_CHARS);
  return {
    ...(named !== undefined && { host: named }),
    ...(at !== undefined && { address: at }),
    ...(port !== undefined && { port }),
    protocol,
    local: protocol === 'unix' || isLocal(named, numeric),
    name: `${named ?? at ?? 'unknown'}${port === undefined ? '' : `:${port}`}`,
  };
}

export function cleanHost(host: string): string {
  return host.slice(0, MAX_HOST_CHARS).toLowerCase().replace(/\.$/, '');
}

/** What it connects to decides, not what that was called: a name resolves to whatever its owner says. */
function isLocal(host: string | undefined, address: string | undefined): boolean {
  if (address !== undefined) return isLoopback(address);
  return host === 'localhost' || host?.endsWith('.localhost') === true;
}

/** The domain itself and everything below. */
export function isWithinDomain(host: string, domain: string): boolean {
  return host === domain || (host.endsWith(domain) && host.charCodeAt(host.length - domain.length - 1) === DOT);
}
const DOT = 46;
