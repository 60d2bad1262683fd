/**
 * What the entries tell of grants: how often each was used, and whether it was taken back.
 *
 * Rows cannot be trusted with that, and reading all entries since a grant for every use of it would cost more with each
 * use. So each writer remembers what it counted and reads on from there. Right only while what was read stays in the
 * tree: whoever rolls entries back clears it.
 */

import type { EntryRef } from '../call.ts';
import { parseEntry } from '../ledger/body.ts';
import type { Entry, EntryBody, GrantedBody } from '../ledger/entry.ts';

/** Grants remembered at once; more than that and all are counted anew. */
export const MAX_HISTORIES = 1000;

/** How the entries this looks for read. Data of a note may read the same: the kind of the parsed entry decides. */
const MARKS = ['"grant":', '"answer":"deny"', '"event":"unsigned-tail"', '"kind":"forget"'];

export interface GrantHistory {
  readonly uses: number;
  /** It, or the approval it was given with, was taken back. */
  readonly isRevoked: boolean;
  /** Its opening was erased, so nobody knows on what condition it was given. */
  readonly isForgotten: boolean;
  /** It, the answer or the ask stood unsigned when their writer was gone: whoever can write to the file may have added them. */
  readonly isDoubtful: boolean;
}

/** What is looked for. */
export interface GrantPlaces {
  readonly id: string;
  readonly approval: string;
  /** Where it was granted; the answer and the ask it was given with. */
  readonly granted: EntryRef;
  readonly answer: EntryRef;
  readonly ask: EntryRef;
}

/** Where a grant and what it rests on stand. */
export function placesOf(granted: EntryRef, body: GrantedBody, ask: EntryRef): GrantPlaces {
  return { id: body.grant, approval: body.approval.id, granted, answer: body.approval.answer, ask };
}

type Told = { -readonly [Name in keyof GrantHistory]: GrantHistory[Name] };

/** Texts after position `of` that are wanted, proven to be the tree's. */
export type EntriesSince = (of: number, wanted: (text: string) => boolean) => readonly string[];

export class GrantHistories {
  private readonly entriesSince: EntriesSince;
  private readonly known = new Map<string, { readonly places: GrantPlaces; readonly told: Told }>();
  /** Entries before this position were read for every known grant. */
  private upTo = 0;

  constructor(entriesSince: EntriesSince) {
    this.entriesSince = entriesSince;
  }

  /** @param size - entries there are, those of this transaction included. */
  of(places: GrantPlaces, size: number): GrantHistory {
    this.readOn(size);
    const key = keyOf(places);
    const known = this.known.get(key);
    if (known !== undefined) return known.told;
    if (this.known.size >= MAX_HISTORIES) this.known.clear();
    const told: Told = { uses: 0, isRevoked: false, isForgotten: false, isDoubtful: false };
    for (const entry of this.since(places.ask.of)) note(entry, places, told);
    this.known.set(key, { places, told });
    return told;
  }

  /** An entry this writer appends, so that it need not be read again. */
  appended(of: number, body: EntryBody): void {
    if (this.known.size === 0 || of !== this.upTo) return;
    for (const { places, told } of this.known.values()) note(body, places, told);
    this.upTo = of + 1;
  }

  clear(): void {
    this.known.clear();
    this.upTo = 0;
  }

  private readOn(size: number): void {
    if (size < this.upTo) this.clear();
    if (this.known.size > 0 && size > this.upTo)
      for (const entry of this.since(this.upTo - 1)) for (const { places, told } of this.known.values()) note(entry, places, told);
    this.upTo = size;
  }

  private since(of: number): readonly Entry[] {
    return this.entriesSince(of, (text) => MARKS.some((mark) => text.includes(mark))).map(parseEntry);
  }
}

/** Rows point to the places and anybody can edit rows: two that name one grant and differ are two things to look for. */
function keyOf({ id, granted, ask }: GrantPlaces): string {
  return `${id} ${granted.of} ${ask.of}`;
}

function note(entry: EntryBody, places: GrantPlaces, told: Told): void {
  switch (entry.kind) {
    case 'decision':
      if (entry.effect === 'allow' && entry.grant?.id === places.id) told.uses++;
      return;
    case 'grant':
      if (entry.event === 'revoked' && entry.grant === places.id) told.isRevoked = true;
      return;
    case 'approval':
      if (entry.answer === 'deny' && entry.approval === places.approval) told.isRevoked = true;
      return;
    case 'forget':
      if (entry.entries.some(({ of }) => of === places.granted.of)) told.isForgotten = true;
      return;
    case 'recovery': {
      const { from = 0, to = 0 } = entry;
      if (entry.event === 'unsigned-tail' && [places.granted, places.answer, places.ask].some(({ of }) => of >= from && of < to))
        told.isDoubtful = true;
      return;
    }
    case 'outcome':
    case 'session':
    case 'policy':
    case 'key':
    case 'pin':
    case 'verdict':
    case 'containment':
    case 'note':
  }
}
