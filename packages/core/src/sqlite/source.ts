/**
 * A SQLite ledger as the verifier reads it: read-only, one snapshot, bounded, and only tables that are exactly ours.
 *
 * The file may be anybody's. A view named `entries` could run forever and an index of another's making could answer for
 * the table, so nothing is read from evidence tables until the schema was compared word for word.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { EntryRef } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { isHash } from '../ledger/merkle.ts';
import { MAX_NOTE_BYTES } from '../ledger/note.ts';
import type { EntryHints, LedgerSource, SourceFault, SourceRow, StoredCheckpoint, StoredTile } from '../verify/source.ts';
import { openReadOnly } from './read-only.ts';
import { checkSchema, expectedSchema, type SchemaObject } from './schema.ts';
import { LAST_SEQ, SourceRows } from './source-rows.ts';
import { SourceTiles } from './source-tiles.ts';

const MAX_STATEMENT_CHARS = 65_536;
/** Objects listed in a schema fault; a hostile schema may hold thousands. */
const MAX_SCHEMA_FAULTS = 20;
const MAX_NAME_SHOWN = 60;
const FORMAT = 'countersign-1';
/** Evidence: read only when they are exactly ours. */
const EVIDENCE = new Set(['meta', 'entries', 'openings', 'tiles', 'checkpoints']);

/**
 * Opens a ledger for verification.
 *
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_VERSION`
 */
export function openSource(path: string): LedgerSource {
  return openReadOnly(path, (database, close, { isWalMissing }) => new SqliteSource(database, close, isWalMissing));
}

class SqliteSource implements LedgerSource {
  readonly format = FORMAT;
  readonly stores = { leaves: true, tiles: true };
  readonly mayLag = false;
  readonly origin: string | undefined;
  readonly faults: readonly SourceFault[];
  readonly size: number;
  readonly file: string;
  readonly ledgerId: string;
  private readonly database: Database;
  private readonly closeAll: () => void;
  private readonly rows: SourceRows;
  private readonly tiles: SourceTiles;
  private readonly hasHints: boolean;

  constructor(database: Database, closeAll: () => void, isWalMissing: boolean) {
    this.database = database;
    this.closeAll = closeAll;
    // Nearly all of it is read once, from front to back: a larger cache would only fall out of the processor's.
    database.pragma('cache_size = -2000');
    if (Number(database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()) === 0)
      throw new CountersignError('LEDGER_UNREADABLE', 'the database holds nothing: was it copied without the -wal beside it?');
    checkSchema(database);
    const differences = schemaDifferences(database);
    const unsafe = differences.find((difference) => difference.unsafe);
    if (unsafe !== undefined) {
      throw new CountersignError(
        'LEDGER_UNREADABLE',
        `the schema of this file is not a ledger's: ${unsafe.message}; nothing was read from it`,
      );
    }
    this.hasHints = differences.every((difference) => !difference.hints);
    this.faults = [
      ...(isWalMissing ? [WAL_MISSING] : []),
      ...differences.slice(0, MAX_SCHEMA_FAULTS).map(({ message }) => ({ code: 'SCHEMA_DIFFERS' as const, message })),
      ...this.contentFaults(),
    ];
    this.rows = new SourceRows(database);
    this.tiles = new SourceTiles(database);
    this.file = database.name;
    this.ledgerId = this.meta('ledger') ?? '';
    this.origin = this.meta('origin');
    this.size = Number(database.prepare(`SELECT coalesce(max(seq) + 1, 0) FROM entries WHERE seq BETWEEN 0 AND ${LAST_SEQ}`).pluck().get());
  }

  chunks(from = 0, to = this.size): Iterable<readonly SourceRow[]> {
    return this.rows.chunks(from, to);
  }

  body(seq: number): string | undefined {
    const body: unknown = this.database
      .prepare(`SELECT CASE WHEN octet_length(body) <= ${MAX_ENTRY_BYTES} THEN body END FROM entries WHERE seq = ?`)
      .pluck()
      .get(seq);
    return typeof body === 'string' ? body : undefined;
  }

  bytes(seq: number): Uint8Array | undefined {
    const bytes: unknown = this.database.prepare('SELECT CAST(body AS BLOB) FROM entries WHERE seq = ?').pluck().get(seq);
    return bytes instanceof Uint8Array ? bytes : undefined;
  }

  get hints(): EntryHints {
    return {
      call: (id) => {
        if (!this.hasHints) return undefined;
        const row = this.database.prepare<[string], HintRow>('SELECT decision_of, outcome_of FROM calls WHERE id = ?').get(id);
        return row && { decision: row.decision_of, outcome: row.outcome_of ?? undefined };
      },
      leaf: (hash) => this.database.prepare<[string], number>('SELECT seq FROM entries WHERE leaf = ?').pluck().get(hash),
    };
  }

  tile(level: number, index: number): StoredTile | undefined {
    return this.tiles.get(level, index);
  }

  tileCount(): number {
    return Number(this.database.prepare('SELECT count(*) FROM tiles').pluck().get());
  }

  newestCheckpoint(): StoredCheckpoint | undefined {
    return storedCheckpoint(this.database.prepare(`${CHECKPOINT} ORDER BY size DESC LIMIT 1`).get());
  }

  checkpointAfter(size: number): StoredCheckpoint | undefined {
    return storedCheckpoint(this.database.prepare(`${CHECKPOINT} WHERE size > ? ORDER BY size LIMIT 1`).get(size));
  }

