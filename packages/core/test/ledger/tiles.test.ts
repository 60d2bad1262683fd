import { describe, expect, it } from 'vitest';
import { CompactRange, consistencyProof, inclusionProof, leafHash, verifyConsistency, verifyInclusion } from '../../src/ledger/merkle.ts';
import { type Tile, TileTree } from '../../src/ledger/tiles.ts';

const leaf = (i: number): string => leafHash(`entry ${i}`);

/** A log as a store would keep it: full tiles and leaves. */
class Kept {
  readonly tiles = new Map<string, Tile>();
  readonly leaves: string[] = [];
  tile(level: number, index: number): string | undefined {
    return this.tiles.get(`${level}/${index}`)?.hashes;
  }
  keep(tree: TileTree): void {
    for (const tile of tree.takeFullTiles()) this.tiles.set(`${tile.level}/${tile.index}`, tile);
  }
  load(size: number = this.leaves.length): TileTree {
    const roots = (level: number, index: number): readonly string[] =>
      [...this.tiles.values()].filter((tile) => tile.level === level && tile.index >= index).map((tile) => tile.root);
    return TileTree.load(size, this, roots, (from) => this.leaves.slice(from, size));
  }
}

function grow(size: number): { readonly kept: Kept; readonly tree: TileTree; readonly range: CompactRange } {
  const kept = new Kept();
  const tree = TileTree.empty(kept);
  const range = new CompactRange();
  for (let i = 0; i < size; i++) {
    const hash = leaf(i);
    kept.leaves.push(hash);
    tree.push(hash);
    range.push(hash);
    if (i % 100 === 0) kept.keep(tree);
  }
  kept.keep(tree);
  return { kept, tree, range };
}

describe('tiles', () => {
  it.each([0, 1, 2, 255, 256, 257, 511, 512, 513, 1000, 1024, 2049, 65_535, 65_536, 65_537, 66_000])(
    'a log of %s entries has the same root grown, loaded and grown on',
    (size) => {
      const { kept, tree, range } = grow(size);
      expect(tree.root()).toBe(range.root());
      const loaded = kept.load();
      expect([loaded.size, loaded.root()]).toEqual([size, range.root()]);
      for (let i = size; i < size + 300; i++) {
        loaded.push(leaf(i));
        range.push(leaf(i));
      }
      expect(loaded.root()).toBe(range.root());
    },
  );

  it('proves every entry and every older log from tiles and the open end', () => {
    const { kept } = grow(777);
    const tree = kept.load();
    const read = (level: number, index: number): string => tree.subtree(level, index);
    for (let index = 0; index < 777; index += 7) {
      const proof = inclusionProof(index, 777, read);
      expect(verifyInclusion({ index, size: 777, leaf: leaf(index), root: tree.root(), proof })).toBe(true);
      expect(verifyInclusion({ index, size: 777, leaf: leaf(index + 1), root: tree.root(), proof })).toBe(false);
    }
    for (let size1 = 1; size1 < 777; size1 += 31) {
      const proof = consistencyProof(size1, 777, read);
      expect(verifyConsistency({ size1, size2: 777, root1: tree.rootAt(size1), root2: tree.root(), proof })).toBe(true);
    }
  });

  it('gives the root of every older log, however often it was asked while it grew', () => {
    const kept = new Kept();
    const tree = TileTree.empty(kept);
    const range = new CompactRange();
    const roots = [range.root()];
    for (let i = 0; i < 800; i++) {
      tree.push(leaf(i));
      range.push(leaf(i));
      roots.push(range.root());
      // Again and again across the ends of tiles, also before a full one is stored.
      if (i % 3 === 0) kept.keep(tree);
      for (let size = i + 1; size >= 0; size -= 41) expect(tree.rootAt(size)).toBe(roots[size]);
    }
    for (const [size, root] of roots.entries()) expect(tree.rootAt(size)).toBe(root);
  });

  it('refuses to load what does not add up, and to read what is not there', () => {
    const { kept } = grow(600);
    expect(() => kept.load(601)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    kept.tiles.delete('0/0');
    expect(() => kept.load()).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    const { kept: cut, tree } = grow(600);
    cut.tiles.set('0/0', { level: 0, index: 0, hashes: 'ab', root: '' });
    expect(() => tree.rootAt(100)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    expect(() => tree.rootAt(601)).toThrow(RangeError);
  });
});
