import { describe, expect, it } from 'vitest';
import { CompactRange, fromHex, leafDigest, leafHash, nodeDigest, nodeHash, toHex } from '../../src/ledger/merkle.ts';
import { type Tile, TileTree } from '../../src/ledger/tiles.ts';
import { type DigestTile, fullTiles, GrowingTree } from '../../src/verify/tree.ts';

const leaves = Array.from({ length: 1100 }, (_, i) => leafHash(String(i)));

const inHex = ({ level, index, hashes, root }: DigestTile): Tile => ({ level, index, hashes: toHex(hashes), root: toHex(root) });

it('digests are the hashes in another writing', () => {
  expect(toHex(leafDigest('a\u00e9\u{1f600}'))).toBe(leafHash('a\u00e9\u{1f600}'));
  const [a = '', b = ''] = leaves;
  expect(toHex(nodeDigest(fromHex(a), fromHex(b)))).toBe(nodeHash(a, b));
  expect(() => leafDigest('\ud800')).toThrow(expect.objectContaining({ code: 'CANONICAL_INVALID' }));
});

describe('the verifier’s own tree', () => {
  it('gives the roots of the writer’s at every size', () => {
    const tree = new GrowingTree();
    const range = new CompactRange();
    expect(tree.root()).toBe(range.root());
    for (const leaf of leaves) {
      tree.push(fromHex(leaf));
      range.push(leaf);
      expect(tree.root()).toBe(range.root());
    }
    expect(tree.size).toBe(leaves.length);
  });

  it('gives the tiles the writer stores, of every level', () => {
    // 66,000 leaves fill a tile of level 1.
    const tree = new GrowingTree();
    const writer = TileTree.empty({ tile: () => undefined });
    const tiles = Array.from({ length: 66_000 }, (_, i) => leaves[i % leaves.length] as string).flatMap((leaf) => {
      writer.push(leaf);
      return tree.push(fromHex(leaf)).map(inHex);
    });
    expect(tiles).toEqual(writer.takeFullTiles());
    expect(tiles).toHaveLength(fullTiles(66_000));
    expect(tiles.at(-1)?.level).toBe(0);
    expect(tiles.some(({ level }) => level === 1)).toBe(true);
    expect(tree.root()).toBe(writer.root());
  });

  it('goes its own way after it was cloned', () => {
    const tree = new GrowingTree();
    for (const leaf of leaves.slice(0, 300)) tree.push(fromHex(leaf));
    const root = tree.root();
    const clone = tree.clone();
    clone.push(fromHex(leaves[0] as string));
    expect(tree.root()).toBe(root);
    expect(clone.root()).not.toBe(root);
    expect(clone.size).toBe(301);
  });
});
