/**
 * Waymarks: from time to time an entry names the newest entries before it that tell of halts, of pins and of labels.
 *
 * Who stands still and what is trusted follows from entries, and whoever opens a ledger must not miss one of them: from the
 * newest waymark back they are a chain (labels: an index, `label-index.ts`), and what follows it is read. So that costs at most `WAYMARK_EVERY` entries, however
 * long the ledger is. A waymark is part of an entry, so only who can add entries to the tree can make one; the row that leads
 * to it is a hint: an older waymark only means that more is read, and where it leads to none, everything is.
 */
import type { EntryRef } from '../call.ts';
import type { Entry, EntryBody, Newest } from './entry.ts';

/** Entries from one waymark to the next. */
export const WAYMARK_EVERY = 512;

/** The mark that leads to the newest waymark. */
export const WAYMARK = 'waymark';

export interface WaymarkSource {
  /** The entry, if it is proven to be in the tree. */
  entry(ref: EntryRef): Entry | undefined;
  mark(name: string): EntryRef | undefined;
}

export interface Waymark {
  /** Where it stands. */
  readonly of: number;
  readonly newest: Newest;
}

export function newestWaymark(source: WaymarkSource): Waymark | undefined {
  const ref = source.mark(WAYMARK);
  const newest = ref === undefined ? undefined : source.entry(ref)?.newest;
  return ref === undefined || newest === undefined ? undefined : { of: ref.of, newest };
}

/**
 * Entries from the first one up to the one a waymark names, each naming the one before.
 *
 * @returns undefined where a reference leads nowhere: then no entry is known without reading all of them.
 */
export function chainTo<Told extends Entry & { readonly before?: EntryRef }>(
  named: EntryRef | undefined,
  { of }: Waymark,
  source: WaymarkSource,
  isTold: (entry: Entry) => entry is Told,
): readonly { readonly ref: EntryRef; readonly atMs: number; readonly body: Told }[] | undefined {
  const chain = [];
  let last = of;
  for (let ref = named; ref !== undefined; ) {
    const entry = source.entry(ref);
    // INVARIANT: positions fall, so that the walk ends.
    if (entry === undefined || !isTold(entry) || ref.of >= last) return undefined;
    chain.push({ ref, atMs: entry.at, body: entry });
    last = ref.of;
    ref = entry.before;
  }
  return chain.toReversed();
}

/** A longer entry is no waymark: with it, it could be larger than entries may be. */
const MAX_WAYMARK_CHARS = 65_536;

/** What a writer knows of halts, of pins, or of labels. */
interface Book {
  readonly newest: EntryRef | undefined;
  readonly isDoubtful: boolean;
}

/** When a writer leaves the next one, and what that names. */
export class Waymarks {
  private readonly source: WaymarkSource;
  private readonly books: { halts(): Book; pins(): Book; labelBook(): Book };
  /** Where the last one stands, as far as this writer knows; undefined: it did not look yet. */
  private last: number | undefined;
  /** The last one may be anybody's. */
  private isOverdue = false;

  constructor(source: WaymarkSource, books: Waymarks['books']) {
    this.source = source;
    this.books = books;
  }

  /**
   * What the next entry is to name; undefined: it is no waymark.
   *
   * @param text - of the entry without it.
   * @param of - where it will stand.
   */
  next(body: EntryBody, text: string, of: number): Newest | undefined {
    if (body.kind === 'recovery' && body.event === 'unsigned-tail') {
      // The last one may be part of what it tells of.
      this.isOverdue = true;
      return undefined;
    }
    if (text.length > MAX_WAYMARK_CHARS || !this.isDue(of)) return undefined;
    const [halts, pins] = [this.books.halts(), this.books.pins()];
    this.last = of;
    this.isOverdue = false;
    if (halts.isDoubtful || pins.isDoubtful) return undefined;
    const { newest: halt } = halts;
    const { newest: pin } = pins;
    const labels = this.books.labelBook();
    const labelled = labels.isDoubtful ? undefined : labels.newest === undefined ? [] : [labels.newest];
    return { ...(halt !== undefined && { halt }), ...(pin !== undefined && { pin }), ...(labelled !== undefined && { labelled }) };
  }

  /** Entries were rolled back: the last one may have gone with them. */
  clear(): void {
    this.last = undefined;
  }

  private isDue(of: number): boolean {
    if (this.isOverdue) return true;
    if (this.last !== undefined && of - this.last < WAYMARK_EVERY) return false;
    // Another writer may have left one. The one that is known need not be proven again.
    if (this.last === undefined || this.source.mark(WAYMARK)?.of !== this.last) this.last = newestWaymark(this.source)?.of ?? -1;
    return of - this.last >= WAYMARK_EVERY;
  }
}
