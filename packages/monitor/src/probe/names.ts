/** Questions to name servers: a name can carry what it is asked with. */
import dns from 'node:dns';
import promises from 'node:dns/promises';
import net from 'node:net';
import type { Gate } from './gate.ts';
import { originals } from './originals.ts';
import type { AnyFunction, Patches } from './patches.ts';

const NAMES = [
  'lookup',
  'lookupService',
  'resolve',
  'resolve4',
  'resolve6',
  'resolveAny',
  'resolveCaa',
  'resolveCname',
  'resolveMx',
  'resolveNaptr',
  'resolveNs',
  'resolvePtr',
  'resolveSoa',
  'resolveSrv',
  'resolveTlsa',
  'resolveTxt',
  'reverse',
];

export function patchNames(patches: Patches, gate: Gate): void {
  for (const owner of [dns, dns.Resolver.prototype]) {
    for (const name of NAMES) {
      patches.method(owner, name, (original) => {
        return function (this: unknown, ...args) {
          const refusal = patches.active ? asked(args[0], gate) : undefined;
          if (refusal === undefined) return originals.apply(original, this, args);
          const done = args.at(-1);
          if (typeof done !== 'function') throw refusal;
          return originals.nextTick(done, refusal);
        };
      });
    }
  }
  for (const owner of [promises, promises.Resolver.prototype]) {
    for (const name of NAMES) {
      patches.method(owner, name, (original): AnyFunction => {
        return async function (this: unknown, ...args) {
          const refusal = patches.active ? asked(args[0], gate) : undefined;
          if (refusal !== undefined) throw refusal;
          return originals.apply(original, this, args);
        };
      });
    }
  }
}

/** What is no text Node rejects, and an address is no question for `lookup`; for `reverse` it is, but of nobody's making. */
function asked(name: unknown, gate: Gate): Error | undefined {
  if (typeof name !== 'string' || name === '' || net.isIP(name) !== 0) return undefined;
  return gate.refusal({ kind: 'dns', name: name.toLowerCase().replace(/\.$/, '') });
}
