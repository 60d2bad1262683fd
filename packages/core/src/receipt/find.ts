/** Which entries a receipt is about. Hints say where to look; what stands there decides, and without them all is read. */
import { CountersignError } from '../errors.ts';
import { parseCanonical } from '../ledger/canonical.ts';
import type { Entry } from '../ledger/entry.ts';
import { isHash, leafHash } from '../ledger/merkle.ts';
import { readShape } from '../verify/shapes.ts';
import type { LedgerSource } from '../verify/source.ts';

/** A call (its newest allow, else its newest decision), or one entry, by leaf hash or by 0-based position. */
export type ReceiptTarget = { readonly call: string } | { readonly leaf: string } | { readonly index: number };

export interface Found {
  readonly index: number;
  readonly text: string;
  /** Absent for a kind this version does not check. */
  readonly entry: Entry | undefined;
  /** Position of the outcome, when the entry is a decision that has one. */
  readonly outcome: number | undefined;
}

/** @throws {CountersignError} `ENTRY_NOT_FOUND`; `OPTIONS_INVALID` for a target that names nothing. */
export function findEntry(source: LedgerSource, target: ReceiptTarget): Found {
  if ('call' in target) return findCall(source, target.call);
  const index = 'leaf' in target ? positionOf(source, target.leaf) : target.index;
  if (!Number.isSafeInteger(index) || index < 0) throw new CountersignError('OPTIONS_INVALID', 'a position must be a whole number from 0');
  const text = source.body(index);
  if (text === undefined) throw notFound(`the ledger has no entry ${index + 1}`);
  const entry = readEntry(text);
  return { index, text, entry, outcome: entry?.kind === 'decision' ? outcomeOf(source, index, entry) : undefined };
}

function findCall(source: LedgerSource, call: string): Found {
  const hint = source.hints?.call(call);
  const index = hint?.decision;
  const text = index === undefined ? undefined : source.body(index);
  const entry = text === undefined ? undefined : readEntry(text);
  if (index !== undefined && text !== undefined && entry?.kind === 'decision' && entry.call === call)
    return { index, text, entry, outcome: outcomeOf(source, index, entry) };
  return searchCall(source, call);
}

/** Reads every entry once. */
function searchCall(source: LedgerSource, call: string): Found {
  let found: Found | undefined;
  for (const { index, text, entry } of entriesNaming(source, call)) {
    if (entry.kind === 'decision' && entry.call === call && (entry.effect === 'allow' || !isAllow(found)))
      found = { index, text, entry, outcome: undefined };
    if (entry.kind === 'outcome' && entry.decision.of === found?.index) found = { ...found, outcome: index };
  }
  if (found === undefined) throw notFound(`the ledger has no decision about call ${call.slice(0, 64)}`);
  return found;
}

function outcomeOf(source: LedgerSource, decision: number, entry: Entry & { readonly kind: 'decision' }): number | undefined {
  if (entry.effect !== 'allow') return undefined;
  const hint = source.hints?.call(entry.call);
  if (hint?.decision === decision) {
    if (hint.outcome === undefined) return undefined;
    const settled = readEntry(source.body(hint.outcome) ?? '');
    if (settled?.kind === 'outcome' && settled.decision.of === decision) return hint.outcome;
  }
  for (const { index, entry: other } of entriesNaming(source, entry.call, decision + 1)) {
    if (other.kind === 'outcome' && other.decision.of === decision) return index;
  }
  return undefined;
}

function* entriesNaming(source: LedgerSource, call: string, from = 0): Generator<{ index: number; text: string; entry: Entry }> {
  for (const chunk of source.chunks(from)) {
    for (const { seq, body } of chunk) {
      const entry = body?.includes(call) === true ? readEntry(body) : undefined;
      if (body !== undefined && entry !== undefined) yield { index: seq, text: body, entry };
    }
  }
}

function positionOf(source: LedgerSource, leaf: string): number {
  if (!isHash(leaf)) throw new CountersignError('OPTIONS_INVALID', 'a leaf hash must be 64 lower-case hex digits');
  const hint = source.hints?.leaf(leaf);
  if (hint !== undefined && leafHash(source.body(hint) ?? '') === leaf) return hint;
  for (const chunk of source.chunks()) for (const { seq, body } of chunk) if (body !== undefined && leafHash(body) === leaf) return seq;
  throw notFound(`no entry has the leaf hash ${leaf}`);
}

function isAllow(found: Found | undefined): boolean {
  return found?.entry?.kind === 'decision' && found.entry.effect === 'allow';
}

/** Undefined for anything that is not an entry of a known shape. */
function readEntry(text: string): Entry | undefined {
  try {
    const shape = readShape(parseCanonical(text));
    return shape.kind === 'known' ? shape.entry : undefined;
  } catch (error) {
    if (CountersignError.is(error)) return undefined;
    throw error;
  }
}

function notFound(message: string): CountersignError {
  return new CountersignError('ENTRY_NOT_FOUND', message);
}
