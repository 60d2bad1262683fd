/** One way into a ledger of the predecessor. */
import { openLines } from './lines.ts';
import { openRows } from './rows.ts';
import type { SudoContainer, SudoSource } from './source.ts';

/** @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE` */
export function openSudoSource(path: string, container: SudoContainer): SudoSource {
  return container === 'sudoagent-jsonl' ? openLines(path) : openRows(path);
}
