import type { RecordReader } from '../container/records.ts';
import { recordsOf } from '../container/source-records.ts';
import { openJsonlSource } from './source.ts';

/**
 * The entries of a mirror or an export. Lines that hold none come as records that say why; what a mirror has after its
 * checkpoint is read too.
 *
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`
 */
export function readJsonlRecords(path: string): RecordReader {
  return recordsOf('jsonl', openJsonlSource(path));
}
