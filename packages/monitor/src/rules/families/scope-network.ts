/** The scope's lists of domains and ports. A connection to this host itself is never held against anybody. */

import { canonicalAddress } from '../address.ts';
import { cleanHost, isWithinDomain } from '../destination.ts';
import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';

/** Most addresses of which the names are remembered. */
const MAX_ADDRESSES = 10_000;
/** Most names of one address: those of a hoster are many. */
const MAX_NAMES = 8;

export const SCOPE_NETWORK: RuleFamily = {
  rules: [
    {
      id: 'forbidden-domain',
      title: 'A forbidden domain',
      explanation: 'Connected to a domain of `forbidden_domains` or below one; only looking its name up is a flag.',
      levels: ['FLAG', 'KILL'],
    },
    {
      id: 'unknown-domain',
      title: 'A domain outside the scope',
      explanation: 'Connected to what is in none of `allowed_domains`, or to an address nobody saw a name of.',
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
  begin({ scope: { network } }) {
    const names = new Map<string, Set<string>>();
    const remember = (address: string, name: string): void => {
      const known = names.get(address) ?? new Set<string>();
      if (known.size < MAX_NAMES) known.add(name);
      names.delete(address);
      names.set(address, known);
      if (names.size > MAX_ADDRESSES) for (const oldest of names.keys()) return void names.delete(oldest);
    };
    const isForbidden = (name: string): boolean => network.forbiddenDomains.some((domain) => isWithinDomain(name, domain));
    const isAllowed = (name: string): boolean => network.allowedDomains?.some((domain) => isWithinDomain(name, domain)) ?? true;
    return {
      judge({ activity: { action }, destination }, found) {
        if (action.kind === 'dns') {
          const name = cleanHost(action.name);
          for (const address of (action.addresses ?? []).slice(0, MAX_LOOKED_UP)) remember(canonicalAddress(address) ?? address, name);
          if (isForbidden(name)) found({ rule: 'forbidden-domain', level: 'FLAG', reason: `looked up forbidden domain ${quoted(name)}` });
          return;
        }
        if (destination === undefined || destination.local) return;
        const { host, address, port } = destination;
        const seen = host ?? (address === undefined ? undefined : onlyOf(names.get(address)));
        const all = [seen, address].filter((name) => name !== undefined);
        const where = quoted(destination.name);
        if (all.some(isForbidden)) found({ rule: 'forbidden-domain', level: 'KILL', reason: `connected to forbidden domain ${where}` });
        else if (!all.some(isAllowed))
          found({ rule: 'unknown-domain', level: 'FLAG', reason: `connected outside the allowed domains: ${where}`, ambiguous: true });
        else if (port !== undefined && network.allowedPorts?.includes(port) === false)
          found({ rule: 'unusual-port', level: 'FLAG', reason: `connected on a port outside the scope: ${where}`, ambiguous: true });
      },
    };
  },
};
/** Addresses of one lookup that are remembered. */
const MAX_LOOKED_UP = 64;

/** An address that several names share tells of none. */
function onlyOf(names: ReadonlySet<string> | undefined): string | undefined {
  if (names?.size !== 1) return undefined;
  for (const name of names) return name;
  return undefined;
}
