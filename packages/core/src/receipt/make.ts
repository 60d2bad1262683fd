/**
 * Makes receipts from a ledger, read-only and from one snapshot. The proof comes from stored tiles, so its cost does not
 * grow with the log; tiles are only hints, and what they give is verified before anybody gets to see it.
 */
import type { Json } from '../call.ts';
import { openContainer } from '../container/open-source.ts';
import { CountersignError } from '../errors.ts';
import { parseCanonical } from '../ledger/canonical.ts';
import type { Opening } from '../ledger/entry.ts';
import { inclusionProof, leafHash, type SubtreeReader, verifyInclusion } from '../ledger/merkle.ts';
import { formatTlogProof } from '../ledger/tlog-proof.ts';
import { type ReadCheckpoint, readCheckpoint } from '../verify/heads.ts';
import type { LedgerSource, SourceRow } from '../verify/source.ts';
import { type Found, findEntry, type ReceiptTarget } from './find.ts';
import { formatReceipt, type Receipt, type ReceiptPart } from './format.ts';
import { hashedSubtrees, storedSubtrees } from './subtrees.ts';

export interface MakeReceiptOptions {
  /** Default true: the clear text travels along. */
  readonly openings?: boolean;
}

export interface MadeReceipt {
  /** The receipt, to be written as it is. */
  readonly text: string;
  /** 0-based position. */
  readonly index: number;
  readonly leaf: string;
  readonly kind: string;
  /** Of a decision. For a call the newest allow is taken, else the newest decision. */
  readonly effect?: string;
  /** `later`: it is recorded, but no signed checkpoint covers it yet. */
  readonly outcome: 'included' | 'none' | 'later';
  /** Log, and entries covered by the checkpoint in the receipt. */
  readonly origin: string;
  readonly size: number;
  readonly isSigned: boolean;
  /** Whether clear text is in it. */
  readonly hasClearText: boolean;
}

/**
 * Makes a receipt from a SQLite ledger, a JSONL mirror or an export.
 *
 * @throws {CountersignError} `LEDGER_*`, `ENTRY_NOT_FOUND`, `ENTRY_NOT_SIGNED`, `RECEIPT_TOO_LARGE`, `OPTIONS_INVALID`
 */
export function makeReceipt(path: string, target: ReceiptTarget, options: MakeReceiptOptions = {}): MadeReceipt {
  const { openings = true } = options;
  return buildReceipt(path, target, (row) => (openings ? openingOf(row) : undefined));
}

/** What of the clear text beside an entry goes into the receipt. */
export type Show = (row: SourceRow, part: 'entry' | 'outcome') => ReceiptPart['opening'];

/** @throws as `makeReceipt`, and whatever `show` throws. */
export function buildReceipt(path: string, target: ReceiptTarget, show: Show): MadeReceipt {
  const source = openContainer(path);
  try {
    const found = findEntry(source, target);
    const head = headCovering(source, found.index);
    const isCovered = found.outcome !== undefined && found.outcome < head.size;
    const receipt = receiptOf(source, found, head, show);
    const { entry } = found;
    return {
      text: formatReceipt(receipt),
      index: found.index,
      leaf: leafHash(found.text),
      kind: entry?.kind ?? 'unknown',
      ...(entry?.kind === 'decision' && { effect: entry.effect }),
      outcome: found.outcome === undefined ? 'none' : isCovered ? 'included' : 'later',
      origin: head.origin,
      size: head.size,
      isSigned: head.signature !== 'none',
      hasClearText: receipt.opening !== undefined || receipt.outcome?.opening !== undefined,
    };
  } finally {
    source.close();
  }
}

function receiptOf(source: LedgerSource, { index, outcome }: Found, head: Head, show: Show): Receipt {
  const positions = outcome === undefined || outcome >= head.size ? [index] : [index, outcome];
  const rows = positions.map((position) => rowAt(source, position));
  const proofs = inclusionProofs(source, rows, head);
  const parts = rows.map((row, i): ReceiptPart => {
    const opening = show(row, i === 0 ? 'entry' : 'outcome');
    const proof = formatTlogProof({ index: row.seq, hashes: proofs[i] as readonly string[], checkpoint: head.note });
    return { entry: row.body, proof, ...(opening !== undefined && { opening }) };
  });
  const [entry, settled] = parts as [ReceiptPart, ReceiptPart | undefined];
  return { ...entry, ...(settled !== undefined && { outcome: settled }) };
}

