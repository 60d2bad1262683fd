/**
 * Entries and what lies beside them, in chunks of bounded text.
 *
 * The file may be anybody's: a body may be a gigabyte, and ten thousand of them may follow each other. Ordinary rows are
 * read at once, with a small limit on each; only where one exceeds it are the sizes asked for first. They come from the
 * row headers, so a huge text is never loaded.
 */
import type { Database, Statement } from 'better-sqlite3';
import { MAX_CANONICAL_CHARS } from '../ledger/canonical.ts';
import { MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import type { SourceRow } from '../verify/source.ts';

/**
 * Few enough that what is made of them dies young: of a larger chunk the garbage collector copies more each time, and the more
 * it copies, the more memory it lets the young take.
 */
const CHUNK_ROWS = 64;
/** Largest text of a row that is read without asking for its size: half a MB of bodies and as much of openings in a chunk. */
const SMALL_BYTES = 8192;
/** Text held at once otherwise; a single entry may exceed it together with its opening. */
const CHUNK_BYTES = 33_554_432;
const MAX_OPENING_BYTES = 3 * MAX_CANONICAL_CHARS;
/** Beyond it numbers run together: a row there has no position. */
export const LAST_SEQ: number = Number.MAX_SAFE_INTEGER;

type EntryRow = readonly [seq: number, body: unknown, leaf: unknown, bytes?: unknown];
type OpeningRow = readonly [seq: number, key: unknown, sections: unknown];

export class SourceRows {
  private readonly small: Statement<[number, number, number], EntryRow>;
  private readonly smallOpenings: Statement<[number, number], OpeningRow>;
  private readonly measure: Statement<[number, number, number], [number | null, number]>;
  private readonly read: Statement<[number, number], EntryRow>;
  private readonly readOpenings: Statement<[number, number], OpeningRow>;

  constructor(database: Database) {
    this.small = database.prepare<[number, number, number], EntryRow>(SMALL_ENTRIES).raw();
    this.smallOpenings = database.prepare<[number, number], OpeningRow>(openings(SMALL_BYTES)).raw();
    this.measure = database.prepare<[number, number, number], [number | null, number]>(MEASURE).raw();
    this.read = database.prepare<[number, number], EntryRow>(ENTRIES).raw();
    this.readOpenings = database.prepare<[number, number], OpeningRow>(openings(MAX_OPENING_BYTES)).raw();
  }

  /** Rows of positions from `from` on and below `to`, in order. */
  *chunks(from: number, to: number): Generator<readonly SourceRow[]> {
    // Positions below end are numbers that do not run together.
    const end = Math.min(to - 1, LAST_SEQ);
    let next = from;
    while (next <= end) {
      const rows = this.small.all(next, end, CHUNK_ROWS);
      const last = rows.at(-1)?.[0];
      // INVARIANT: grows each time round, so that reading ends whatever the positions are.
      if (last === undefined || last < next) return;
      const beside = this.smallOpenings.all(next, last);
      if (rows.every(hasBody) && beside.every(isWhole)) yield joined(rows, beside);
      else yield* this.measured(next, last);
      next = last + 1;
    }
  }

  private *measured(from: number, end: number): Generator<readonly SourceRow[]> {
    let next = from;
    let limit = CHUNK_ROWS;
    while (next <= end) {
      const [last, bytes] = this.measure.get(next, end, limit) ?? [null, 0];
      if (last === null || last < next) return;
      if (bytes > CHUNK_BYTES && limit > 1) {
        limit = Math.max(1, Math.floor(limit / 4));
        continue;
      }
      yield joined(this.read.all(next, last), this.readOpenings.all(next, last));
      next = last + 1;
      limit = Math.min(CHUNK_ROWS, limit * 2);
    }
  }
}

const SMALL_ENTRIES = `SELECT seq, CASE WHEN octet_length(body) <= ${SMALL_BYTES} THEN body END, CASE WHEN octet_length(leaf) = 64 THEN leaf END
  FROM entries WHERE seq >= ? AND seq <= ? ORDER BY seq LIMIT ?`;

/** The size is given only where the text is not: asking for both makes SQLite load the text twice. */
const ENTRIES = `SELECT seq, CASE WHEN octet_length(body) <= ${MAX_ENTRY_BYTES} THEN body END, CASE WHEN octet_length(leaf) = 64 THEN leaf END,
  CASE WHEN octet_length(body) > ${MAX_ENTRY_BYTES} THEN octet_length(body) END FROM entries WHERE seq >= ? AND seq <= ? ORDER BY seq`;

function openings(limit: number): string {
  return `SELECT seq, CASE WHEN octet_length(key) = 64 THEN key END, CASE WHEN octet_length(sections) <= ${limit} THEN sections END
    FROM openings WHERE seq >= ? AND seq <= ? ORDER BY seq`;
}

const MEASURE = `SELECT max(seq), coalesce(sum(bytes), 0) FROM
  (SELECT e.seq AS seq, octet_length(e.body) + coalesce(octet_length(o.sections), 0) AS bytes
   FROM entries e LEFT JOIN openings o ON o.seq = e.seq WHERE e.seq >= ? AND e.seq <= ? ORDER BY e.seq LIMIT ?)`;

/** Whether the text was within the limit. */
function hasBody(row: EntryRow): boolean {
  return typeof row[1] === 'string';
}

function isWhole(row: OpeningRow): boolean {
  return typeof row[1] === 'string' && typeof row[2] === 'string';
}

function joined(rows: readonly EntryRow[], beside: readonly OpeningRow[]): readonly SourceRow[] {
  let at = 0;
  return rows.map((row) => {
    const seq = row[0];
    while ((beside[at]?.[0] ?? LAST_SEQ) < seq) at++;
    const opening = beside[at]?.[0] === seq ? (beside[at] as OpeningRow) : undefined;
    return {
      seq,
      body: text(row[1]),
      bytes: typeof row[3] === 'number' ? row[3] : 0,
      leaf: text(row[2]),
      opening: opening === undefined ? undefined : { key: text(opening[1]), sections: text(opening[2]) },
    };
  });
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
