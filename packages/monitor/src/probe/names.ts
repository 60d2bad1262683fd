/** Questions to name servers: a name can carry what it is asked with. */
import dns from 'node:dns';
import promises from 'node:dns/promises';
import net from 'node:net';
import type { Gate } from './gate.ts';
import type { AnyFunction } from './intrinsics.ts';
import { inside, outside, within } from './intrinsics.ts';
import { addressesIn } from './network.ts';
import { originals } from './originals.ts';
import type { Patches } from './patches.ts';

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
          const done = args.at(-1);
          if (refusal === undefined)
            return originals.apply(original, this, ANSWERED.has(name) ? [...args.slice(0, -1), heard(args[0], done, gate)] : args);
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
          const found = await (originals.apply(original, this, args) as Promise<unknown>);
          if (ANSWERED.has(name)) within(() => learn(args[0], found, gate));
          return found;
        };
      });
    }
  }
}

/** Those whose answer is addresses. */
const ANSWERED: ReadonlySet<string> = new Set(['lookup', 'resolve', 'resolve4', 'resolve6', 'resolveAny']);

/** The callback, which is called with what came. What is none Node rejects. */
function heard(name: unknown, done: unknown, gate: Gate): unknown {
  if (typeof done !== 'function') return done;
  return inside((error: unknown, found: unknown, ...rest: unknown[]): unknown => {
    learn(name, found, gate);
    return originals.apply(outside(done as AnyFunction), undefined, [error, found, ...rest]);
  });
}

function learn(name: unknown, found: unknown, gate: Gate): void {
  if (typeof name !== 'string' || net.isIP(name) !== 0) return;
  gate.learnt(
    cleaned(name),
    addressesIn(found).filter((address) => net.isIP(address) !== 0),
  );
}

function cleaned(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** What is no text Node rejects, and an address is no question for `lookup`; for `reverse` it is, but of nobody's making. */
function asked(name: unknown, gate: Gate): Error | undefined {
  if (typeof name !== 'string' || name === '' || net.isIP(name) !== 0) return undefined;
  return gate.refusal({ kind: 'dns', name: cleaned(name) });
}
