/**
 * Recording what servers declare, and what people make of it, inside the transaction. What is known already is told by the
 * entries (`pin/book.ts`); two processes that list the same tools at once pin them once.
 */
import type { EntryRef, Json } from '../call.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { commitSection, newOpeningKey } from '../ledger/commitment.ts';
import type { OfferedBody, PinAnswerBody, PinnedTool } from '../ledger/entry.ts';
import { isNews, type PinState } from '../pin/book.ts';
import { byName } from '../pin/statement.ts';
import type { Committed, DecideUnit, PinAnswerUnit, PinOffer, PinUnit } from '../store-units.ts';
import type { Tx } from './tx.ts';

/** Tools in one entry; more take several. */
export const MAX_PINS_PER_ENTRY = 256;
/** Declarations beside one entry, as characters of their canonical JSON. An opening holds 16,777,216. */
const MAX_OPENING_CHARS = 8_388_608;
/** Tools of one server. A server that lists ever new names fills the ledger no further, and what is not pinned is not called. */
export const MAX_PINNED_TOOLS = 20_000;

/** Tools that one answer is about: in one entry, under one signature. */
export const MAX_ANSWERED = 1000;

export function pin(unit: PinUnit, tx: Tx): Committed {
  const { server } = unit;
  const book = tx.pins();
  const first: PinOffer[] = [];
  const changed: PinOffer[] = [];
  for (const offer of unit.offers) {
    const state = book.one(server, offer.name);
    if (state === undefined) {
      if (book.countOf(server) + first.length < MAX_PINNED_TOOLS) first.push(offer);
    } else if (isNews(offer.digest, state)) changed.push(offer);
  }
  const entries = [...record('first', first, unit, tx), ...record('changed', changed, unit, tx)];
  return { kind: 'pinned', entries };
}

function record(event: OfferedBody['event'], offers: readonly PinOffer[], { agent, server }: PinUnit, tx: Tx): readonly EntryRef[] {
  return inEntries(offers).map((some) => {
    const key = newOpeningKey();
    const declarations: Json = Object.fromEntries(some.map(({ name, declaration }) => [name, declaration]));
    const before = tx.pins().newest;
    return tx.append(
      {
        kind: 'pin',
        event,
        agent,
        ...(server !== undefined && { server }),
        pins: some.map(pinned),
        declarations_commit: commitSection(key, 'declarations', declarations),
        ...(before !== undefined && { before }),
      },
      { key, sections: { declarations } },
    );
  });
}

function pinned({ name, digest, flags, isRedacted }: PinOffer): PinnedTool {
  return { name, digest, ...(flags.length > 0 && { flags }), ...(isRedacted && { redacted: true }) };
}

/** As many to an entry as it and its opening hold. */
function inEntries(offers: readonly PinOffer[]): readonly (readonly PinOffer[])[] {
  const groups: PinOffer[][] = [];
  let chars = 0;
  for (const offer of offers.toSorted(byName)) {
    const size = canonicalize(offer.declaration).length;
    const group = groups.at(-1);
    if (group === undefined || group.length >= MAX_PINS_PER_ENTRY || chars + size > MAX_OPENING_CHARS) {
      groups.push([offer]);
      chars = size;
    } else {
      group.push(offer);
      chars += size;
    }
  }
  return groups;
}

/** All of them or none: what a person looked at must be what stands there. */
export function answerPins(unit: PinAnswerUnit, tx: Tx): Committed {
  const { event, agent, server, before, approver, signature } = unit;
  const book = tx.pins();
  const pins: PinAnswerBody['pins'][number][] = [];
  for (const { name, digest } of unit.pins.toSorted(byName)) {
    const state = book.one(server, name);
    if (state === undefined) return { kind: 'not-pinned', why: 'not-found', name };
    const recorded = state.recorded.get(digest);
    if (recorded === undefined || !isAnswerable(event, digest, state)) return { kind: 'not-pinned', why: 'changed', name };
    pins.push({ name, digest, entry: recorded.entry });
  }
  if (pins.length === 0 || pins.length > MAX_ANSWERED || new Set(pins.map(({ name }) => name)).size < pins.length)
    return { kind: 'not-pinned', why: 'too-many' };
  const { newest } = book;
  if (newest === undefined || newest.of !== before.of || newest.leaf !== before.leaf) return { kind: 'not-pinned', why: 'moved' };
  const entry = tx.append({
    kind: 'pin',
    event,
    agent,
    ...(server !== undefined && { server }),
    pins,
    approver,
    ...(signature !== undefined && { signature }),
    before: newest,
  });
  return { kind: 'pinned', entries: [entry] };
}

/** A person accepts the newest offer, or what is trusted already; trust is taken from what is trusted. */
function isAnswerable(event: PinAnswerBody['event'], digest: string, { pinned, offered, recorded }: PinState): boolean {
  if (event === 'revoked') return pinned?.digest === digest;
  const newest = offered.at(-1);
  if (newest !== undefined) return newest.digest === digest || pinned?.digest === digest;
  return pinned === undefined ? recorded.has(digest) : pinned.digest === digest;
}

/** Whether what is trusted is no longer what it was when the call was decided on. */
export function isPinMoved({ body, pinned }: DecideUnit, tx: Tx): boolean {
  if (pinned === undefined) return false;
  const { server, name } = body.tool;
  return (tx.pins().one(server, name)?.pinned?.digest ?? null) !== pinned;
}
