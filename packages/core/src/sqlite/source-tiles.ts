/**
 * Stored tiles as the verifier asks for them: nearly always one after the other.
 *
 * A tile is longer than a page, and SQLite reads all of each one that a look-up passes in its search for another. So those that follow
 * are read with the one that is asked for, as soon as two were asked for in a row.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { StoredTile } from '../verify/source.ts';

/** Of 8 KB each. */
const AHEAD = 16;

type TileRow = readonly [index: number, hashes: unknown, root: unknown];

/** What is stored from `from` on and below `end`. */
interface Window {
  readonly from: number;
  readonly end: number;
  readonly tiles: ReadonlyMap<number, StoredTile>;
}

export class SourceTiles {
  private readonly read: Statement<[number, number, number], TileRow>;
  /** By level, the newest. */
  private readonly windows = new Map<number, Window>();

  constructor(database: Database) {
    this.read = database.prepare<[number, number, number], TileRow>(TILES).raw();
  }

  get(level: number, index: number): StoredTile | undefined {
    const known = this.windows.get(level);
    const window = known !== undefined && known.from <= index && index < known.end ? known : this.window(level, index, known);
    return window.tiles.get(index);
  }

  private window(level: number, index: number, known: Window | undefined): Window {
    const most = known?.end === index ? AHEAD : 1;
    const rows = this.read.all(level, index, most);
    const [last] = rows.at(-1) ?? [];
    // Every row at or after it that there is was read: what is not among them is not there.
    const end = last === undefined || rows.length < most ? Number.POSITIVE_INFINITY : last + 1;
    const tiles = new Map<number, StoredTile>();
    for (const [at, hashes, root] of rows)
      if (Buffer.isBuffer(hashes) && typeof root === 'string') tiles.set(at, { hashes: hashes.toString('latin1'), root });
    const window = { from: index, end, tiles };
    this.windows.set(level, window);
    return window;
  }
}

const TILES = 'SELECT idx, substr(hashes, 1, 8193), substr(root, 1, 65) FROM tiles WHERE level = ? AND idx >= ? ORDER BY idx LIMIT ?';
