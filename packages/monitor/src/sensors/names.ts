/**
 * Names that addresses were resolved from, as sensors saw it. A hint for people and rules: whoever is watched did the resolving, and
 * one address has many names.
 */
import type { Observation } from '../activity.ts';

/** Addresses remembered; the one learnt longest ago goes first. */
export const MAX_NAMES = 4_096;

export class HostNames {
  readonly #names = new Map<string, string>();

  /** Takes what a `dns` action tells; anything else is ignored. */
  learn({ action }: Pick<Observation, 'action'>): void {
    if (action.kind !== 'dns') return;
    const name = action.name.toLowerCase().replace(/\.$/, '');
    if (!NAME.test(name)) return;
    for (const address of (action.addresses ?? []).slice(0, MAX_ADDRESSES)) this.#set(address, name);
  }

  /** The name learnt last. */
  of(address: string): string | undefined {
    return this.#names.get(address);
  }

  #set(address: string, name: string): void {
    this.#names.delete(address);
    this.#names.set(address, name);
    for (const oldest of this.#names.keys()) {
      if (this.#names.size <= MAX_NAMES) break;
      this.#names.delete(oldest);
    }
  }
}

const NAME = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,20}$/;
/** Of one answer. */
const MAX_ADDRESSES = 64;
