/**
 * The entries of a ledger that tell of one matter, of halts or of pins, followed as it grows.
 *
 * Rows cannot be trusted with that, and reading all entries of a ledger for it would cost more with each call. A waymark names
 * the newest such entry before it, and each of them names the one before (`before`): they are read once, then every entry from
 * the waymark on. From there on each writer and each reader goes on with what is new. Right only while what was read stays in
 * the tree: whoever rolls entries back clears it.
 *
 * Entries that stood unsigned when their writer was gone may be anybody's. Which of them count all the same is for the matter
 * to say: when it turns out that some stood so, all are told again.
 */
import type { EntryRef } from '../call.ts';
import type { EntriesSince } from '../grant/history.ts';
import type { Entry, RecoveryBody } from './entry.ts';
import { placedEntries } from './placed-entries.ts';
import { chainTo, newestWaymark, type WaymarkSource } from './waymark.ts';

/** How the entry that tells of an unsigned tail reads. */
export const TAIL_MARK = '"event":"unsigned-tail"';

/** Where entries are found. */
export interface ToldSource extends WaymarkSource {
  readonly entriesSince: EntriesSince;
}

/** Of positions, the last one not included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface Told<Body> {
  readonly ref: EntryRef;
  readonly atMs: number;
  readonly body: Body;
}

export interface Matter<Body> {
  /** How its entries read. Data of a note may read the same: the kind of the parsed entry decides. */
  readonly marks: readonly string[];
  readonly isTold: (entry: Entry) => entry is Entry & Body;
  /** Under which name waymarks lead to the newest. */
  readonly waymark: 'halt' | 'pin';
  /** Entries that tell that some of them stood unsigned are among those that name the one before. */
  readonly chainsTails: boolean;
  /** One more, in the order of the tree. */
  readonly apply: (told: Told<Body>) => void;
  /** Nothing was told yet. */
  readonly reset: () => void;
}

export class ToldEntries<Body extends { readonly kind: string }> {
  private readonly source: ToldSource;
  private readonly matter: Matter<Body>;
  private readonly told: (Told<Body> | Told<RecoveryBody>)[] = [];
  private readonly doubtful: Range[] = [];
  /** Entries before this position were read; undefined: none were yet. */
  private upTo: number | undefined;
  /** The waymark that entries were read from; undefined: they were from the first on. */
  private entrance: number | undefined;
  /** The waymark may be anybody's. */
  private isLost = false;

  constructor(source: ToldSource, matter: Matter<Body>) {
    this.source = source;
    this.matter = matter;
  }

  /**
   * @param size - entries there are, those of this transaction included.
   * @param tail - found to be unsigned just now: no entry tells of it yet.
   */
  readOn(size: number, tail?: Range): void {
    if (this.upTo !== undefined && size < this.upTo) this.clear();
    if (this.upTo === undefined) this.load(tail);
    else if (size > this.upTo) this.readAfter(this.upTo - 1);
    if (this.isLost) {
      this.clear();
      this.readAfter(-1);
    }
    this.upTo = size;
  }

  get newest(): EntryRef | undefined {
    return this.told.at(-1)?.ref;
  }

  /** Some of what was told stood unsigned: what it names as the one before it may be a lie, so no waymark may lead to it. */
  get isDoubtful(): boolean {
    return this.doubtful.length > 0;
  }

  /** Whether the entry at this position stood unsigned. */
  isDoubted(of: number): boolean {
    return this.doubtful.some((range) => isIn(of, range));
  }

  /** An entry this writer appends, so that it need not be read again. */
  appended(ref: EntryRef, atMs: number, body: { readonly kind: string }): void {
    if (this.upTo === undefined || ref.of !== this.upTo) return;
    this.take(ref, atMs, body as Entry);
    this.upTo = ref.of + 1;
  }

  clear(): void {
    this.matter.reset();
    this.told.length = 0;
    this.doubtful.length = 0;
    this.upTo = undefined;
    this.entrance = undefined;
    this.isLost = false;
  }

  private load(tail: Range | undefined): void {
    const { source, matter } = this;
    const isChained = (entry: Entry): entry is Entry & (Body | RecoveryBody) =>
      matter.isTold(entry) || (matter.chainsTails && isTail(entry));
    const waymark = newestWaymark(source);
    const chain = waymark === undefined ? undefined : chainTo(waymark.newest[matter.waymark], waymark, source, isChained);
    if (waymark === undefined || chain === undefined) return this.readAfter(-1);
    this.entrance = waymark.of;
    for (const { ref, atMs, body } of chain) this.take(ref, atMs, body);
    this.readAfter(waymark.of - 1);
    if (tail !== undefined) this.doubt(tail);
  }

  private readAfter(of: number): void {
    const marks = [...this.matter.marks, TAIL_MARK];
    const isWanted = (text: string): boolean => marks.some((mark) => text.includes(mark));
    for (const { ref, entry } of placedEntries(this.source.entriesSince, of, isWanted)) this.take(ref, entry.at, entry);
  }

  private take(ref: EntryRef, atMs: number, entry: Entry): void {
    if (this.matter.isTold(entry)) {
      const told: Told<Body> = { ref, atMs, body: entry };
      this.told.push(told);
      this.matter.apply(told);
    }
    if (isTail(entry)) this.takeTail({ ref, atMs, body: entry });
  }

  private takeTail(tail: Told<RecoveryBody>): void {
    const range = { from: tail.body.from ?? 0, to: tail.body.to ?? 0 };
    this.doubt(range);
    if (!this.told.some(({ ref }) => isIn(ref.of, range))) return;
    this.doubtful.push(range);
    if (this.matter.chainsTails) this.told.push(tail);
    this.matter.reset();
    for (const each of this.told) if (each.body.kind !== 'recovery') this.matter.apply(each as Told<Body>);
  }

  /** Where entries from before the waymark on stood unsigned, it is no better than they are. */
  private doubt({ from }: Range): void {
    if (this.entrance !== undefined && from <= this.entrance) this.isLost = true;
  }
}

function isIn(of: number, { from, to }: Range): boolean {
  return of >= from && of < to;
}

function isTail(entry: Entry): entry is Entry & RecoveryBody {
  return entry.kind === 'recovery' && entry.event === 'unsigned-tail';
}
