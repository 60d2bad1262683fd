/** The entries of a ledger for reading verbs: the verifier's own bounded, read-only snapshot, without its checks. */
import { parseCheckpoint } from '../ledger/checkpoint.ts';
import type { Opening } from '../ledger/entry.ts';
import { parseNote } from '../ledger/note.ts';
import type { LedgerSource, SourceRow } from '../verify/source.ts';
import type { ContainerFormat } from './format.ts';
import type { LedgerRecord, RecordReader } from './records.ts';

/** Closing the reader closes the source. */
export function recordsOf(container: ContainerFormat, source: LedgerSource): RecordReader {
  const note = source.newestCheckpoint()?.note;
  return {
    container,
    origin: source.origin,
    size: note === undefined ? undefined : sizeOf(note),
    ...(note !== undefined && { checkpoint: note }),
    faults: () => source.faults.map(({ message, entry }) => (entry === undefined ? message : `entry ${entry}: ${message}`)),
    *records(from = 0) {
      for (const chunk of source.chunks(from)) for (const row of chunk) yield ledgerRecord(row);
    },
    close: () => source.close(),
  };
}

/** Undefined for a malformed one: telling what is wrong with it is for `verify`. */
function sizeOf(note: string): number | undefined {
  try {
    // An unsigned ledger keeps the text alone.
    return parseCheckpoint(note.includes('\n\n') ? parseNote(note).text : note).size;
  } catch {
    return undefined;
  }
}

function ledgerRecord({ seq, body, bytes, opening, unreadable }: SourceRow): LedgerRecord {
  return {
    index: seq,
    text: body ?? '',
    ...(body === undefined && { unreadable: unreadable ?? `the body is no text, or too large (${bytes} bytes)` }),
    ...(opening !== undefined && { opening: { key: opening.key ?? '', sections: readSections(opening.sections) } }),
  };
}

/** Openings are not under the tree; what does not parse is shown as the text it is. */
function readSections(text: string | undefined): Opening['sections'] {
  if (text === undefined) return { malformed: 'no text, or too large' };
  try {
    const sections: unknown = JSON.parse(text);
    if (typeof sections === 'object' && sections !== null && !Array.isArray(sections)) return sections as Opening['sections'];
  } catch {
    // Below.
  }
  return { malformed: text };
}
