/** The ledger a mirror follows, read through a connection of its own: what is committed, as lines. */
import type { Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import { type ParsedCheckpoint, parseCheckpoint } from '../ledger/checkpoint.ts';
import { leafHash } from '../ledger/merkle.ts';
import { parseNote } from '../ledger/note.ts';
import { TileTree } from '../ledger/tiles.ts';
import { checkSchema, checkTables } from '../sqlite/schema.ts';

/** Lines taken at once; one more entry may exceed it. Reading them holds up the event loop. */
const CHUNK_BYTES = 262_144;

export interface Lines {
  /** Whole lines, each with its line feed. */
  readonly bytes: Buffer;
  readonly count: number;
}

export interface MirroredCheckpoint {
  readonly size: number;
  readonly note: string;
}

export class MirroredLedger {
  readonly #database: Database;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #close: () => void;

  /** @throws {CountersignError} `LEDGER_*` when the file is not a ledger of this version; it stays open then. */
  constructor(database: Database, close: () => void = () => database.close()) {
    checkSchema(database);
    checkTables(database);
    this.#database = database;
    this.#statements = prepare(database);
    this.#close = close;
  }

  /** Entries that are committed, hence durable. */
  get size(): number {
    return this.#statements.size.get() ?? 0;
  }

  /** The newest signed checkpoint; the newest of all when none is signed. */
  checkpoint(): MirroredCheckpoint | undefined {
    return this.#statements.signed.get() ?? this.#statements.newest.get();
  }

  /** Bodies from a position on, as a mirror holds them. */
  lines(from: number): Lines {
    const texts: string[] = [];
    let sizeBytes = 0;
    for (const [seq, body] of this.#statements.bodies.iterate(from)) {
      // Somebody edited the ledger: an entry is gone, or would become two lines.
      if (seq !== from + texts.length || body.includes('\n'))
        throw new CountersignError('LEDGER_CORRUPT', `entry ${from + texts.length + 1} of the ledger is missing or is not one line`);
      texts.push(body);
      sizeBytes += body.length;
      if (sizeBytes >= CHUNK_BYTES) break;
    }
    return { bytes: Buffer.from(texts.map((text) => `${text}\n`).join('')), count: texts.length };
  }

  /**
   * Root the ledger had when it held `size` entries.
   * @throws {CountersignError} `LEDGER_CORRUPT`
   */
  rootAt(size: number): string {
    const { roots, tile, leaves } = this.#statements;
    const load = (): string => {
      const reader = { tile: (level: number, index: number) => tile.get(level, index)?.toString('hex') };
      const ends = {
        roots: (level: number, from: number) => roots.all(level, from),
        leaves: (from: number) => leaves.all(from).map(leafHash),
      };
      return TileTree.load(this.size, reader, ends.roots, ends.leaves).rootAt(size);
    };
    return this.#database.transaction(load)();
  }

  close(): void {
    this.#close();
  }
}

/** @throws {CountersignError} `CHECKPOINT_INVALID`, `NOTE_INVALID` */
export function headOf(note: string): ParsedCheckpoint {
  // An unsigned ledger keeps the text alone.
  return parseCheckpoint(note.includes('\n\n') ? parseNote(note).text : note);
}

function prepare(database: Database) {
  return {
    size: database.prepare<[], number>('SELECT size FROM checkpoints ORDER BY size DESC LIMIT 1').pluck(),
    newest: database.prepare<[], MirroredCheckpoint>('SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1'),
    signed: database.prepare<[], MirroredCheckpoint>(
      'SELECT size, note FROM checkpoints WHERE instr(note, char(10, 10)) > 0 ORDER BY size DESC LIMIT 1',
    ),
    bodies: database.prepare<[number], [number, string]>('SELECT seq, body FROM entries WHERE seq >= ? ORDER BY seq').raw(),
    leaves: database.prepare<[number], string>('SELECT body FROM entries WHERE seq >= ? ORDER BY seq').pluck(),
    roots: database.prepare<[number, number], string>('SELECT root FROM tiles WHERE level = ? AND idx >= ? ORDER BY idx').pluck(),
    tile: database.prepare<[number, number], Buffer>('SELECT hashes FROM tiles WHERE level = ? AND idx = ?').pluck(),
  };
}
