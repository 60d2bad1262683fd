/** Names that people, or a model, could take for each other. */
import { foldName } from '../detect/fold.ts';
import type { PinFlag } from '../ledger/entry.ts';
import type { PinState } from './book.ts';

export class NameLooks {
  /** Other servers' tools by their very name. */
  readonly #elsewhere: ReadonlySet<string>;
  /** By what two names have in common: the names there are. */
  readonly #byLook = new Map<string, Set<string>>();

  /** @param listed - what the server lists now, beside what is pinned. */
  constructor(pinned: readonly PinState[], server: string | undefined, listed: readonly { readonly name: string | undefined }[]) {
    this.#elsewhere = new Set(pinned.flatMap((state) => (state.server === server ? [] : [state.name])));
    for (const { name } of [...pinned, ...listed]) if (name !== undefined) this.#add(name);
  }

  flagsOf(name: string): readonly PinFlag[] {
    const look = foldName(name);
    const imitates = look !== '' && (this.#byLook.get(look)?.size ?? 0) > 1;
    return [...(imitates ? (['imitates'] as const) : []), ...(this.#elsewhere.has(name) ? (['shadows'] as const) : [])];
  }

  #add(name: string): void {
    const look = foldName(name);
    const names = this.#byLook.get(look) ?? new Set();
    this.#byLook.set(look, names.add(name));
  }
}
