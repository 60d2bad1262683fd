/**
 * The Merkle tree of a growing log, kept as C2SP tiles (c2sp.org/tlog-tiles, height 8).
 *
 * A full tile is 256 hashes; tile `(level, index)` holds hashes of perfect subtrees of 256^level leaves. Only full tiles
 * are stored: the open end of each level stays in memory and is rebuilt from the entries when a log is opened.
 */
import { CountersignError } from '../errors.ts';
import { CompactRange, nodeHash } from './merkle.ts';

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;

/** A full tile: 256 hashes, lower-case hex, one after the other. `root` is the hash over all of them. */
export interface Tile {
  readonly level: number;
  readonly index: number;
  readonly hashes: string;
  readonly root: string;
}

/** Where full tiles are read back from. */
export interface TileReader {
  tile(level: number, index: number): string | undefined;
}

const HASH_CHARS = 64;

export class TileTree {
  /** Open end of each tile level; `open[l]` holds fewer than 256 hashes. */
  private readonly open: string[][];
  private range: CompactRange;
  /** Leaves so far; known before the range is, while a stored log is being loaded. */
  private leaves: number;
  private fresh: Tile[] = [];
  /**
   * Roots inside the open tiles that somebody asked for, by their width and place in the tile: proofs and ranges ask again and again, and
   * each would fold up to 255 hashes. At most 254 for each level of tiles.
   * INVARIANT: leaves are only added, so that a root stays what it is.
   */
  private readonly folded: Map<number, string>[] = [];
  private readonly reader: TileReader;

  private constructor(reader: TileReader, open: string[][], size: number) {
    this.reader = reader;
    this.open = open;
    this.leaves = size;
    this.range = new CompactRange(
      size,
      perfectSubtrees(size).map(({ level, index }) => this.subtree(level, index)),
    );
  }

  static empty(reader: TileReader): TileTree {
    return new TileTree(reader, [[]], 0);
  }

  /**
   * Rebuilds the tree of a stored log.
   *
   * @param roots - roots of the full tiles of a level from `index` on, in order.
   * @param leaves - leaf hashes from position `from` on; called with the end of the last full tile.
   */
  static load(
    size: number,
    reader: TileReader,
    roots: (level: number, index: number) => readonly string[],
    leaves: (from: number) => readonly string[],
  ): TileTree {
    const open: string[][] = [[...leaves(Math.floor(size / TILE_WIDTH) * TILE_WIDTH)]];
    for (let level = 1, count = Math.floor(size / TILE_WIDTH); count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
      open.push([...roots(level - 1, Math.floor(count / TILE_WIDTH) * TILE_WIDTH)]);
    }
    let covered = 0;
    for (const [level, hashes] of open.entries()) covered += hashes.length * TILE_WIDTH ** level;
    if (covered !== size) {
      throw new CountersignError(
        'LEDGER_CORRUPT',
        `stored tiles and entries cover ${covered} leaves, the checkpoint says ${size}: run \`countersign verify\``,
      );
    }
    return new TileTree(reader, open, size);
  }

  get size(): number {
    return this.leaves;
  }

  /** @param leaf - as `leafHash` gave it. */
  push(leaf: string): void {
    const size = this.leaves + 1;
    if (size % TILE_WIDTH !== 0) {
      this.range.pushOwn(leaf);
      this.leaves = size;
      this.openAt(0).push(leaf);
      return;
    }
    // A tile of each level is full when its subtree is, and the range has just worked out that subtree's root.
    const roots: string[] = [];
    this.range.pushOwn(leaf, (level, root) => {
      if (level % TILE_HEIGHT === 0) roots.push(root);
    });
    this.leaves = size;
    let hash = leaf;
    for (const [level, root] of roots.entries()) {
      const hashes = [...this.openAt(level), hash];
      const index = Math.floor(size / TILE_WIDTH ** (level + 1)) - 1;
      this.fresh.push({ level, index, hashes: hashes.join(''), root });
      this.open[level] = [];
      this.folded[level] = new Map();
      hash = root;
    }
    this.openAt(roots.length).push(hash);
  }