type ReadableRow = SourceRow & { readonly body: string };

function rowAt(source: LedgerSource, position: number): ReadableRow {
  for (const chunk of source.chunks(position, position + 1)) {
    for (const row of chunk) if (row.seq === position && row.body !== undefined) return { ...row, body: row.body };
  }
  throw corrupt(`entry ${position + 1} cannot be read`);
}

/** All proofs at one size, each verified against the root of the checkpoint. */
function inclusionProofs(source: LedgerSource, rows: readonly ReadableRow[], head: Head): readonly (readonly string[])[] {
  const prove = (read: SubtreeReader): readonly (readonly string[])[] => rows.map(({ seq }) => inclusionProof(seq, head.size, read));
  const isProven = (proofs: readonly (readonly string[])[]): boolean =>
    rows.every(({ seq, body }, i) =>
      verifyInclusion({ index: seq, size: head.size, leaf: leafHash(body), root: head.root, proof: proofs[i] as readonly string[] }),
    );
  if (source.stores.tiles) {
    const stored = tried(() => prove(storedSubtrees(source)));
    if (stored !== undefined && isProven(stored)) return stored;
  }
  // No tiles, or wrong ones: the entries themselves still give the proof, if they are those that were signed.
  const hashed = prove(hashedSubtrees(source, head.size, (read) => void prove(read)));
  if (isProven(hashed)) return hashed;
  throw corrupt(`the stored entries do not lead to the root of the checkpoint at ${head.size} entries`);
}

function tried<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (CountersignError.is(error)) return undefined;
    throw error;
  }
}

interface Head extends ReadCheckpoint {
  readonly note: string;
}

/** The newest checkpoint; where signing lags behind, the newest signed one that covers the entry. */
function headCovering(source: LedgerSource, index: number): Head {
  const newest = readHead(source.newestCheckpoint()?.note);
  if (newest.size <= index) throw notCovered(index, newest.size);
  if (newest.signature !== 'none') return newest;
  let signed: Head | undefined;
  for (let stored = source.checkpointAfter(-1); stored !== undefined; stored = source.checkpointAfter(stored.size)) {
    // An unsigned one has no empty line.
    if (stored.note?.includes('\n\n') === true) signed = readHead(stored.note);
  }
  if (signed !== undefined && signed.size > index) return signed;
  if (signed !== undefined || saysItIsSigned(source)) throw notCovered(index, signed?.size ?? 0);
  return newest;
}

/** A ledger with a key begins with that key's entry. */
function saysItIsSigned(source: LedgerSource): boolean {
  return source.body(0)?.includes('"kind":"key"') === true;
}

function readHead(note: string | undefined): Head {
  if (note === undefined) throw corrupt('no checkpoint covers the entries, or it cannot be read');
  try {
    return { ...readCheckpoint(note, []), note };
  } catch (cause) {
    if (!CountersignError.is(cause)) throw cause;
    throw corrupt('a checkpoint is malformed', cause);
  }
}

/** The clear text beside an entry as it is stored; that it is what the entry commits to, `checkReceipt` sees. */
export function openingOf({ opening, seq }: SourceRow): Opening | undefined {
  if (opening === undefined) return undefined;
  try {
    const sections = opening.sections === undefined ? undefined : parseCanonical(opening.sections);
    if (opening.key !== undefined && typeof sections === 'object' && sections !== null && !Array.isArray(sections))
      return { key: opening.key, sections: sections as { readonly [section: string]: Json } };
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
  }
  throw corrupt(`what lies beside entry ${seq + 1} is not an opening`);
}

function notCovered(index: number, size: number): CountersignError {
  const message = `no signed checkpoint covers entry ${index + 1} yet, the newest covers ${size}: try again after the next signature`;
  return new CountersignError('ENTRY_NOT_SIGNED', message, { details: { index, size } });
}

function corrupt(what: string, cause?: unknown): CountersignError {
  return new CountersignError(
    'LEDGER_CORRUPT',
    `${what}: no receipt was made, run \`countersign verify\``,
    cause === undefined ? {} : { cause },
  );
}
