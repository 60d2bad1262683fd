/**
 * The labels of each session, as the entries of a ledger tell them: never from rows, which anybody may edit who can write the file.
 *
 * The newest waymark (`waymark.ts`) names the newest entry of the index (`label-index.ts`); from there on all entries are read,
 * and each writer goes on with what is new. A session that is not known is looked up in the index. Right only while what was
 * read stays in the tree: whoever rolls entries back clears it.
 *
 * Where entries that gave labels are not in the index, since an older version wrote them, or stood unsigned, so that what they
 * lead to may be a lie, all entries are read, and no waymark leads to the index any more.
 */
import type { EntryRef } from '../call.ts';
import type { LabelStamp } from './body.ts';
import type { Entry, EntryBody, Labelled } from './entry.ts';
import { findLabels, type LabelledEntry, labelledEntry, labelsGiven, union } from './label-index.ts';
import { placedEntries } from './placed-entries.ts';
import { TAIL_MARK, type ToldSource } from './told-entries.ts';
import { newestWaymark } from './waymark.ts';

/** Sessions, and entries of the index, that are remembered; with more, all are looked up anew. */
const MAX_KNOWN = 4096;
const NONE: readonly string[] = [];
/** How entries that give labels read. Data of a note may read the same: the kind of the parsed entry decides. */
const LABELS = '"labels":';

export interface LabelSource extends ToldSource {
  /** The entry at a position, if it is proven to be in the tree. */
  entryAt(of: number): Entry | undefined;
}

export class LabelBook {
  private readonly source: LabelSource;
  private readonly known = new Map<string, readonly string[]>();
  private readonly index = new Map<number, LabelledEntry>();
  /** Entries before this position were read; undefined: none were yet. */
  private upTo: number | undefined;
  /** The newest entry of the index. */
  private last: EntryRef | undefined;
  /** The waymark that entries were read from; undefined: they were from the first on. */
  private entrance: number | undefined;
  /** Every entry that gave a label is in the index. If not, `known` is all there is. */
  private isIndexed = true;
  /** What was read turned out to be no good. */
  private isLost = false;

  constructor(source: LabelSource) {
    this.source = source;
  }

  /** @param size - entries there are, those of this transaction included. */
  readOn(size: number): this {
    if (this.upTo !== undefined && size < this.upTo) this.clear();
    if (this.upTo === undefined) this.load();
    else if (size > this.upTo) this.readAfter(this.upTo - 1);
    this.upTo = size;
    if (this.isLost) this.readAgain(size);
    return this;
  }

  /** Labels of a session, sorted. */
  of(session: string): readonly string[] {
    const known = this.known.get(session);
    if (known !== undefined) return known;
    if (!this.isIndexed) return NONE;
    const labels = this.find(session)?.all;
    if (labels === undefined) {
      this.readAgain(this.upTo ?? 0);
      return this.of(session);
    }
    this.remember(session, labels);
    return labels;
  }

  /** What an entry that is to be appended next must say for the index; undefined when it gives no label that is new. */
  next(body: EntryBody): Labelled | undefined {
    const given = labelsGiven(body);
    if (given.length === 0 || !('session' in body) || body.session === undefined) return undefined;
    const has = this.of(body.session);
    if (!this.isIndexed || given.every((label) => has.includes(label))) return undefined;
    const found = this.find(body.session);
    return found === undefined ? undefined : { all: union(has, given), others: found.others };
  }

  /** The newest entry that gave a label. */
  get newest(): EntryRef | undefined {
    return this.last;
  }

  /** No waymark may lead to the index. */
  get isDoubtful(): boolean {
    return !this.isIndexed;
  }

  /** An entry this writer appends, so that it need not be read again. */
  appended(ref: EntryRef, body: EntryBody): void {
    if (this.upTo === undefined || ref.of !== this.upTo) return;
    this.take(ref, body);
    this.upTo = ref.of + 1;
  }

