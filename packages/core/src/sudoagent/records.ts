/** The entries of the predecessor's ledgers for reading verbs: the verifier's own bounded, read-only snapshot, unchecked. */
import type { LedgerRecord, RecordReader } from '../container/records.ts';
import { openSudoSource } from './open.ts';
import type { SudoContainer } from './source.ts';

/** @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE` */
export function readSudoRecords(path: string, container: SudoContainer): RecordReader {
  const source = openSudoSource(path, container);
  return {
    container,
    origin: undefined,
    size: undefined,
    *records(from = 0): Generator<LedgerRecord> {
      let index = 0;
      for (const rows of source.chunks()) {
        for (const { text, fault } of rows) {
          if (index >= from)
            yield { index, text: text ?? '', ...(text === undefined && { unreadable: fault?.message ?? 'it is no text' }) };
          index++;
        }
      }
    },
    close: () => source.close(),
  };
}
