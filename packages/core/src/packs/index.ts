/** All packs. A new one is a file beside this and a line here. */
import { type BaselineOptions, baseline } from './baseline.ts';
import type { CommonOptions, Pack } from './pack.ts';

export const PACKS: { readonly baseline: Pack<BaselineOptions> } = { baseline };

export type PackName = keyof typeof PACKS;
export const PACK_NAMES: readonly PackName[] = ['baseline'];

type OptionsOf<Name extends PackName> = (typeof PACKS)[Name] extends Pack<infer Options> ? Options : never;
/** A pack as configuration names it: by name, or as an object with one key. */
export type PackDocument = PackName | { readonly [Name in PackName]?: OptionsOf<Name> | undefined };

/** A pack by its name, as whoever does not know its options sees it. */
export function packNamed(name: PackName): Pack {
  // Options are checked by the pack's own schema before they reach it.
  const pack: Pack<CommonOptions> = PACKS[name];
  return pack;
}
