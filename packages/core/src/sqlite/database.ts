/** Opening the database file so that a commit means "on disk", and noticing when the file is no longer the one we opened. */
import { closeSync, existsSync, fsyncSync, lstatSync, mkdirSync, openSync, type StatSyncFn, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import { pauseForLock } from '../pause.ts';
import { identity, isSame, LedgerFiles, replaced } from './identity.ts';
import { requireNode } from './node-version.ts';

const openFiles = new Set<OpenedFile>();

/** A ledger file that is open for writing. */
export class OpenedFile {
  readonly database: Database;
  private readonly path: string;
  private readonly files: LedgerFiles;

  constructor(database: Database, path: string, files: LedgerFiles) {
    this.database = database;
    this.path = path;
    this.files = files;
    if (openFiles.size === 0) process.once('exit', leaveAll);
    openFiles.add(this);
  }

  /**
   * Checks that the path still leads to the file, WAL and -shm that were opened: what is written to others is lost.
   * @throws {CountersignError} `LEDGER_REPLACED`
   */
  checkIdentity(): void {
    this.files.check();
  }

  /** Never throws: what was acknowledged is committed, what was not is refused. */
  close(): void {
    if (openFiles.delete(this) && openFiles.size === 0) process.removeListener('exit', leaveAll);
    if (!this.database.open) return;
    const other = this.files.mayTidyUp() ? undefined : bystander(this.path);
    closeQuietly(this.database);
    if (other !== undefined) closeQuietly(other);
  }

  /** A process that ends without closing it: SQLite closes it then, and may tidy up. */
  leave(): void {
    if (!this.files.mayTidyUp()) this.close();
  }
}

function leaveAll(): void {
  for (const file of openFiles) file.leave();
}

/**
 * Another connection to the ledger: with it, the one that closes is not the last, and SQLite tidies up nothing. It cannot do so
 * itself, as it only reads.
 */
function bystander(path: string): Database | undefined {
  let database: Database | undefined;
  try {
    database = new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 0 });
    // Takes its lock. What it reads is of no matter, and need not be readable.
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
  } catch {
    // Where there is no such file any more, SQLite tidies up nothing either.
  }
  return database;
}

export function closeQuietly(database: Database): void {
  try {
    database.close();
  } catch {
    // Nothing is lost: what was acknowledged is committed, what was not is refused.
  }
}

/**
 * @param create - make the file, mode 0600, and its folder (one level) when they are missing.
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_NOT_DURABLE`
 */
export function openForWriting(path: string, create: boolean): OpenedFile {
  requireNode();
  const file = resolve(path);
  let database: Database | undefined;
  try {
    requireRegular(file, lstatSync);
    if (!existsSync(file)) {
      if (!create)
        throw new CountersignError('LEDGER_NOT_FOUND', `there is no ledger at ${file}: run \`countersign init\` or check the path`);
      makeFile(file);
    }
    const before = identity(file);
    // timeout 0: waiting for the lock is ours (group-commit.ts), SQLite's back-off starves waiters.
    database = new Sqlite(file, { timeout: 0, fileMustExist: true });
    makeDurable(database, file);
    const opened = identity(file);
    if (opened === undefined || !isSame(before, opened)) throw replaced(file);
    return new OpenedFile(database, file, new LedgerFiles(file, opened));
  } catch (cause) {
    database?.close();
    if (CountersignError.is(cause)) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${file}: ${detail}`, { cause });
  }
}

/** Opens for reading only: changes no byte, not even the WAL's. */
export function openForReading(path: string): Database {
  requireNode();
  const file = resolve(path);
  try {
    if (statSync(file, { throwIfNoEntry: false }) === undefined)
      throw new CountersignError('LEDGER_NOT_FOUND', `there is no ledger at ${file}`);
    requireRegular(file, statSync);
    const database = new Sqlite(file, { readonly: true, fileMustExist: true, timeout: 2000 });
    database.pragma('query_only = 1');
    // A hostile file may bring views and triggers along; nothing in it may run code of its schema with side effects.
    database.pragma('trusted_schema = 0');
    return database;
  } catch (cause) {
    if (CountersignError.is(cause)) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${file}: ${detail}`, { cause });
  }
}

/** SQLite also opens what lies beside the file, and opening a pipe waits for whoever laid it there. */
function requireRegular(file: string, stat: StatSyncFn): void {
  for (const path of [file, `${file}-wal`, `${file}-shm`, `${file}-journal`]) {
    const found = stat(path, { throwIfNoEntry: false });
    if (found === undefined || found.isFile()) continue;
    const link =
      path === file
        ? 'is a symbolic link, and its WAL would lie beside the file it leads to: give the path of that file. Only a folder on the way may be a link'
        : 'is a symbolic link: put the file it leads to in its place';
    const what = found.isSymbolicLink() ? link : 'is not a regular file';
    throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${file}: ${path === file ? 'it' : path} ${what}`);
  }
}

function makeFile(file: string): void {
  try {
    if (!existsSync(dirname(file))) mkdirSync(dirname(file), { mode: 0o700 });
    closeSync(openSync(file, 'wx', 0o600));
    const folder = openSync(dirname(file), 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CountersignError('LEDGER_UNREADABLE', `cannot create the ledger ${file}: ${detail}`, { cause });
  }
}

/** better-sqlite3 reopens WAL files at NORMAL, where commits are not fsynced: set on every connection, and read back. */
function makeDurable(database: Database, file: string): void {
  const journal = retryBusy(() => database.pragma('journal_mode = WAL', { simple: true }));
  database.pragma('synchronous = FULL');
  if (process.platform === 'darwin') {
    database.pragma('fullfsync = 1');
    database.pragma('checkpoint_fullfsync = 1');
  }
  database.pragma('secure_delete = ON');
  database.pragma('foreign_keys = ON');
  database.pragma('trusted_schema = 0');
  database.pragma('journal_size_limit = 67108864');
  const synchronous = database.pragma('synchronous', { simple: true });
  if (journal !== 'wal' || synchronous !== 2) {
    throw new CountersignError(
      'LEDGER_NOT_DURABLE',
      `${file}: journal_mode is ${String(journal)} and synchronous is ${String(synchronous)}, wal and 2 are needed`,
    );
  }
}

const OPEN_BUSY_MS = 5000;

/** Runs `action` until SQLite stops answering BUSY or five seconds have passed. Only for opening: it blocks. */
export function retryBusy<T>(action: () => T): T {
  const end = performance.now() + OPEN_BUSY_MS;
  for (;;) {
    try {
      return action();
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error;
      pauseForLock();
    }
  }
}

const CONTENT_CODES = ['SQLITE_CONSTRAINT', 'SQLITE_MISMATCH', 'SQLITE_TOOBIG', 'SQLITE_RANGE', 'SQLITE_ERROR'];

/** True when a batch failed because of what was to be written, not because of disk, lock or file. */
export function isContentFault(error: unknown): boolean {
  if (CountersignError.is(error)) return !error.code.startsWith('LEDGER_') && !error.code.startsWith('KEY_');
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) return true;
  return CONTENT_CODES.some((prefix) => code.startsWith(prefix));
}

export function isBusy(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'));
}
