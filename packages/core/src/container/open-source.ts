/** One way into a ledger for verification, whatever container it lies in. */
import { openJsonlSource } from '../jsonl/source.ts';
import { openSource } from '../sqlite/source.ts';
import type { LedgerSource } from '../verify/source.ts';
import { containerFormat } from './format.ts';

/** @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_VERSION` */
export function openContainer(path: string): LedgerSource {
  return containerFormat(path) === 'jsonl' ? openJsonlSource(path) : openSource(path);
}
