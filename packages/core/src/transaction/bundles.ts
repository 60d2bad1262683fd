/**
 * Which bundle of an id was the newest. A mark says where to look, and what stands there and after it decides: whoever edits the
 * row may put the mark back, to where an older one was the newest. Where there is none, or it leads nowhere, all entries are read.
 */
import type { EntryRef } from '../call.ts';
import { type BundleMark, bundlesIn } from '../policy/bundle-mark.ts';
import type { Committed } from '../store-units.ts';
import type { Tx } from './tx.ts';

/** What speaks against putting a document in force; undefined when nothing does. */
export function rolledBack(document: string, tx: Tx): Extract<Committed, { readonly kind: 'rolled-back' }> | undefined {
  for (const { id, serial, digest } of bundlesIn(document)) {
    const newest = newestOf(id, tx);
    if (newest === undefined || serial > newest.serial || (serial === newest.serial && digest === newest.digest)) continue;
    return { kind: 'rolled-back', bundle: id, serial, recorded: newest.serial };
  }
  return undefined;
}

export function markBundles(document: string, entry: EntryRef, tx: Tx): void {
  for (const { id } of bundlesIn(document)) tx.putMark(nameOf(id), entry);
}

function newestOf(id: string, tx: Tx): BundleMark | undefined {
  const mark = tx.mark(nameOf(id));
  const marked = mark === undefined ? undefined : tx.entry(mark);
  const found = marked?.kind === 'policy' ? ofId(id, marked.document) : [];
  const from = mark === undefined || found.length === 0 ? -1 : mark.of;
  const later = tx.entriesAbout(from, '"kind":"policy"').flatMap((entry) => (entry.kind === 'policy' ? ofId(id, entry.document) : []));
  return newest([...found, ...later]);
}

function ofId(id: string, document: string): readonly BundleMark[] {
  return bundlesIn(document).filter((bundle) => bundle.id === id);
}

function newest(bundles: readonly BundleMark[]): BundleMark | undefined {
  return bundles.toSorted((one, other) => other.serial - one.serial)[0];
}

function nameOf(id: string): string {
  return `bundle:${id}`;
}
