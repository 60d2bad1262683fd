/** The tiles and entry bundles of a log that others built (c2sp.org/tlog-tiles), against our tree, proofs and checkpoints. */
import { describe, expect, it } from 'vitest';
import { verifyCheckpoint } from '../../src/ledger/checkpoint.ts';
import { CompactRange, consistencyProof, inclusionProof, leafHash, verifyConsistency, verifyInclusion } from '../../src/ledger/merkle.ts';
import { TileTree } from '../../src/ledger/tiles.ts';
import { hasVectors, vectorBytes, vectorJson, vectorText } from '../vectors.ts';

const WIDTHS = Array.from({ length: 15 }, (_, i) => i + 1);
const SIZES = [0, ...WIDTHS];
const HASH_BYTES = 32;

/** Partial tiles are named by their width. */
const tile = (width: number): Buffer => vectorBytes(`tlog-tiles-log/tile/0/000.p/${width}`);
const bundle = (width: number): Buffer => vectorBytes(`tlog-tiles-log/tile/entries/000.p/${width}`);

/** Entries of a bundle: each a big-endian uint16 of its length, then its bytes. */
function entriesOf(bytes: Buffer): readonly string[] {
  const entries: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at + 2;
    at = start + bytes.readUInt16BE(at);
    if (at > bytes.length) throw new RangeError('a bundle ends inside an entry');
    entries.push(bytes.toString('utf8', start, at));
  }
  return entries;
}

function hashesOf(bytes: Buffer): readonly string[] {
  if (bytes.length % HASH_BYTES !== 0) throw new RangeError('a tile ends inside a hash');
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, i) => bytes.toString('hex', i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

describe.skipIf(!hasVectors('tlog-tiles-log'))('a log of others, by tiles and bundles', () => {
  // The folder is read inside tests only: skipped suites run their body too.
  const head = (size: number) => {
    const vkey = vectorText('tlog-tiles-log/log.vkey').trim();
    return verifyCheckpoint(vectorText(`tlog-tiles-log/checkpoint.${size}`), [vkey]).checkpoint;
  };
  const grown = (leaves: readonly string[]): TileTree => {
    const tree = TileTree.empty({ tile: () => undefined });
    for (const leaf of leaves) tree.push(leaf);
    return tree;
  };

  it.each(WIDTHS)('width %s: entries hash to the tile, and the tile to the signed root', (width) => {
    const entries = entriesOf(bundle(width));
    expect(entries).toEqual(vectorJson<string[]>('tlog-tiles-log/leaves.json').slice(0, width));
    const hashes = hashesOf(tile(width));
    expect(entries.map(leafHash)).toEqual(hashes);
    const range = new CompactRange();
    for (const hash of hashes) range.push(hash);
    expect(head(width)).toMatchObject({ size: width, root: range.root() });
    expect(grown(hashes).root()).toBe(head(width).root);
  });

  it('the newest checkpoint is the one of 15 entries', () => {
    expect(vectorText('tlog-tiles-log/checkpoint')).toBe(vectorText('tlog-tiles-log/checkpoint.15'));
    expect(head(0)).toMatchObject({ size: 0, root: new CompactRange().root() });
  });

  it('every pair of signed sizes is consistent by our proofs, and by no other root', () => {
    const tree = grown(hashesOf(tile(15)));
    const read = (level: number, index: number): string => tree.subtree(level, index);
    let pairs = 0;
    for (const size2 of SIZES) {
      for (const size1 of SIZES.filter((size) => size <= size2)) {
        const claim = { size1, size2, root1: head(size1).root, root2: head(size2).root, proof: consistencyProof(size1, size2, read) };
        expect(verifyConsistency(claim), `${size1} to ${size2}`).toBe(true);
        for (const other of SIZES) {
          if (other !== size1) expect(verifyConsistency({ ...claim, root1: head(other).root }), `${size1} as ${other}`).toBe(false);
          if (other !== size2 && size1 > 0)
            expect(verifyConsistency({ ...claim, root2: head(other).root }), `${size2} as ${other}`).toBe(false);
        }
        pairs++;
      }
    }
    expect(pairs).toBe(136);
  });

  it('every entry is included at every signed size, and at no other place', () => {
    const hashes = hashesOf(tile(15));
    const tree = grown(hashes);
    const read = (level: number, index: number): string => tree.subtree(level, index);
    for (const size of WIDTHS) {
      for (const [index, leaf] of hashes.slice(0, size).entries()) {
        const claim = { index, size, leaf, root: head(size).root, proof: inclusionProof(index, size, read) };
        expect(verifyInclusion(claim), `${index} in ${size}`).toBe(true);
        for (let other = 0; other < size; other++)
          if (other !== index) expect(verifyInclusion({ ...claim, index: other }), `${index} as ${other} in ${size}`).toBe(false);
      }
    }
  });

  it.each(WIDTHS)('width %s: one bit changed anywhere in the bundle is noticed', (width) => {
    const [bytes, hashes] = [bundle(width), hashesOf(tile(width))];
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 1;
      let found: readonly string[];
      try {
        found = entriesOf(changed).map(leafHash);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        continue;
      }
      expect(found).not.toEqual(hashes);
    }
  });
});
