/**
 * A secret was read, then something left. What was read is remembered for the process, for the one that started it (to which its
 * output goes), for those it starts, for the call, and for a while for the whole tree.
 *
 * A flood hides nothing: there is one place for the tree, and a process that falls out of the list leaves its secret to a place that
 * counts for every process from then on.
 */

import { isWithinDomain } from '../destination.ts';
import { quoted } from '../quoted.ts';
import type { Judging, RuleFamily, Setting } from '../rule.ts';
import type { Seen } from '../seen.ts';
import { patternsOf } from './scope-paths.ts';
import { isKeyFile, isSecret } from './secrets.ts';

/** Most processes, and calls, that are remembered one by one. */
export const MAX_TAINTED = 4096;
const DNS_PORT = 53;

interface Secret {
  readonly seq: number;
  readonly at: number;
}

export const CHAIN: RuleFamily = {
  rules: [
    {
      id: 'secret-egress',
      title: 'A secret was read, then something left',
      explanation:
        'A connection to another host after a key or secret was read: by the same process, its parent, a process it started or the same call at any time, by others of the tree within `chain_window`. To `allowed_domains` that are listed, and for DNS, it is a flag.',
      levels: ['FLAG', 'HALT'],
    },
  ],
  kinds: ['read', 'write', 'rename', 'load', 'connect', 'spawn', 'exec', 'exit'],
  begin: (setting) => new Chain(setting),
};

class Chain implements Judging {
  readonly #setting: Setting;
  readonly #isForbidden: (path: string) => string | undefined;
  /** By pid. A pid that came back is taken for the old one: stricter, never blind. */
  readonly #processes = new Map<number, Secret>();
  readonly #calls = new Map<string, Secret>();
  #tree: Secret | undefined;
  #crowdedOut: Secret | undefined;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.#isForbidden = patternsOf(setting.scope.filesystem.forbiddenPaths, setting.folders);
  }

  judge(seen: Seen, found: Parameters<Judging['judge']>[1]): void {
    const { action, actor, attribution } = seen.activity;
    const pid = actor?.pid;
    if (pid !== undefined && actor?.parent !== undefined && !this.#processes.has(pid)) this.#taint(pid, this.#processes.get(actor.parent));
    if (action.kind === 'spawn' && pid !== undefined) this.#taint(action.child.pid, this.#processes.get(pid));
    if (seen.touches.length > 0 && this.#readsSecret(seen)) {
      const secret = { seq: seen.seq, at: seen.at };
      this.#tree = secret;
      this.#taint(pid, secret);
      this.#taint(actor?.parent, secret);
      if (attribution.call !== undefined) this.#put(this.#calls, attribution.call, secret);
    }
    // What a process read, its parent has by now.
    if (action.kind === 'exit' && pid !== undefined) this.#processes.delete(pid);
    const { destination } = seen;
    if (destination === undefined || destination.local) return;
    const secret = this.#heldBy(seen);
    if (secret === undefined) return;
    const isMild = isListed(this.#setting, destination.host) || destination.port === DNS_PORT;
    found({
      rule: 'secret-egress',
      level: isMild ? 'FLAG' : 'HALT',
      reason: `a secret was read, then a connection to ${quoted(destination.name)} was made`,
      evidence: [secret.seq],
    });
  }

  accept(_rule: string, evidence: readonly number[]): void {
    const isOver = (secret: Secret | undefined): boolean => secret !== undefined && evidence.includes(secret.seq);
    for (const [pid, secret] of this.#processes) if (isOver(secret)) this.#processes.delete(pid);
    for (const [call, secret] of this.#calls) if (isOver(secret)) this.#calls.delete(call);
    if (isOver(this.#tree)) this.#tree = undefined;
    if (isOver(this.#crowdedOut)) this.#crowdedOut = undefined;
  }

  #readsSecret(seen: Seen): boolean {
    return seen.touches.some(
      (touch) =>
        touch.use !== 'delete' &&
        (isKeyFile(touch, this.#setting) ||
          this.#isForbidden(touch.path) !== undefined ||
          (!this.#setting.literal && isSecret(touch, seen, this.#setting.folders))),
    );
  }

  #heldBy({ at, activity: { actor, attribution } }: Seen): Secret | undefined {
    const own =
      actor === undefined
        ? undefined
        : (this.#processes.get(actor.pid) ?? (actor.parent === undefined ? undefined : this.#processes.get(actor.parent)));
    const ofCall = attribution.call === undefined ? undefined : this.#calls.get(attribution.call);
    const ofTree =
      this.#tree !== undefined && Math.abs(at - this.#tree.at) <= this.#setting.scope.limits.chainWindowMs ? this.#tree : undefined;
    return own ?? ofCall ?? ofTree ?? this.#crowdedOut;
  }

  #taint(pid: number | undefined, secret: Secret | undefined): void {
    if (pid !== undefined && secret !== undefined) this.#put(this.#processes, pid, secret);
  }

  #put<Key>(map: Map<Key, Secret>, key: Key, secret: Secret): void {
    map.set(key, secret);
    if (map.size <= MAX_TAINTED) return;
    for (const [oldest, crowded] of map) {
      map.delete(oldest);
      this.#crowdedOut = crowded;
      return;
    }
  }
}

function isListed({ scope: { network } }: Setting, host: string | undefined): boolean {
  return host !== undefined && network.allowedDomains?.some((domain) => isWithinDomain(host, domain)) === true;
}
