/**
 * A SudoAgent 2.0 ledger in SQLite, read-only, one snapshot, bounded.
 *
 *     ledger(id INTEGER PRIMARY KEY [AUTOINCREMENT], entry_json TEXT, entry_hash TEXT, prev_entry_hash TEXT), in order of id
 *
 * The file may be anybody's: nothing is read before the statement that makes the table was compared, and an index could
 * answer for it, so there may be none.
 */
import type { Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import { openReadOnly } from '../sqlite/read-only.ts';
import type { SudoFault, SudoRow, SudoSource } from './source.ts';
import { MAX_SUDO_BYTES } from './text.ts';

const CHUNK_ROWS = 2000;
/** Text held at once; a single entry may exceed it. */
const CHUNK_BYTES = 33_554_432;
const MAX_STATEMENT_CHARS = 4096;
const MAX_OBJECTS = 1000;
const MAX_NAME_SHOWN = 60;
const HASH_BYTES = 64;
const REPLACEMENT = '\ufffd';

/** @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE` */
export function openRows(path: string): SudoSource {
  return openReadOnly(path, (database, close) => new Rows(database, close));
}

type RawRow = readonly [id: unknown, text: unknown, bytes: unknown, entryHash: unknown, prevHash: unknown];

class Rows implements SudoSource {
  readonly container = 'sudoagent-sqlite';
  readonly faults: readonly SudoFault[];
  readonly remarks: readonly SudoFault[];
  readonly total: number;
  done = 0;
  private readonly database: Database;
  private readonly closeAll: () => void;

  constructor(database: Database, closeAll: () => void) {
    this.database = database;
    this.closeAll = closeAll;
    const objects = database.prepare<[], SchemaObject>(SCHEMA).all();
    const strangers = objects.filter((object) => !isLedger(object) && !isSequence(object) && !isNeighbour(object));
    const unsafe = strangers.find(({ sql }) => sql === null || !PASSIVE.test(sql));
    if (unsafe !== undefined) throw unreadable(`it holds ${shown(unsafe)}, which could answer for the ledger`);
    if (objects.length > MAX_OBJECTS) throw unreadable(`it holds more than ${MAX_OBJECTS} objects`);
    if (!objects.some(isLedger)) throw unreadable('it has no table `ledger` as SudoAgent makes it');
    // Numbers beyond 2^53 would run together.
    database.defaultSafeIntegers(false);
    const encoding: unknown = database.pragma('encoding', { simple: true });
    this.faults = [
      ...(encoding === 'UTF-8' ? [] : [differs(`the texts are stored as ${String(encoding)}, not UTF-8`)]),
      ...strangers.slice(0, MAX_NAMED).map((object) => differs(`an unknown ${shown(object)} was added`)),
    ];
    this.total = Number(database.prepare('SELECT count(*) FROM ledger NOT INDEXED').pluck().get());
    this.remarks = objects.some(isSequence) ? this.cutRemark() : [];
  }

  *chunks(): Generator<readonly SudoRow[]> {
    const measure = this.database.prepare<[bigint, number], [bigint | null, number]>(MEASURE).raw().safeIntegers();
    const read = this.database.prepare<[bigint, bigint], RawRow>(READ).raw().safeIntegers();
    this.done = 0;
    let count = CHUNK_ROWS;
    let next = FIRST_ID;
    let expected: bigint | undefined;
    for (;;) {
      const [last, bytes] = measure.get(next, count) ?? [null, 0];
      if (last === null) return;
      if (Number(bytes) > CHUNK_BYTES && count > 1) {
        count = Math.ceil(count / 2);
        continue;
      }
      const rows: SudoRow[] = [];
      for (const raw of read.all(next, last)) {
        const id = BigInt(raw[0] as bigint);
        rows.push(this.row(raw, id, expected));
        expected = id + 1n;
      }
      this.done += rows.length;
      yield rows;
      if (last === LAST_ID) return;
      next = last + 1n;
      if (Number(bytes) < CHUNK_BYTES / 4) count = Math.min(count * 2, CHUNK_ROWS);
    }
  }

  close(): void {
    this.closeAll();
  }

  private row([, text, bytes, entryHash, prevHash]: RawRow, id: bigint, expected: bigint | undefined): SudoRow {
    const columns = { entryHash, prevHash };
    const remark = expected === undefined || id === expected ? undefined : gap(expected, id);
    const beside = { columns, ...(remark !== undefined && { remark }) };
    if (typeof text !== 'string') return { text: undefined, fault: { code: 'ENTRY_UNREADABLE', message: whyNoText(bytes) }, ...beside };
    // Two different byte sequences read as the same text, and would have the same hash.
    if (text.includes(REPLACEMENT) && !this.isExact(text, id))
      return { text: undefined, fault: { code: 'ENTRY_UNREADABLE', message: 'the text is not valid UTF-8' }, ...beside };
    return { text, ...beside };
  }

  private isExact(text: string, id: bigint): boolean {
    const blob: unknown = this.database.prepare('SELECT CAST(entry_json AS BLOB) FROM ledger NOT INDEXED WHERE id = ?').pluck().get(id);
    return Buffer.isBuffer(blob) && Buffer.from(text).equals(blob);
  }

  /** AUTOINCREMENT remembers the highest id there ever was. Whoever cuts rows off may forget it there. */
  private cutRemark(): readonly SudoFault[] {
    const highest = this.database.prepare('SELECT max(id) FROM ledger NOT INDEXED').pluck().safeIntegers().get();
    const given = this.database
      .prepare("SELECT max(seq) FROM sqlite_sequence WHERE name = 'ledger' AND typeof(seq) = 'integer'")
      .pluck()
      .safeIntegers()
      .get();
    const last = typeof highest === 'bigint' ? highest : 0n;
    if (typeof given !== 'bigint' || given <= last) return [];
    return [removed(`the database has given out ids up to ${given}, its last row is ${last}: rows were removed at the end`)];
  }
}

const MAX_NAMED = 20;
const FIRST_ID = -(2n ** 63n);
const LAST_ID = 2n ** 63n - 1n;
const MEASURE = `SELECT max(id), coalesce(sum(bytes), 0) FROM
  (SELECT id, octet_length(entry_json) AS bytes FROM ledger NOT INDEXED WHERE id >= ? ORDER BY id LIMIT ?)`;
/** Sizes first: they come from the row headers, so a huge text is never loaded. */
const READ = `SELECT id, CASE WHEN octet_length(entry_json) <= ${MAX_SUDO_BYTES} THEN entry_json END, octet_length(entry_json),
  CASE WHEN octet_length(entry_hash) <= ${HASH_BYTES} THEN entry_hash ELSE 0 END,
  CASE WHEN prev_entry_hash IS NULL OR octet_length(prev_entry_hash) <= ${HASH_BYTES} THEN prev_entry_hash ELSE 0 END
  FROM ledger NOT INDEXED WHERE id >= ? AND id <= ? ORDER BY id`;

interface SchemaObject {
  readonly type: string;
  readonly name: string;
  readonly table: string;
  readonly sql: string | null;
}

/** Type and name are only what the file says, SQLite goes by the statement; but it finds the table by its name. */
const SCHEMA = `SELECT substr(type, 1, 20) AS type, substr(name, 1, 200) AS name, substr(tbl_name, 1, 200) AS "table", substr(sql, 1, ${MAX_STATEMENT_CHARS}) AS sql
  FROM sqlite_schema LIMIT ${MAX_OBJECTS + 1}`;
const LEDGER =
  /^CREATE TABLE "?ledger"? ?\( ?id INTEGER PRIMARY KEY(?: AUTOINCREMENT)?, ?entry_json TEXT(?: NOT NULL)?, ?entry_hash TEXT(?: NOT NULL)?, ?prev_entry_hash TEXT ?\)$/i;
const NEIGHBOURS: ReadonlySet<string> = new Set(['approvals', 'pending', 'committed']);
const NEIGHBOUR = /^CREATE (?:TABLE (?:approvals|pending|committed) \(|INDEX idx_approvals_pending_expires\s+ON approvals )/;
/** Made by these, a thing runs only when it is written to or asked for by its own name. */
const PASSIVE = /^CREATE (?:TRIGGER|VIEW|TABLE) /;

function isLedger({ type, name, sql }: SchemaObject): boolean {
  return type === 'table' && name === 'ledger' && sql !== null && LEDGER.test(sql.replaceAll(/\s+/g, ' '));
}

function isSequence({ type, name, sql }: SchemaObject): boolean {
  return type === 'table' && name === 'sqlite_sequence' && sql === 'CREATE TABLE sqlite_sequence(name,seq)';
}

/** SudoAgent's stores of approvals and budgets may share the file. */
function isNeighbour({ type, table, sql }: SchemaObject): boolean {
  return NEIGHBOURS.has(table) && (sql === null ? type === 'index' : NEIGHBOUR.test(sql));
}

function shown({ type, name }: SchemaObject): string {
  return `${type} ${JSON.stringify(name.slice(0, MAX_NAME_SHOWN))}`;
}

function whyNoText(bytes: unknown): string {
  const isTooLong = typeof bytes === 'bigint' && bytes > BigInt(MAX_SUDO_BYTES);
  return isTooLong ? `the entry has ${bytes} bytes, ${MAX_SUDO_BYTES} are the most` : 'the entry is not a text';
}

function gap(expected: bigint, id: bigint): SudoFault {
  return removed(`its row has the id ${id}, ${expected} would follow: rows were removed before it`);
}

function removed(message: string): SudoFault {
  return { code: 'ROWS_REMOVED', message };
}

function differs(message: string): SudoFault {
  return { code: 'SCHEMA_DIFFERS', message };
}

function unreadable(why: string): CountersignError {
  return new CountersignError('LEDGER_UNREADABLE', `cannot read this database as a SudoAgent ledger: ${why}`);
}
