/** One way into the entries of a ledger, whatever container it lies in. */
import { readJsonlRecords } from '../jsonl/records.ts';
import { readSqliteRecords } from '../sqlite/records.ts';
import { readSudoRecords } from '../sudoagent/records.ts';
import { containerFormat } from './format.ts';
import type { RecordReader } from './records.ts';

/**
 * Opens a ledger for reading: one snapshot, nothing written, nothing verified. Close it.
 *
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_VERSION`; reading may throw the same.
 */
export function openRecords(path: string): RecordReader {
  const container = containerFormat(path);
  switch (container) {
    case 'sqlite':
      return readSqliteRecords(path);
    case 'jsonl':
      return readJsonlRecords(path);
    case 'sudoagent-sqlite':
    case 'sudoagent-jsonl':
      return readSudoRecords(path, container);
  }
}
