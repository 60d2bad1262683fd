/**
 * What the pin entries of a ledger tell: of each tool which declaration is trusted, and what was offered since.
 *
 * Rows cannot be trusted with that, and reading all entries of a ledger for it would cost more with each call. A waymark names
 * the newest pin entry before it, and each pin entry names the one before: those are read once, then every entry from the waymark
 * on. From there on each writer and each reader goes on with what is new. Right only while what was read stays in the tree:
 * whoever rolls entries back clears it.
 */
import type { EntryRef } from '../call.ts';
import type { EntriesSince } from '../grant/history.ts';
import type { ApproverIdentity, Entry, PinBody, PinFlag, PinnedTool } from '../ledger/entry.ts';
import { placedEntries } from '../ledger/placed-entries.ts';
import { chainTo, newestWaymark, type WaymarkSource } from '../ledger/waymark.ts';

/** How the entries this looks for read. Data of a note may read the same: the kind of the parsed entry decides. */
const MARKS = ['"kind":"pin"', '"event":"unsigned-tail"'];

/** A declaration as it was recorded. */
export interface RecordedOffer {
  readonly digest: string;
  readonly entry: EntryRef;
  readonly atMs: number;
  readonly flags: readonly PinFlag[];
  readonly isRedacted: boolean;
}

export interface PinState {
  readonly server: string | undefined;
  readonly name: string;
  /** The declaration that is trusted; undefined once a person took the trust back. */
  readonly pinned: RecordedOffer | undefined;
  /** The person who accepted `pinned`; undefined: it was trusted on first use. */
  readonly acceptedBy: ApproverIdentity | undefined;
  /** Since when `pinned` is what it is, or nothing is. */
  readonly sinceMs: number;
  /** Who took the trust back. */
  readonly revokedBy: ApproverIdentity | undefined;
  /** Recorded since then, other than `pinned`; the newest last. */
  readonly offered: readonly RecordedOffer[];
  /** Every declaration recorded of it, by digest. */
  readonly recorded: ReadonlyMap<string, RecordedOffer>;
  /** Digests that are or were trusted, and not taken back since. */
  readonly trusted: ReadonlySet<string>;
}

/** Where entries are found. */
export interface PinSource extends WaymarkSource {
  readonly entriesSince: EntriesSince;
}

type Placed = { readonly ref: EntryRef; readonly atMs: number; readonly body: PinBody };
type Range = { readonly from: number; readonly to: number };

export class PinBook {
  private readonly source: PinSource;
  private readonly states = new Map<string, PinState>();
  private readonly perServer = new Map<string, number>();
  private readonly told: Placed[] = [];
  /** Where entries stood unsigned when their writer was gone: whoever can write to the file may have added them. */
  private readonly doubtful: Range[] = [];
  /** Entries before this position were read; undefined: none were yet. */
  private upTo: number | undefined;
  /** The waymark that entries were read from; undefined: they were from the first on. */
  private entrance: number | undefined;
  /** The waymark may be anybody's. */
  private isLost = false;

  constructor(source: PinSource) {
    this.source = source;
  }

  /** @param size - entries there are, those of this transaction included. */
  readOn(size: number): this {
    if (this.upTo !== undefined && size < this.upTo) this.clear();
    if (this.upTo === undefined) this.load();
    else if (size > this.upTo) this.readAfter(this.upTo - 1);
    if (this.isLost) {
      this.clear();
      this.readAfter(-1);
    }
    this.upTo = size;
    return this;
  }

  one(server: string | undefined, name: string): PinState | undefined {
    return this.states.get(keyOf(server, name));
  }

  all(): Iterable<PinState> {
    return this.states.values();
  }

  countOf(server: string | undefined): number {
    return this.perServer.get(server ?? NO_SERVER) ?? 0;
  }

