/**
 * A ledger as JSON lines, and as one JSON document: `entry` is the stored text itself, so that its leaf hash can be
 * computed again. Openings hold the clear text of arguments.
 *
 *     {"countersign":"export","version":1,"origin":"example.com/billing","size":1,"checkpoint":"example.com/billing\n1\n..."}
 *     {"index":0,"leaf":"5f1c...","entry":{"agent":...},"opening":{"key":"...","sections":{"args":{...}}}}
 *
 * Entries that were picked out of a ledger are no ledger: their header says `"countersign":"selection"`.
 */
import type { LedgerRecord, RecordReader } from '../container/records.ts';
import { canonicalize } from '../ledger/canonical.ts';

export const EXPORT_VERSION = 1;

/** One line without its end. `isWhole`: every entry follows, in order. */
export function exportHeader(reader: Pick<RecordReader, 'origin' | 'size' | 'checkpoint'>, isWhole: boolean): string {
  const { origin = null, size, checkpoint = null } = reader;
  return JSON.stringify({
    countersign: isWhole ? 'export' : 'selection',
    version: EXPORT_VERSION,
    origin,
    // A ledger without entries has no checkpoint; of a malformed one, or a ledger that has none ever, nobody knows the size.
    size: size ?? (isWhole && checkpoint === null ? 0 : null),
    checkpoint,
  });
}

/** One line without its end, whatever the record holds. */
export function recordLine({ index, text, opening, unreadable }: LedgerRecord, leaf: string, withOpening: boolean): string {
  const stored = isOneLineOfJson(text) ? `"entry":${text}` : `"text":${JSON.stringify(text)}`;
  const why = unreadable === undefined ? '' : `,"unreadable":${JSON.stringify(unreadable)}`;
  const clear = withOpening && opening !== undefined ? `,"opening":${openingText(opening)}` : '';
  return `{"index":${index},"leaf":${JSON.stringify(leaf)},${stored}${why}${clear}}`;
}

/** Canonical, as docs/formats/jsonl.md promises. What has no such form was not written by us. */
function openingText(opening: NonNullable<LedgerRecord['opening']>): string {
  try {
    return canonicalize(opening);
  } catch {
    return canonicalize({ key: opening.key.toWellFormed(), sections: { malformed: 'nested too deep, or no text' } });
  }
}

/** A tampered ledger may hold any text; it must not end our line or our document. */
export function isOneLineOfJson(text: string): boolean {
  if (/[\r\n]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
