/** What `doctor` asks of SQLite on this machine: which version it is, and whether a reopened ledger is still durable. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openForWriting } from './database.ts';

export interface DurabilityFacts {
  readonly sqlite: string;
  /** `PRAGMA synchronous` after the second opening: 2 is FULL. */
  readonly synchronous: number;
  readonly journal: string;
}

/**
 * Makes a ledger file in a fresh folder under `directory`, opens it twice as the store does, and removes it.
 *
 * @throws {CountersignError} `LEDGER_NOT_DURABLE`, `LEDGER_UNREADABLE`
 */
export function checkDurability(directory: string): DurabilityFacts {
  const folder = mkdtempSync(join(directory, 'countersign-doctor-'));
  try {
    const path = join(folder, 'ledger.db');
    openForWriting(path, true).database.close();
    const { database } = openForWriting(path, false);
    try {
      return {
        sqlite: String(database.prepare('SELECT sqlite_version()').pluck().get()),
        synchronous: Number(database.pragma('synchronous', { simple: true })),
        journal: String(database.pragma('journal_mode', { simple: true })),
      };
    } finally {
      database.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
