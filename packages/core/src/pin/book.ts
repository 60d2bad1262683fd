/**
 * What the pin entries of a ledger tell (`told-entries.ts`): of each tool which declaration is trusted, and what was offered since.
 *
 * Of entries that stood unsigned when their writer was gone those count in which nobody accepts a declaration.
 */
import type { EntryRef } from '../call.ts';
import { type ApproverIdentity, type Entry, isPinAnswer, type PinBody, type PinFlag, type PinnedTool } from '../ledger/entry.ts';
import { type Told, ToldEntries, type ToldSource } from '../ledger/told-entries.ts';

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

export class PinBook {
  private readonly told: ToldEntries<PinBody>;
  private readonly states = new Map<string, PinState>();
  private readonly perServer = new Map<string, number>();

  constructor(source: ToldSource) {
    this.told = new ToldEntries<PinBody>(source, {
      marks: ['"kind":"pin"'],
      isTold: isPin,
      waymark: 'pin',
      chainsTails: false,
      apply: (told) => this.apply(told),
      reset: () => {
        this.states.clear();
        this.perServer.clear();
      },
    });
  }

  /** @param size - entries there are, those of this transaction included. */
  readOn(size: number): this {
    this.told.readOn(size);
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
    return this.told.newest;
  }

  get isDoubtful(): boolean {
    return this.told.isDoubtful;
  }

  appended(ref: EntryRef, atMs: number, body: { readonly kind: string }): void {
    this.told.appended(ref, atMs, body);
  }

  clear(): void {
    this.told.clear();
  }

  private apply({ ref, atMs, body }: Told<PinBody>): void {
    if (body.event === 'accepted' && this.told.isDoubted(ref.of)) return;
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
  if (!isPinAnswer(body)) {
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
