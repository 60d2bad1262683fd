/** Ledgers, raw databases and calls the benches share. Everything lies in one temporary folder that the run removes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, type Signer, signerFromPem } from '@countersign/core';
import { openStore, type SqliteStore, type SqliteStoreOptions } from '@countersign/core/sqlite';
import Sqlite, { type Database } from 'better-sqlite3';

export const ORIGIN = 'bench.example/ledger';

let folder: string | undefined;
let files = 0;

/** A path in the folder of this run that nobody used before. */
export function freshPath(name: string): string {
  folder ??= mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  return join(folder, `${++files}-${name}`);
}

export function removeFixtures(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
}

export function benchSigner(): Signer {
  return signerFromPem(generateKey(ORIGIN).privatePem, ORIGIN);
}

export function benchStore(
  signer: Signer | 'none',
  path: string = freshPath('ledger.db'),
  writer: NonNullable<SqliteStoreOptions['writer']> = 'inline',
): SqliteStore {
  return openStore({ path, origin: ORIGIN, signer, writer });
}

export interface RawTable {
  readonly database: Database;
  /** One durable commit per call: an insert outside of a transaction. */
  insert(body: string): void;
}

/** A new database whose commits are on the disk, as those of a ledger are. */
export function durableDatabase(path: string): Database {
  const database = new Sqlite(path);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  if (database.pragma('synchronous', { simple: true }) !== 2) throw new Error(`${path} is not durable: nothing can be compared with it`);
  return database;
}

/** What durability costs when nothing else is done: one table, WAL, synchronous=FULL, one prepared insert. */
export function rawTable(): RawTable {
  const database = durableDatabase(freshPath('raw.db'));
  database.exec('CREATE TABLE entries (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT');
  const insert = database.prepare<[string]>('INSERT INTO entries (body) VALUES (?)');
  return { database, insert: (body) => void insert.run(body) };
}