  clear(): void {
    this.known.clear();
    this.index.clear();
    this.upTo = undefined;
    this.last = undefined;
    this.entrance = undefined;
    this.isIndexed = true;
    this.isLost = false;
  }

  private load(): void {
    const waymark = newestWaymark(this.source);
    const { labelled } = waymark?.newest ?? {};
    if (waymark === undefined || labelled === undefined) return this.readAfter(-1);
    this.entrance = waymark.of;
    this.last = labelled[0];
    this.readAfter(waymark.of - 1);
  }

  /** From the first entry on, by the index if that is good for anything. */
  private readAgain(size: number): void {
    const isIndexed = this.isIndexed && this.entrance !== undefined;
    this.clear();
    this.isIndexed = isIndexed;
    this.readAfter(-1);
    this.upTo = size;
    if (this.isLost) this.readAgain(size);
  }

  private readAfter(of: number): void {
    const isWanted = (text: string): boolean => text.includes(LABELS) || text.includes(TAIL_MARK);
    for (const { ref, entry } of placedEntries(this.source.entriesSince, of, isWanted)) if (!this.isLost) this.take(ref, entry);
  }

  private take(ref: EntryRef, body: EntryBody): void {
    if (body.kind === 'recovery' && body.event === 'unsigned-tail') this.takeTail(body.from ?? 0);
    const given = labelsGiven(body);
    if (given.length === 0 || !('session' in body) || body.session === undefined) return;
    if (!this.isIndexed) {
      this.known.set(body.session, union(this.known.get(body.session) ?? [], given));
      return;
    }
    const entry = labelledEntry(body);
    if (entry !== undefined) {
      this.last = ref;
      this.note(ref.of, entry);
      this.remember(body.session, union(entry.all, given));
    } else if (!isPart(given, this.known.get(body.session) ?? this.find(body.session)?.all ?? [])) this.isLost = true;
  }

  /** Of what stood unsigned nothing is believed that leads elsewhere. */
  private takeTail(from: number): void {
    if (!this.isIndexed) return;
    if (this.entrance !== undefined && from <= this.entrance) this.isLost = true;
    else if (this.last !== undefined && this.last.of >= from) {
      // Reading it by the index once more would find the same.
      this.entrance = undefined;
      this.isLost = true;
    }
  }

  private find(session: string): ReturnType<typeof findLabels> {
    return findLabels(session, this.last?.of, (of) => this.entryOfIndex(of));
  }

  private entryOfIndex(of: number): LabelledEntry | undefined {
    const known = this.index.get(of);
    if (known !== undefined) return known;
    const entry = this.source.entryAt(of);
    const found = entry === undefined ? undefined : labelledEntry(entry);
    if (found !== undefined) this.note(of, found);
    return found;
  }

  private note(of: number, entry: LabelledEntry): void {
    if (this.index.size >= MAX_KNOWN) this.index.clear();
    this.index.set(of, entry);
  }

  private remember(session: string, labels: readonly string[]): void {
    if (this.isIndexed && this.known.size >= MAX_KNOWN) this.known.clear();
    this.known.set(session, labels);
  }
}

/** What a store says of labels in an entry that it appends. @param book - as far as the ledger goes; asked only where there is need. */
export function labelStamp(body: EntryBody, book: () => LabelBook): LabelStamp | undefined {
  if (body.kind !== 'decision') {
    if (labelsGiven(body).length === 0) return undefined;
    const labelled = book().next(body);
    return labelled === undefined ? undefined : { labelled };
  }
  const has = book().of(body.session);
  const labelled = book().next(body);
  if (has.length === 0) return labelled === undefined ? undefined : { labelled };
  return labelled === undefined ? { session_labels: has } : { session_labels: has, labelled };
}

function isPart(some: readonly string[], of: readonly string[]): boolean {
  return some.every((label) => of.includes(label));
}
