/**
 * The tree of the entries as they are read: RFC 6962 roots at any size on the way, and the tiles that should be stored.
 *
 * Inside, hashes are digests: 32 bytes as latin1 strings (see `leafDigest`).
 */
import { EMPTY_ROOT, nodeDigest, toHex } from '../ledger/merkle.ts';
import { TILE_WIDTH } from '../ledger/tiles.ts';

const TILE_HEIGHT = 8;

/** A full tile: 256 digests, one after the other, and the digest over all of them. */
export interface DigestTile {
  readonly level: number;
  readonly index: number;
  readonly hashes: string;
  readonly root: string;
}

const NONE: readonly DigestTile[] = [];

export class GrowingTree {
  #size: number;
  /** INVARIANT: the roots of the perfect subtrees, one for each bit of #size, from the highest to the lowest. */
  readonly #peaks: string[];
  /** `#open[l]` holds the digests of level l that do not fill a tile yet. */
  readonly #open: string[][];

  constructor(size = 0, peaks: readonly string[] = [], open: readonly (readonly string[])[] = [[]]) {
    this.#size = size;
    this.#peaks = [...peaks];
    this.#open = open.map((hashes) => [...hashes]);
  }

  get size(): number {
    return this.#size;
  }

  /** @returns the tiles this leaf completed, lowest level first. */
  push(leaf: string): readonly DigestTile[] {
    const roots = this.#carry(leaf);
    this.#size++;
    (this.#open[0] as string[]).push(leaf);
    return roots.length === 0 ? NONE : this.#complete(roots);
  }

  root(): string {
    let root = this.#peaks.at(-1);
    if (root === undefined) return EMPTY_ROOT;
    for (let i = this.#peaks.length - 2; i >= 0; i--) root = nodeDigest(this.#peaks[i] as string, root);
    return toHex(root);
  }

  clone(): GrowingTree {
    return new GrowingTree(this.#size, this.#peaks, this.#open);
  }

  /**
   * Joins a new leaf with those before it.
   *
   * @returns the roots that now stand for a full tile, lowest first.
   */
  #carry(leaf: string): readonly string[] {
    let node = leaf;
    let level = 0;
    let roots: string[] | undefined;
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      node = nodeDigest(this.#peaks.pop() as string, node);
      level++;
      if (level % TILE_HEIGHT === 0) (roots ??= []).push(node);
    }
    this.#peaks.push(node);
    return roots ?? NO_ROOTS;
  }

  /** Takes full tiles off; each of their roots belongs to the level above. */
  #complete(roots: readonly string[]): readonly DigestTile[] {
    return roots.map((root, level) => {
      const hashes = (this.#open[level] as string[]).join('');
      this.#open[level] = [];
      (this.#open[level + 1] ??= []).push(root);
      return { level, index: this.#size / TILE_WIDTH ** (level + 1) - 1, hashes, root };
    });
  }
}

const NO_ROOTS: readonly string[] = [];

/** Number of full tiles of a log of `size` leaves, all levels. */
export function fullTiles(size: number): number {
  let count = 0;
  for (let width = TILE_WIDTH; width <= size; width *= TILE_WIDTH) count += Math.floor(size / width);
  return count;
}
