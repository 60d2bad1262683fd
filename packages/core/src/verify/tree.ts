/** The tree of the entries as they are read: RFC 6962 roots at any size on the way, and the tiles that should be stored. */

import { EMPTY_ROOT, nodeHash } from '../ledger/merkle.ts';
import { TILE_WIDTH, type Tile } from '../ledger/tiles.ts';

export class GrowingTree {
  #size: number;
  /** `#open[l]` holds the hashes of level l that do not fill a tile yet. */
  readonly #open: string[][];

  constructor(size = 0, open: readonly (readonly string[])[] = [[]]) {
    this.#size = size;
    this.#open = open.map((hashes) => [...hashes]);
  }

  get size(): number {
    return this.#size;
  }

  /** @returns the tiles this leaf completed, lowest level first. */
  push(leaf: string): readonly Tile[] {
    this.#size++;
    let hash = leaf;
    let full: Tile[] | undefined;
    for (let level = 0; ; level++) {
      const hashes = (this.#open[level] ??= []);
      hashes.push(hash);
      if (hashes.length < TILE_WIDTH) return full ?? [];
      hash = fold(hashes);
      this.#open[level] = [];
      full ??= [];
      full.push({ level, index: this.#size / TILE_WIDTH ** (level + 1) - 1, hashes: hashes.join(''), root: hash });
    }
  }

  root(): string {
    // From right to left: the smaller subtrees end up deeper, as RFC 6962 splits at the largest power of two.
    let root: string | undefined;
    for (const hashes of this.#open) {
      for (let end = hashes.length; end > 0; ) {
        const width = lowestBit(end);
        const subtree = fold(hashes.slice(end - width, end));
        root = root === undefined ? subtree : nodeHash(subtree, root);
        end -= width;
      }
    }
    return root ?? EMPTY_ROOT;
  }

  clone(): GrowingTree {
    return new GrowingTree(this.#size, this.#open);
  }
}

/** Number of full tiles of a log of `size` leaves, all levels. */
export function fullTiles(size: number): number {
  let count = 0;
  for (let width = TILE_WIDTH; width <= size; width *= TILE_WIDTH) count += Math.floor(size / width);
  return count;
}

function fold(hashes: readonly string[]): string {
  let level = hashes;
  while (level.length > 1) {
    const above: string[] = [];
    for (let i = 0; i < level.length; i += 2) above.push(nodeHash(level[i] as string, level[i + 1] as string));
    level = above;
  }
  return level[0] as string;
}

/** Of 1 to 255: well within what shifts see. */
function lowestBit(value: number): number {
  return value & -value;
}
