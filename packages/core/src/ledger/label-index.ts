/**
 * An index of the labels of sessions that lies in the entries themselves, so that nobody needs a row for it.
 *
 * An entry that gives its session a label says which ones the session has from then on, and leads to all other sessions that
 * have some. Sessions are ordered by the bits of SHA-256 of their names, as in a binary trie: of each group of sessions that share
 * exactly the first n bits with this one, the entry names the newest entry that gave one of them a label. So from the newest
 * such entry of a ledger each session is reached, or shown to have no label, in about as many steps as the number of sessions
 * has binary digits. Positions are enough as references: what stands there is proven to be in the tree.
 */
import { hash } from 'node:crypto';
import type { EntryBody, Labelled } from './entry.ts';

/** An entry of the index. */
export interface LabelledEntry extends Labelled {
  /** Of its session. */
  readonly key: Buffer;
}

/** The entry of the index at a position; undefined where there is none. */
export type LabelledAt = (of: number) => LabelledEntry | undefined;

export function sessionKey(session: string): Buffer {
  return hash('sha256', session, 'buffer');
}

/** Labels that an entry gives its session, whether or not it had them. */
export function labelsGiven(entry: EntryBody): readonly string[] {
  if (entry.kind === 'decision') return entry.effect === 'allow' ? (entry.labels ?? NONE) : NONE;
  return entry.kind === 'outcome' || entry.kind === 'session' ? (entry.labels ?? NONE) : NONE;
}

const NONE: readonly string[] = [];

export function union(some: readonly string[], more: readonly string[]): readonly string[] {
  return [...new Set([...some, ...more])].toSorted();
}

/** @param entry - as read from a tree in which it was proven. */
export function labelledEntry(entry: EntryBody): LabelledEntry | undefined {
  return 'labelled' in entry && entry.labelled !== undefined && 'session' in entry && entry.session !== undefined
    ? { key: sessionKey(entry.session), ...entry.labelled }
    : undefined;
}

export interface Found {
  /** Labels of the session. */
  readonly all: readonly string[];
  /** What an entry names that gives this session a label next. */
  readonly others: Labelled['others'];
}

/**
 * @param newest - position of the newest entry of the index; undefined: there is none.
 * @returns undefined where a reference leads nowhere, or up: then nothing can be told from the index.
 */
export function findLabels(session: string, newest: number | undefined, at: LabelledAt): Found | undefined {
  const key = sessionKey(session);
  const others: (readonly [number, number])[] = [];
  let shared = 0;
  for (let of = newest; of !== undefined; ) {
    const entry = at(of);
    if (entry === undefined) return undefined;
    const bits = sharedBits(key, entry.key);
    // INVARIANT: each step leads to an older entry that shares more bits, so that the walk ends.
    if (bits < shared) return undefined;
    for (const other of entry.others) if (other[0] >= shared && other[0] < bits) others.push(other);
    if (bits === KEY_BITS) return { all: entry.all, others };
    others.push([bits, of]);
    const next: number | undefined = entry.others.find(([each]) => each === bits)?.[1];
    if (next !== undefined && next >= of) return undefined;
    of = next;
    shared = bits + 1;
  }
  return { all: NONE, others };
}

const KEY_BITS = 256;

/** How many bits two keys have in common before the first that differs. */
function sharedBits(one: Buffer, other: Buffer): number {
  for (let i = 0; i < one.length; i++) {
    const differing = (one[i] as number) ^ (other[i] as number);
    if (differing !== 0) return i * 8 + Math.clz32(differing) - 24;
  }
  return KEY_BITS;
}
