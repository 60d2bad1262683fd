/** From a draft to the text of an entry, and back. */
import { randomBytes } from 'node:crypto';
import { CountersignError } from '../errors.ts';
import { canonicalize } from './canonical.ts';
import { type DecisionBody, ENTRY_KINDS, ENTRY_VERSION, type Entry, type EntryBody, type EntryStamp, MAX_ENTRY_BYTES } from './entry.ts';

const OPENING_BRACE = 0x7b;

/** What a store adds to a draft. */
export interface Stamp extends Pick<EntryStamp, 'writer' | 'newest'>, LabelStamp {
  readonly atMs: number;
}

/** What a store says of the labels of a session. */
export type LabelStamp = Pick<DecisionBody, 'labelled' | 'session_labels'>;

/**
 * Stamps a draft and writes it as RFC 8785 text: exactly the bytes that are stored and hashed.
 *
 * @throws {CountersignError} `ENTRY_TOO_LARGE`, `CANONICAL_INVALID`
 */
export function entryText(body: EntryBody, { atMs, writer, newest, labelled, session_labels }: Stamp): string {
  // These are the store's word, never that of a draft, which holds what an application gave: undefined takes that away.
  const text = canonicalize({ ...body, v: ENTRY_VERSION, id: newId(), at: atMs, writer, newest, labelled, session_labels });
  // Reading a character joins the pieces that the text was put together from. Whoever keeps it, keeps one string and not dozens,
  // each of which the collector would look at.
  if (text.charCodeAt(0) !== OPENING_BRACE) throw new CountersignError('ENTRY_INVALID', 'an entry is an object');
  // A UTF-16 unit is at most three bytes: most texts need no second count.
  if (text.length * 3 > MAX_ENTRY_BYTES && Buffer.byteLength(text) > MAX_ENTRY_BYTES) {
    throw new CountersignError('ENTRY_TOO_LARGE', `a ${body.kind} entry of ${Buffer.byteLength(text)} bytes exceeds ${MAX_ENTRY_BYTES}`);
  }
  return text;
}

/** Parses a text this process wrote or proved to be in its tree. For texts of unknown origin see `verify.ts`. */
export function parseEntry(text: string): Entry {
  const entry: unknown = JSON.parse(text);
  if (
    typeof entry !== 'object' ||
    entry === null ||
    !('kind' in entry) ||
    !ENTRY_KINDS.includes(entry.kind as (typeof ENTRY_KINDS)[number])
  ) {
    throw new CountersignError('ENTRY_INVALID', 'an entry has no known kind');
  }
  return entry as Entry;
}

const TIME_BYTES = 6;

/**
 * An id of 128 bits, hex, that sorts by the millisecond it was made in: 48 bits of time, then 80 random ones.
 *
 * For rows that each commit inserts: random ids would spread them over a whole table, and each page a commit touches is
 * written out before anybody may proceed.
 */
export function newOrderedId(atMs: number): string {
  if (atMs !== timeOf.ms) timeOf = { ms: atMs, text: timeText(atMs) };
  if (offset + ID_BYTES > pool.length) refill();
  offset += ID_BYTES;
  return timeOf.text + pool.toString('hex', offset - ID_BYTES + TIME_BYTES, offset);
}

/** The last one: ids come in bursts. */
let timeOf = { ms: 0, text: timeText(0) };

function timeText(atMs: number): string {
  return Math.max(0, Math.floor(atMs))
    .toString(16)
    .padStart(2 * TIME_BYTES, '0')
    .slice(-2 * TIME_BYTES);
}

const POOL_IDS = 512;
const ID_BYTES = 16;
let pool = Buffer.alloc(0);
let offset = 0;

/** 128 random bits, hex. The generator is asked for many at once: one call costs more than the bytes. */
export function newId(): string {
  if (offset + ID_BYTES > pool.length) refill();
  offset += ID_BYTES;
  return pool.toString('hex', offset - ID_BYTES, offset);
}

function refill(): void {
  pool = randomBytes(POOL_IDS * ID_BYTES);
  offset = 0;
}
