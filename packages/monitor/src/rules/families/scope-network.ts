/** The scope's lists of domains and ports. A connection to this host itself is never held against anybody. */

import { canonicalAddress } from '../address.ts';
import { cleanHost, isWithinDomain } from '../destination.ts';
import { quoted } from '../quoted.ts';
import type { HostsLine, RuleFamily } from '../rule.ts';

/** Most addresses of which a name is remembered. */
const MAX_ADDRESSES = 10_000;

export const SCOPE_NETWORK: RuleFamily = {
  rules: [
    {
      id: 'forbidden-domain',
      title: 'A forbidden domain',
      explanation:
        'Connected to a domain of `forbidden_domains` or below one. An address that such a name was looked up for may be that of another name too: HALT. Only looking the name up is a flag.',
      levels: ['FLAG', 'HALT', 'KILL'],
    },
    {
      id: 'unknown-domain',
      title: 'A domain outside the scope',
      explanation:
        'Connected to what is in none of `allowed_domains`, or to an address that is known by no name. Names in `/etc/hosts` are known, not those that the watched processes looked up.',
      levels: ['FLAG'],
    },
    {
      id: 'unusual-port',
      title: 'A port outside the scope',
      explanation: 'Connected to an allowed domain, on a port that is not in `allowed_ports`.',
      levels: ['FLAG'],
    },
  ],
  kinds: ['connect', 'dns'],
  begin({ scope: { network }, hosts }) {
    const isForbidden = (name: string): boolean => network.forbiddenDomains.some((domain) => isWithinDomain(name, domain));
    const isAllowed = (name: string): boolean => network.allowedDomains?.some((domain) => isWithinDomain(name, domain)) ?? true;
    const known = namesOf(hosts);
    /**
     * Addresses that a forbidden name was looked up for. Whoever is watched did the looking up, with a name server of its own choice: so
     * what it says of an address is only ever held against it, and no other name takes the place of a forbidden one.
     */
    const forbidden = new Map<string, string>();
    const remember = (address: string, name: string): void => {
      forbidden.delete(address);
      forbidden.set(address, name);
      if (forbidden.size > MAX_ADDRESSES) for (const oldest of forbidden.keys()) return void forbidden.delete(oldest);
    };
    return {
      judge({ activity: { action }, destination }, found) {
        if (action.kind === 'dns') {
          const name = cleanHost(action.name);
          if (!isForbidden(name)) return;
          for (const address of (action.addresses ?? []).slice(0, MAX_LOOKED_UP)) remember(canonicalAddress(address) ?? address, name);
          found({ rule: 'forbidden-domain', level: 'FLAG', reason: `looked up forbidden domain ${quoted(name)}` });
          return;
        }
        if (destination === undefined || destination.local) return;
        const { host, address, port } = destination;
        const names = host !== undefined || address === undefined ? undefined : known.get(address);
        const all = [host, address].filter((name) => name !== undefined);
        const where = quoted(destination.name);
        const lookedUp = address === undefined ? undefined : forbidden.get(address);
        if ([...all, ...(names?.all ?? [])].some(isForbidden))
          found({ rule: 'forbidden-domain', level: 'KILL', reason: `connected to forbidden domain ${where}` });
        else if (lookedUp !== undefined)
          found({ rule: 'forbidden-domain', level: 'HALT', reason: `connected to ${where}, which ${quoted(lookedUp)} was looked up for` });
        // An address that several names share is as good as the worst of them.
        else if (!all.some(isAllowed) && !(names?.first.every(isAllowed) ?? false))
          found({ rule: 'unknown-domain', level: 'FLAG', reason: `connected outside the allowed domains: ${where}`, ambiguous: true });
        else if (port !== undefined && network.allowedPorts?.includes(port) === false)
          found({ rule: 'unusual-port', level: 'FLAG', reason: `connected on a port outside the scope: ${where}`, ambiguous: true });
      },
    };
  },
};
/** Addresses of one lookup that are remembered. */
const MAX_LOOKED_UP = 64;

interface HostNames {
  /** The first of each line: the others are short forms of it. */
  readonly first: readonly string[];
  readonly all: readonly string[];
}

function namesOf(hosts: readonly HostsLine[]): ReadonlyMap<string, HostNames> {
  const known = new Map<string, HostNames>();
  for (const { address, names } of hosts) {
    const at = canonicalAddress(address);
    const cleaned = names.map(cleanHost);
    const before = at === undefined ? undefined : known.get(at);
    if (at !== undefined)
      known.set(at, {
        first: [...(before?.first ?? []), ...cleaned.slice(0, 1)],
        all: [...(before?.all ?? []), ...cleaned],
      });
  }
  return known;
}