  private openAt(level: number): string[] {
    return (this.open[level] ??= []);
  }

  root(): string {
    return this.range.root();
  }

  /** Tiles that became full since the last call; the caller stores them in the same transaction. */
  takeFullTiles(): readonly Tile[] {
    const full = this.fresh;
    this.fresh = [];
    return full;
  }

  /** Root this log had when it held `size` leaves. */
  rootAt(size: number): string {
    return this.rangeAt(size).root();
  }

  /** This log as it was when it held `size` leaves, to be grown on. */
  rangeAt(size: number): CompactRange {
    if (size > this.size) throw new RangeError(`the tree has ${this.size} leaves, not ${size}`);
    return new CompactRange(
      size,
      perfectSubtrees(size).map(({ level, index }) => this.subtree(level, index)),
    );
  }

  /** Hash of the perfect subtree of 2^level leaves starting at leaf index * 2^level. */
  subtree(level: number, index: number): string {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const width = 2 ** (level - tileLevel * TILE_HEIGHT);
    const first = index * width;
    const tileIndex = Math.floor(first / TILE_WIDTH);
    const offset = first - tileIndex * TILE_WIDTH;
    if (tileIndex === Math.floor(this.size / TILE_WIDTH ** (tileLevel + 1))) return this.subtreeOfOpen(tileLevel, width, offset);
    const hashes = this.stored(tileLevel, tileIndex, offset, width);
    if (hashes === undefined) throw incomplete(tileLevel, tileIndex);
    return foldPerfect(hashes);
  }

  /** Root over `width` hashes, a power of two, of the open tile. */
  private subtreeOfOpen(level: number, width: number, offset: number): string {
    if (width === 1) {
      const hash = this.open[level]?.[offset];
      if (hash === undefined) throw incomplete(level, Math.floor(this.size / TILE_WIDTH ** (level + 1)));
      return hash;
    }
    const folded = (this.folded[level] ??= new Map<number, string>());
    const name = width * TILE_WIDTH + offset;
    const known = folded.get(name);
    if (known !== undefined) return known;
    const half = width / 2;
    const root = nodeHash(this.subtreeOfOpen(level, half, offset), this.subtreeOfOpen(level, half, offset + half));
    folded.set(name, root);
    return root;
  }

  private stored(level: number, index: number, offset: number, width: number): string[] | undefined {
    const fresh = this.fresh.find((tile) => tile.level === level && tile.index === index);
    const text = fresh?.hashes ?? this.reader.tile(level, index);
    if (text?.length !== TILE_WIDTH * HASH_CHARS) return undefined;
    return Array.from({ length: width }, (_, i) => text.slice((offset + i) * HASH_CHARS, (offset + i + 1) * HASH_CHARS));
  }
}

function incomplete(level: number, index: number): CountersignError {
  return new CountersignError('LEDGER_CORRUPT', `tile ${level}/${index} is missing or short: run \`countersign verify\``);
}

/** Root over a power-of-two number of hashes. */
function foldPerfect(hashes: readonly string[]): string {
  let level = hashes;
  while (level.length > 1) {
    const above: string[] = [];
    for (let i = 0; i < level.length; i += 2) above.push(nodeHash(level[i] as string, level[i + 1] as string));
    level = above;
  }
  return level[0] as string;
}

/** The perfect subtrees that make up a tree of `size` leaves, largest first (RFC 6962 2.1). */
function perfectSubtrees(size: number): readonly { readonly level: number; readonly index: number }[] {
  const parts: { level: number; index: number }[] = [];
  let start = 0;
  for (let level = 52; level >= 0; level--) {
    const width = 2 ** level;
    if (size - start >= width) {
      parts.push({ level, index: start / width });
      start += width;
    }
  }
  return parts;
}
