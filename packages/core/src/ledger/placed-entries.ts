/** Entries after a position, each with the place where it stands. */
import type { EntryRef } from '../call.ts';
import type { EntriesSince } from '../grant/history.ts';
import { parseEntry } from './body.ts';
import type { Entry } from './entry.ts';
import { leafHash } from './merkle.ts';

export interface PlacedEntry {
  readonly ref: EntryRef;
  readonly entry: Entry;
}

/**
 * @param of - position after which to begin; -1 for the first.
 * @param isWanted - asked of every text once, in order, with its position. Others are not parsed.
 */
export function placedEntries(
  entriesSince: EntriesSince,
  of: number,
  isWanted: (text: string, at: number) => boolean,
): readonly PlacedEntry[] {
  let at = of;
  const places: number[] = [];
  const texts = entriesSince(of, (text) => {
    at += 1;
    const isTaken = isWanted(text, at);
    if (isTaken) places.push(at);
    return isTaken;
  });
  // INVARIANT: there is one place for each text, since both come of the same answer.
  return texts.map((text, index) => ({ ref: { of: places[index] as number, leaf: leafHash(text) }, entry: parseEntry(text) }));
}
