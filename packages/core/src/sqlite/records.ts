import type { RecordReader } from '../container/records.ts';
import { recordsOf } from '../container/source-records.ts';
import { openSource } from './source.ts';

/** @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_VERSION` */
export function readSqliteRecords(path: string): RecordReader {
  return recordsOf('sqlite', openSource(path));
}