  *rememberedLeaves(): Generator<EntryRef> {
    if (!this.hasHints) return;
    for (const { of, leaf, table } of HINTS) {
      const rows = this.database.prepare<[], [unknown, unknown]>(`SELECT ${of}, substr(${leaf}, 1, 65) FROM ${table}`).raw();
      for (const [position, hash] of rows.iterate()) {
        if (Number.isSafeInteger(position) && isHash(hash)) yield { of: position as number, leaf: hash };
      }
    }
  }

  strayOpenings(limit: number, isPartial: boolean): readonly number[] {
    const strays = (where: string): Statement<number[], number> =>
      this.database.prepare<number[], number>(`SELECT seq FROM openings WHERE ${where} ORDER BY seq LIMIT ?`).pluck();
    // This walks over every opening, and so over every page of theirs: one that is damaged may hide some from whoever looks by position.
    if (!isPartial) return strays('seq < 0 OR seq >= ?').all(this.size, limit);
    const before = strays('seq < 0').all(limit);
    return [...before, ...strays('seq >= ?').all(this.size, limit - before.length)];
  }

  close(): void {
    this.closeAll();
  }

  private contentFaults(): readonly SourceFault[] {
    const faults: SourceFault[] = [];
    const encoding: unknown = this.database.pragma('encoding', { simple: true });
    if (encoding !== 'UTF-8') faults.push({ code: 'SCHEMA_DIFFERS', message: `the texts are stored as ${String(encoding)}, not UTF-8` });
    const format = this.meta('format');
    if (format !== FORMAT) faults.push({ code: 'FORMAT_UNKNOWN', message: `the ledger does not name its format ${FORMAT}` });
    const before = Number(this.database.prepare('SELECT count(*) FROM entries WHERE seq < 0').pluck().get());
    if (before > 0) faults.push({ code: 'ENTRY_MISPLACED', message: `${before} rows stand before the first position` });
    const beyond = Number(this.database.prepare(`SELECT count(*) FROM entries WHERE seq > ${LAST_SEQ}`).pluck().get());
    if (beyond > 0) faults.push({ code: 'ENTRY_MISPLACED', message: `${beyond} rows stand beyond position 2^53 - 1` });
    return faults;
  }

  private meta(key: string): string | undefined {
    const value: unknown = this.database.prepare('SELECT substr(value, 1, 1000) FROM meta WHERE key = ?').pluck().get(key);
    return typeof value === 'string' ? value : undefined;
  }
}

const WAL_MISSING: SourceFault = {
  code: 'WAL_MISSING',
  weight: 'unproven',
  message: 'a -shm file lies beside it and the -wal does not: somebody removed it, and the newest entries may have gone with it',
};

const CHECKPOINT = `SELECT size, CASE WHEN octet_length(note) <= ${MAX_NOTE_BYTES} THEN note END AS note FROM checkpoints`;

const HINTS: readonly { readonly table: string; readonly of: string; readonly leaf: string }[] = [
  { table: 'calls', of: 'decision_of', leaf: 'decision_leaf' },
  { table: 'calls', of: 'outcome_of', leaf: 'outcome_leaf' },
  { table: 'approvals', of: 'ask_of', leaf: 'ask_leaf' },
  { table: 'marks', of: 'seq', leaf: 'leaf' },
];

interface HintRow {
  readonly decision_of: number;
  readonly outcome_of: number | null;
}

function storedCheckpoint(row: unknown): StoredCheckpoint | undefined {
  if (typeof row !== 'object' || row === null || !('size' in row) || !('note' in row)) return undefined;
  return { size: Number(row.size), note: typeof row.note === 'string' ? row.note : undefined };
}

interface SchemaDifference {
  readonly message: string;
  /** True when it could change what reading the evidence gives. */
  readonly unsafe: boolean;
  /** True when the rows that only give hints are concerned. */
  readonly hints: boolean;
}

/**
 * Compares with our own schema. Type and table of a row are only what the file says, SQLite goes by the statement: an
 * object that is not ours word for word is harmless only if its statement makes something that reading never runs.
 */
function schemaDifferences(database: Database): readonly SchemaDifference[] {
  const rows = database
    .prepare<[], SchemaObject>(
      `SELECT type, substr(name, 1, 200) AS name, substr(tbl_name, 1, 200) AS "table", substr(sql, 1, ${MAX_STATEMENT_CHARS}) AS sql FROM sqlite_schema`,
    )
    .all();
  const wanted = new Map(expectedSchema().map((object) => [keyOf(object), object]));
  const differences: SchemaDifference[] = [];
  for (const object of rows) {
    const own = wanted.get(keyOf(object));
    wanted.delete(keyOf(object));
    if (own !== undefined && own.sql === object.sql) continue;
    const isPassive = typeof object.sql === 'string' && PASSIVE.test(object.sql);
    const what = own === undefined ? `an unknown ${shown(object)} was added` : `${shown(object)} is not as Countersign makes it`;
    differences.push({
      message: what,
      unsafe: !isPassive || (own !== undefined && own.type === 'table' && EVIDENCE.has(own.name)),
      hints: own?.type === 'table',
    });
  }
  for (const object of wanted.values()) {
    const unsafe = object.type === 'table' && EVIDENCE.has(object.name);
    differences.push({ message: `${shown(object)} is missing`, unsafe, hints: object.type === 'table' });
  }
  return differences;
}

/** Made by these, a thing runs only when it is written to or asked for by its own name. */
const PASSIVE = /^CREATE (?:TRIGGER|VIEW|TABLE) /;

function keyOf({ type, name, table }: SchemaObject): string {
  return JSON.stringify([type, name, table]);
}

function shown({ type, name }: SchemaObject): string {
  return `${type} ${JSON.stringify(name.slice(0, MAX_NAME_SHOWN))}`;
}
