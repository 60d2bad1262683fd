/** The entries of a SQLite ledger for reading verbs: the verifier's own bounded, read-only snapshot, without its checks. */
import type { LedgerRecord, RecordReader } from '../container/records.ts';
import { parseCheckpoint } from '../ledger/checkpoint.ts';
import type { Opening } from '../ledger/entry.ts';
import { parseNote } from '../ledger/note.ts';
import type { SourceRow } from '../verify/source.ts';
import { openSource } from './source.ts';

/** @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_VERSION` */
export function readSqliteRecords(path: string): RecordReader {
  const source = openSource(path);
  const note = source.newestCheckpoint()?.note;
  return {
    container: 'sqlite',
    origin: source.origin,
    size: note === undefined ? undefined : sizeOf(note),
    ...(note !== undefined && { checkpoint: note }),
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

function ledgerRecord({ seq, body, bytes, opening }: SourceRow): LedgerRecord {
  return {
    index: seq,
    text: body ?? '',
    ...(body === undefined && { unreadable: `the body is no text, or too large (${bytes} bytes)` }),
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
