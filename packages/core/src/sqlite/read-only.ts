/**
 * Opening a database that may be anybody's, to read one snapshot of it: no byte of it changes, and nothing is left beside
 * it. Whoever reads must compare the schema first: a view could run forever, an index could answer for its table.
 */
import { type BigIntStats, constants, copyFileSync, existsSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import { openForReading } from './database.ts';

/** Makes the reader of an open snapshot; `close` ends the snapshot and clears up. When it throws, that is done for it. */
export type MakeReader<T> = (database: Database, close: () => void, found: Found) => T;

export interface Found {
  /** Its `-wal` was taken away: the newest entries may have gone with it. Seen only where its `-shm` was left. */
  readonly isWalMissing: boolean;
}

/**
 * Opens the file where it lies, or a private copy where SQLite cannot (read-only media).
 *
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, and what `make` throws.
 */
export function openReadOnly<T>(path: string, make: MakeReader<T>): T {
  let file = resolve(path);
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) throw new CountersignError('LEDGER_NOT_FOUND', `there is no ledger at ${file}`);
    // Opening a pipe would wait for whoever laid it there.
    if (!stat.isFile()) throw unreadable(file, 'it is not a regular file');
    if (stat.size === 0) throw unreadable(file, 'the file is empty');
    // Its -wal lies beside the file itself, not beside a link to it.
    file = realpathSync(file);
    const found = { isWalMissing: lacksWal(file) };
    // Where it lies SQLite would make an empty -wal, and nobody after us could see that one is missing.
    const opened = found.isWalMissing ? undefined : openInPlace(file, make, found);
    return opened ?? openCopy(file, make, found);
  } catch (cause) {
    if (CountersignError.is(cause)) throw cause;
    throw unreadable(file, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** Undefined when SQLite cannot read the file where it lies: a WAL database needs a writable folder or its -shm file. */
function openInPlace<T>(file: string, make: MakeReader<T>, found: Found): T | undefined {
  const wasClosed = !existsSync(`${file}-wal`) && !existsSync(`${file}-shm`);
  let database: Database;
  try {
    database = openForReading(file);
  } catch (error) {
    if (CountersignError.is(error) && isCannotOpen(error.cause)) return undefined;
    throw error;
  }
  try {
    beginSnapshot(database);
    const close = (): void => {
      database.close();
      if (wasClosed) removeReaderFiles(file);
    };
    return make(database, close, found);
  } catch (error) {
    database.close();
    if (wasClosed) removeReaderFiles(file);
    if (isCannotOpen(error)) return undefined;
    throw error;
  }
}

/** For read-only media: the same bytes in a private folder, removed afterwards. */
function openCopy<T>(file: string, make: MakeReader<T>, found: Found): T {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-verify-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, basename(file));
    copyFileSync(file, copy, constants.COPYFILE_FICLONE);
    if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${copy}-wal`, constants.COPYFILE_FICLONE);
    const database = openForReading(copy);
    const close = (): void => {
      database.close();
      remove();
    };
    try {
      beginSnapshot(database);
      return make(database, close, found);
    } catch (error) {
      close();
      throw error;
    }
  } catch (error) {
    remove();
    throw error;
  }
}

function beginSnapshot(database: Database): void {
  // Without the first read no snapshot is taken.
  database.exec('BEGIN');
  database.prepare('SELECT count(*) FROM sqlite_schema').get();
}

/**
 * A reader of a cleanly closed WAL database leaves an empty -wal and a -shm behind, owned by whoever verified: a guard of
 * another user could then not open its own ledger. The last connection that may write removes them, under SQLite's locks.
 */
export function removeReaderFiles(file: string): void {
  // A journal would be rolled back into the file.
  if (existsSync(`${file}-journal`) || (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 1) > 0) return;
  try {
    const database = new Sqlite(file, { fileMustExist: true, timeout: 0 });
    try {
      database.pragma('query_only = 1');
      database.prepare('SELECT count(*) FROM sqlite_schema').get();
    } finally {
      database.close();
    }
  } catch {
    // Not ours to write: what is left behind is empty.
  }
}

/**
 * SQLite makes the -wal before the -shm, and removes the -shm before the -wal: a -shm alone means that somebody removed the
 * other. Both may come and go while we look, so it must be the same -shm before and after.
 */
function lacksWal(file: string): boolean {
  const shm = (): BigIntStats | undefined => statSync(`${file}-shm`, { bigint: true, throwIfNoEntry: false });
  const before = shm();
  if (before?.isFile() !== true || existsSync(`${file}-wal`)) return false;
  const after = shm();
  return after !== undefined && before.ino === after.ino && before.birthtimeNs === after.birthtimeNs;
}

function isCannotOpen(error: unknown): boolean {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_READONLY'));
}

function unreadable(file: string, why: string, cause?: unknown): CountersignError {
  return new CountersignError('LEDGER_UNREADABLE', `cannot read the ledger ${file}: ${why}`, cause === undefined ? {} : { cause });
}
