/** Opening the database file so that a commit means "on disk", and noticing when the file is no longer the one we opened. */
import { type BigIntStats, closeSync, existsSync, fsyncSync, lstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import { pauseForLock } from '../pause.ts';
import { requireNode } from './node-version.ts';

export interface OpenedFile {
  readonly database: Database;
  /**
   * Checks that the path still leads to the file and WAL that were opened: what is written to an unlinked file is lost.
   * @throws {CountersignError} `LEDGER_REPLACED`
   */
  checkIdentity(): void;
}

/**
 * @param create - make the file, mode 0600, and its folder (one level) when they are missing.
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_NOT_DURABLE`
 */
export function openForWriting(path: string, create: boolean): OpenedFile {
  requireNode();
  const file = resolve(path);
  if (!existsSync(file)) {
    if (!create)
      throw new CountersignError('LEDGER_NOT_FOUND', `there is no ledger at ${file}: run \`countersign init\` or check the path`);
    makeFile(file);
  }
  const before = identity(file);
  let database: Database | undefined;
  try {
    // timeout 0: waiting for the lock is ours (group-commit.ts), SQLite's back-off starves waiters.
    database = new Sqlite(file, { timeout: 0, fileMustExist: true });
    makeDurable(database, file);
    const opened = identity(file);
    if (opened === undefined || !isSame(before, opened)) throw replaced(file);
    return { database, checkIdentity: identityCheck(file, opened) };
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
    // SQLite also opens what lies beside the file, and opening a pipe waits for whoever laid it there.
    for (const path of [file, `${file}-wal`, `${file}-shm`, `${file}-journal`]) {
      if (statSync(path, { throwIfNoEntry: false })?.isFile() === false)
        throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${file}: ${path} is not a regular file`);
    }
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

/** Times of files are coarse on some systems, two seconds at worst: a younger time of a folder may be that of two changes. */
const SETTLED_MS = 3000;

/**
 * The file is looked at each time; the WAL only where its folder changed, as it cannot come, go or be renamed without that.
 * Looking at the WAL after each commit is dear: docs/decisions/2026-11-27-the-folder-tells-of-the-wal.md
 *
 * @param opened - the file as it was when it was opened
 * @returns throws `LEDGER_REPLACED` when the path leads elsewhere
 */
export function identityCheck(file: string, opened: Identity, { nowMs, look }: IdentitySources = SYSTEM): () => void {
  const wal = `${file}-wal`;
  const shm = `${file}-shm`;
  // Of a link to the folder this is the folder.
  const folder = `${dirname(file)}/.`;
  let walOpened: Identity | undefined;
  let shmOpened: Identity | undefined;
  let intact: Looked | undefined;
  return () => {
    if (!isSame(look(file), opened)) throw replaced(file);
    // INVARIANT: before the WAL, so that what happens to that from here on shows in it the next time.
    const now = look(folder);
    if (isSame(now, intact) && now?.ctimeNs === intact?.ctimeNs) return;
    const walNow = look(wal);
    walOpened ??= walNow;
    // While a connection is open SQLite never removes the WAL: a missing or other one means somebody did.
    if (!isSame(walNow, walOpened)) throw replaced(wal);
    // Writers lock each other out in it: with two of them, each writes over what the other was told is durable.
    const shmNow = look(shm);
    shmOpened ??= shmNow;
    if (!isSame(shmNow, shmOpened)) throw replaced(shm);
    intact = now !== undefined && nowMs() - Number(now.ctimeMs) > SETTLED_MS ? now : undefined;
  };
}

/** BigInts: inode numbers of some file systems exceed 2^53. */
type Identity = Pick<BigIntStats, 'dev' | 'ino'>;
type Looked = Pick<BigIntStats, 'dev' | 'ino' | 'ctimeNs' | 'ctimeMs'>;

export interface IdentitySources {
  readonly nowMs: () => number;
  readonly look: (path: string) => Looked | undefined;
}

const SYSTEM: IdentitySources = { nowMs: Date.now, look: identity };

/**
 * Undefined also when the path cannot be followed any more: for what was opened that is as good as gone. So is a link: SQLite
 * looks for a WAL beside the file it leads to, and the folder does not tell what happens there.
 */
function identity(path: string): BigIntStats | undefined {
  try {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return found?.isSymbolicLink() === true ? undefined : found;
  } catch {
    return undefined;
  }
}

function isSame(one: Identity | undefined, other: Identity | undefined): boolean {
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

function replaced(file: string): CountersignError {
  return new CountersignError(
    'LEDGER_REPLACED',
    `${file} was removed, replaced or made a link while open: nothing more is written to it, and calls are refused until the ledger opens again with all its checks`,
  );
}
