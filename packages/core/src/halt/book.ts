/**
 * What the session entries of a ledger tell of halts: which sessions are refused, since when and why.
 *
 * Rows cannot be trusted with that, and reading all entries of a ledger for it would cost more with each call. A waymark names the
 * newest halt or end of one before it, and each of those names the one before (`before`): they are read once, then every entry from
 * the waymark on. From there on each writer and each reader goes on with what is new. Right only while what was read stays in the
 * tree: whoever rolls entries back clears it.
 *
 * Entries that stood unsigned when their writer was gone may be anybody's: a halt among them counts, its end does not.
 */
import type { EntryRef } from '../call.ts';
import type { EntriesSince } from '../grant/history.ts';
import type { Entry, RecoveryBody, SessionBody } from '../ledger/entry.ts';
import { placedEntries } from '../ledger/placed-entries.ts';
import { chainTo, newestWaymark, type WaymarkSource } from '../ledger/waymark.ts';

/** How the entries this looks for read. Data of a note may read the same: the kind of the parsed entry decides. */
const MARKS = ['"event":"halted"', '"event":"resumed"', '"event":"unsigned-tail"'];

/** A halt that stands. */
export interface Halt {
  /** Absent: every session. */
  readonly session?: string;
  /** Whose word it is: of the halt of every session the one that said so. */
  readonly by: string;
  readonly agent: string;
  readonly entry: EntryRef;
  readonly atMs: number;
  readonly reasonCode?: string;
  readonly incident?: string;
}

/** Where entries are found. */
export interface HaltSource extends WaymarkSource {
  readonly entriesSince: EntriesSince;
}

type Body = SessionBody | RecoveryBody;
type Placed = { readonly ref: EntryRef; readonly atMs: number; readonly body: Body };
/** Of positions, the last one not included. */
type Range = { readonly from: number; readonly to: number };

/** No session has this name: names are not empty. */
const EVERY = '';

export class HaltBook {
  private readonly source: HaltSource;
  private readonly standing = new Map<string, Halt>();
  private readonly told: Placed[] = [];
  private readonly doubtful: Range[] = [];
  /** Entries before this position were read; undefined: none were yet. */
  private upTo: number | undefined;
  /** The waymark that entries were read from; undefined: they were from the first on. */
  private entrance: number | undefined;
  /** The waymark may be anybody's. */
  private isLost = false;

  constructor(source: HaltSource) {
    this.source = source;
  }

  /**
   * @param size - entries there are, those of this transaction included.
   * @param tail - found to be unsigned just now: no entry tells of it yet.
   */
  readOn(size: number, tail?: Range): this {
    if (this.upTo !== undefined && size < this.upTo) this.clear();
    if (this.upTo === undefined) this.load(tail);
    else if (size > this.upTo) this.readAfter(this.upTo - 1);
    if (this.isLost) {
      this.clear();
      this.readAfter(-1);
    }
    this.upTo = size;
    return this;
  }

  /** The halt of this session alone; without a session, that of all. */
  of(session: string | undefined): Halt | undefined {
    return this.standing.get(session ?? EVERY);
  }

  /** Oldest first. */
  all(): readonly Halt[] {
    return [...this.standing.values()].toSorted((one, other) => one.entry.of - other.entry.of);
  }

  /** The newest entry that halted, ended a halt, or told that one of those stood unsigned. */
  get newest(): EntryRef | undefined {
    return this.told.at(-1)?.ref;
  }

  /** Some of what was told stood unsigned: what it names as the one before it may be a lie, so no waymark may lead to it. */
  get isDoubtful(): boolean {
    return this.doubtful.length > 0;
  }

  /** An entry this writer appends, so that it need not be read again. */
  appended(ref: EntryRef, atMs: number, body: { readonly kind: string }): void {
    if (this.upTo === undefined || ref.of !== this.upTo) return;
    this.take({ ref, atMs }, body as Entry);
    this.upTo = ref.of + 1;
  }

  clear(): void {
    this.standing.clear();
    this.told.length = 0;
    this.doubtful.length = 0;
    this.upTo = undefined;
    this.entrance = undefined;
    this.isLost = false;
  }

  private load(tail: Range | undefined): void {
    const waymark = newestWaymark(this.source);
    const chain = waymark === undefined ? undefined : chainTo(waymark.newest.halt, waymark, this.source, isTold);
    if (waymark === undefined || chain === undefined) return this.readAfter(-1);
    this.entrance = waymark.of;
    for (const each of chain) this.add(each);
    this.readAfter(waymark.of - 1);
    if (tail !== undefined) this.doubt(tail);
  }

  private readAfter(of: number): void {
    const isWanted = (text: string): boolean => MARKS.some((mark) => text.includes(mark));
    for (const { ref, entry } of placedEntries(this.source.entriesSince, of, isWanted)) this.take({ ref, atMs: entry.at }, entry);
  }

  private take(placed: Omit<Placed, 'body'>, entry: Entry): void {
    if (isTold(entry)) this.add({ ...placed, body: entry });
  }

  private add(placed: Placed): void {
    const { body } = placed;
    if (body.kind === 'session') {
      this.told.push(placed);
      return this.apply(placed, body);
    }
    const range = { from: body.from ?? 0, to: body.to ?? 0 };
    this.doubt(range);
    if (!this.told.some(({ ref }) => isIn(ref.of, range))) return;
    this.doubtful.push(range);
    this.told.push(placed);
    this.standing.clear();
    for (const each of this.told) if (each.body.kind === 'session') this.apply(each, each.body);
  }

  /** Where entries from before the waymark on stood unsigned, it is no better than they are. */
  private doubt({ from }: Range): void {
    if (this.entrance !== undefined && from <= this.entrance) this.isLost = true;
  }

  private apply({ ref, atMs }: Placed, { agent, session, event, scope, reason_code: reasonCode, incident }: SessionBody): void {
    const whose = scope === 'ledger' ? EVERY : session;
    if (event === 'resumed') {
      if (!this.doubtful.some((range) => isIn(ref.of, range))) this.standing.delete(whose);
      return;
    }
    this.standing.set(whose, {
      ...(scope !== 'ledger' && { session }),
      by: session,
      agent,
      entry: ref,
      atMs,
      ...(reasonCode !== undefined && { reasonCode }),
      ...(incident !== undefined && { incident }),
    });
  }
}

function isIn(of: number, { from, to }: Range): boolean {
  return of >= from && of < to;
}

function isTold(entry: Entry): entry is Entry & Body {
  if (entry.kind === 'session') return entry.event === 'halted' || entry.event === 'resumed';
  return entry.kind === 'recovery' && entry.event === 'unsigned-tail';
}
