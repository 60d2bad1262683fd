/** An entry where it stands. */
import type { EntryRef } from '../call.ts';
import type { Entry, EntryKind } from '../ledger/entry.ts';

export interface Placed {
  /** 0-based position. */
  readonly index: number;
  /** Number people see, from 1. */
  readonly number: number;
  /** Recomputed from the body. */
  readonly leaf: string;
}

export type EntryOf<Kind extends EntryKind> = Extract<Entry, { readonly kind: Kind }>;

/** True when a reference names exactly that entry. */
export function names(ref: EntryRef, placed: Placed): boolean {
  return ref.of === placed.index && ref.leaf === placed.leaf;
}

/** The first of the fields in which two entries that must agree differ. */
export function difference<Field extends string>(
  fields: readonly Field[],
  a: { readonly [key in Field]?: unknown },
  b: { readonly [key in Field]?: unknown },
): Field | undefined {
  return fields.find((field) => a[field] !== b[field]);
}
