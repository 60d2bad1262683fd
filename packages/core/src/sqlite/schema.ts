/** The tables of a SQLite ledger. Described for other readers in `docs/formats/sqlite.md`. */
import Sqlite, { type Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';

/** `PRAGMA application_id`: "CSLG". */
export const APPLICATION_ID = 0x43534c47;
/** `PRAGMA user_version`. */
export const SCHEMA_VERSION = 1;

const SCHEMA = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE entries (seq INTEGER PRIMARY KEY, leaf TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE openings (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, sections TEXT NOT NULL) STRICT;
CREATE TABLE tiles (level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, root TEXT NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL, keep TEXT) STRICT;
CREATE TABLE calls (
  id TEXT PRIMARY KEY, key TEXT, match TEXT NOT NULL, state TEXT NOT NULL, session TEXT NOT NULL, agent TEXT NOT NULL, writer TEXT NOT NULL,
  bind_key TEXT, approval TEXT, decision_of INTEGER NOT NULL, decision_leaf TEXT NOT NULL, outcome_of INTEGER, outcome_leaf TEXT,
  reason_code TEXT NOT NULL, status TEXT
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX calls_key ON calls (key) WHERE key IS NOT NULL;
CREATE INDEX calls_asked ON calls (match) WHERE state = 'asked';
CREATE INDEX calls_open ON calls (writer) WHERE state = 'allowed';
CREATE TABLE approvals (
  id TEXT PRIMARY KEY, call TEXT NOT NULL, agent TEXT NOT NULL, session TEXT NOT NULL, principal TEXT, server TEXT, tool TEXT NOT NULL, rule TEXT,
  reason_code TEXT NOT NULL, state TEXT NOT NULL, binds TEXT NOT NULL, policy_hash TEXT NOT NULL, ask_of INTEGER NOT NULL, ask_leaf TEXT NOT NULL,
  answers TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, quorum INTEGER NOT NULL, approvers TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_state ON approvals (state, created_at);
CREATE TABLE grants (id TEXT PRIMARY KEY, entry_of INTEGER NOT NULL, entry_leaf TEXT NOT NULL, expires_at INTEGER NOT NULL, uses_left INTEGER, revoked_of INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE charges (id INTEGER PRIMARY KEY, budget TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, cost INTEGER NOT NULL, call TEXT NOT NULL) STRICT;
CREATE INDEX charges_window ON charges (budget, key, at, cost);
CREATE TABLE sessions (id TEXT PRIMARY KEY, agent TEXT NOT NULL, labels TEXT NOT NULL, version INTEGER NOT NULL, halted INTEGER NOT NULL, started_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE leases (writer TEXT PRIMARY KEY, pid INTEGER NOT NULL, start_time TEXT NOT NULL, host TEXT NOT NULL, heartbeat_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE marks (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, leaf TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
`;

/** From version n to n + 1. */
export type SchemaStep = (database: Database) => void;

/** `STEPS[0]` leads from version 1 to 2. Version 1 is the first there is. */
const STEPS: readonly SchemaStep[] = [];

/** A row of `sqlite_schema`. */
export interface SchemaObject {
  readonly type: string;
  readonly name: string;
  readonly table: string;
  /** Null for what SQLite made itself. */
  readonly sql: string | null;
}

/** What `sqlite_schema` holds for a ledger of this version, in the words SQLite keeps. A reader compares, and runs nothing else. */
export function expectedSchema(): readonly SchemaObject[] {
  expected ??= readExpected();
  return expected;
}

/** Made once per process: it takes as long as verifying a small ledger. */
let expected: readonly SchemaObject[] | undefined;

function readExpected(): readonly SchemaObject[] {
  const database = new Sqlite(':memory:');
  try {
    database.exec(SCHEMA);
    return database.prepare<[], SchemaObject>('SELECT type, name, tbl_name AS "table", sql FROM sqlite_schema').all();
  } finally {
    database.close();
  }
}

/** True for a database with nothing in it yet. */
export function isFresh(database: Database): boolean {
  return (
    database.pragma('user_version', { simple: true }) === 0 && database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0
  );
}

/** Creates the tables; runs inside the transaction that writes the first entry. */
export function createSchema(database: Database): void {
  database.exec(SCHEMA);
  database.pragma(`application_id = ${APPLICATION_ID}`);
  database.pragma(`user_version = ${SCHEMA_VERSION}`);
}

/**
 * @throws {CountersignError} `LEDGER_UNREADABLE` when this is some other database; `LEDGER_VERSION` when another version
 *   of Countersign wrote it.
 */
export function checkSchema(database: Database): void {
  const application = database.pragma('application_id', { simple: true });
  if (application !== APPLICATION_ID) {
    throw new CountersignError('LEDGER_UNREADABLE', 'this SQLite file is not a Countersign ledger (application id differs)');
  }
  const version = Number(database.pragma('user_version', { simple: true }));
  if (version !== SCHEMA_VERSION) {
    const advice = version > SCHEMA_VERSION ? 'use a newer Countersign' : 'open it once for writing with this Countersign';
    throw new CountersignError(
      'LEDGER_VERSION',
      `the ledger has format version ${version}, this Countersign reads ${SCHEMA_VERSION}: ${advice}`,
      {
        details: { version },
      },
    );
  }
}

/**
 * Brings an older ledger up to date; runs inside the transaction of the writer that opens it. Steps may add tables and
 * columns and fill them; entries are never rewritten. A missing step leaves the version as it is, and `checkSchema` refuses.
 */
export function upgradeSchema(database: Database, steps: readonly SchemaStep[] = STEPS, target: number = SCHEMA_VERSION): void {
  for (let version = Number(database.pragma('user_version', { simple: true })); version < target; version++) {
    const step = steps[version - 1];
    if (step === undefined) return;
    step(database);
    database.pragma(`user_version = ${version + 1}`);
  }
}

/** A view in place of a table could run for ever, or give other types than ours. */
export function checkTables(database: Database): void {
  const found = new Map(database.prepare<[], [string, string]>(`SELECT name, sql FROM sqlite_schema WHERE type = 'table'`).raw().all());
  const differs = expectedSchema().find(({ type, name, sql }) => type === 'table' && found.get(name) !== sql);
  if (differs !== undefined) {
    throw new CountersignError('LEDGER_UNREADABLE', `the table ${differs.name} of this file is not as Countersign makes it`);
  }
}
