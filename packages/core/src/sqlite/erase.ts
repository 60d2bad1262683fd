/**
 * Getting deleted bytes out of the files of a ledger.
 *
 * `secure_delete` overwrites what a DELETE frees, but not the copies SQLite left in the unused part of a page when it moved
 * rows between pages earlier: measured, a few of ten thousand deleted rows could still be read. Only writing the file anew
 * leaves nothing, so that is done (VACUUM). Then the write-ahead log, which holds pages as they were, is emptied.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import { isBusy, openForWriting } from './database.ts';

const PAUSE_MS = 5;

export interface Erased {
  /** `busy`: others held the ledger all the time, so old pages are still in the file or in its write-ahead log. */
  readonly file: 'rewritten' | 'busy';
  readonly log: 'emptied' | 'busy';
}

/**
 * Writes the database anew without what was deleted and empties its write-ahead log. Other processes may go on reading and
 * writing; while the file is rewritten, which takes as long as copying it, writers wait.
 *
 * @param deadlineMs - how long to wait for readers of old snapshots and for writers.
 * @throws {CountersignError} `LEDGER_*`
 */
export async function eraseDeleted(path: string, deadlineMs: number): Promise<Erased> {
  const file = openForWriting(path, false);
  const { database } = file;
  try {
    const end = performance.now() + deadlineMs;
    const rewrite = (): unknown => (file.checkIdentity(), database.exec('VACUUM'));
    const isRewritten = await until(end, () => tried(rewrite));
    const isEmptied = isRewritten && (await until(end, () => (file.checkIdentity(), isTruncated(database))));
    return { file: isRewritten ? 'rewritten' : 'busy', log: isEmptied ? 'emptied' : 'busy' };
  } finally {
    file.close();
  }
}

function isTruncated(database: Database): boolean {
  const [row] = database.pragma('wal_checkpoint(TRUNCATE)') as readonly { readonly busy: number; readonly log: number }[];
  return row?.busy === 0 && row.log === 0;
}

function tried(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

async function until(end: number, action: () => boolean): Promise<boolean> {
  for (;;) {
    if (action()) return true;
    if (performance.now() > end) return false;
    await sleep(PAUSE_MS + Math.random() * PAUSE_MS);
  }
}