  /** The newest pin entry. */
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
    this.states.clear();
    this.perServer.clear();
    this.told.length = 0;
    this.doubtful.length = 0;
    this.upTo = undefined;
    this.entrance = undefined;
    this.isLost = false;
  }

  private load(): void {
    const waymark = newestWaymark(this.source);
    const chain = waymark === undefined ? undefined : chainTo(waymark.newest.pin, waymark, this.source, isPin);
    if (waymark === undefined || chain === undefined) return this.readAfter(-1);
    this.entrance = waymark.of;
    for (const each of chain) this.add(each);
    this.readAfter(waymark.of - 1);
  }

  private readAfter(of: number): void {
    const isWanted = (text: string): boolean => MARKS.some((mark) => text.includes(mark));
    for (const { ref, entry } of placedEntries(this.source.entriesSince, of, isWanted)) this.take({ ref, atMs: entry.at }, entry);
  }

  private take(placed: Omit<Placed, 'body'>, entry: Entry): void {
    if (entry.kind === 'pin') this.add({ ...placed, body: entry });
    if (entry.kind !== 'recovery' || entry.event !== 'unsigned-tail') return;
    const { from = 0, to = 0 } = entry;
    // Where entries from before the waymark on stood unsigned, it is no better than they are.
    if (this.entrance !== undefined && from <= this.entrance) this.isLost = true;
    if (!this.told.some(({ ref }) => ref.of >= from && ref.of < to)) return;
    this.doubtful.push({ from, to });
    this.states.clear();
    this.perServer.clear();
    for (const each of this.told) this.apply(each);
  }

  private add(placed: Placed): void {
    this.told.push(placed);
    this.apply(placed);
  }

  private apply({ ref, atMs, body }: Placed): void {
    if (body.event === 'accepted' && this.doubtful.some(({ from, to }) => ref.of >= from && ref.of < to)) return;
    for (const pin of body.pins) {
      const key = keyOf(body.server, pin.name);
      const state = this.states.get(key);
      const next = nextState(state, { server: body.server, ref, atMs }, body, pin);
      if (next === undefined) continue;
      if (state === undefined) this.perServer.set(body.server ?? NO_SERVER, this.countOf(body.server) + 1);
      this.states.set(key, next);
    }
  }
}

function isPin(entry: Entry): entry is Entry & PinBody {
  return entry.kind === 'pin';
}

/** Changed declarations of one tool that are recorded until a person accepts one. Decisions name the digest of each. */
export const MAX_OFFERS = 16;

/** Whether a declaration is to be recorded. */
export function isNews(digest: string, { pinned, offered, recorded }: PinState): boolean {
  if (digest === pinned?.digest || offered.length >= MAX_OFFERS) return false;
  // What a person trusts no more is on record.
  return pinned === undefined ? !recorded.has(digest) : offered.every((each) => each.digest !== digest);
}

/** No name is empty. */
const NO_SERVER = '';

function keyOf(server: string | undefined, name: string): string {
  return JSON.stringify([server ?? null, name]);
}

interface Place {
  readonly server: string | undefined;
  readonly ref: EntryRef;
  readonly atMs: number;
}

/** Undefined when the entry has nothing to say: whoever wrote it did not know what stood there already. */
function nextState(
  state: PinState | undefined,
  { server, ref, atMs }: Place,
  body: PinBody,
  pin: PinBody['pins'][number],
): PinState | undefined {
  const { name, digest } = pin;
  if (!('approver' in body)) {
    const { flags = [], redacted } = pin as PinnedTool;
    const offer: RecordedOffer = { digest, entry: ref, atMs, flags, isRedacted: redacted === true };
    if (state === undefined) return body.event === 'first' ? firstState(server, name, offer) : undefined;
    // First means first: a second one is told by `verify`, and trusted no more than any change.
    if (state.recorded.has(digest) && (digest === state.pinned?.digest || state.offered.some((each) => each.digest === digest)))
      return undefined;
    return { ...state, offered: [...state.offered, offer], recorded: new Map(state.recorded).set(digest, offer) };
  }
  const recorded = state?.recorded.get(digest);
  if (state === undefined || recorded === undefined) return undefined;
  if (body.event === 'revoked') {
    const trusted = new Set([...state.trusted].filter((each) => each !== digest));
    if (state.pinned?.digest !== digest) return { ...state, trusted };
    return { ...state, pinned: undefined, acceptedBy: undefined, revokedBy: body.approver, sinceMs: atMs, trusted };
  }
  return {
    ...state,
    pinned: recorded,
    acceptedBy: body.approver,
    revokedBy: undefined,
    sinceMs: atMs,
    offered: [],
    trusted: new Set(state.trusted).add(digest),
  };
}

function firstState(server: string | undefined, name: string, offer: RecordedOffer): PinState {
  return {
    server,
    name,
    pinned: offer,
    acceptedBy: undefined,
    revokedBy: undefined,
    sinceMs: offer.atMs,
    offered: [],
    recorded: new Map([[offer.digest, offer]]),
    trusted: new Set([offer.digest]),
  };
}

/** In the order people look things up. */
export function byServerAndName(one: PinState, other: PinState): number {
  const [left, right] = [one.server ?? NO_SERVER, other.server ?? NO_SERVER];
  if (left !== right) return left < right ? -1 : 1;
  return one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
}
