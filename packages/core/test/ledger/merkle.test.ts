import { describe, expect, it } from 'vitest';
import {
  CompactRange,
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  MAX_PROOF_HASHES,
  nodeHash,
  rootOf,
  type SubtreeReader,
  verifyConsistency,
  verifyInclusion,
} from '../../src/ledger/merkle.ts';
import { hasVectors, vectorJson } from '../vectors.ts';

const MAX_SIZE = 70;
const LEAVES = Array.from({ length: MAX_SIZE }, (_, index) => leafHash(`leaf ${index}`));
const invalidOption = expect.objectContaining({ code: 'OPTIONS_INVALID' });

/** The recursive definition of RFC 6962, section 2.1. */
function definedRoot(leaves: readonly string[]): string {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leaves[0] as string;
  const split = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return nodeHash(definedRoot(leaves.slice(0, split)), definedRoot(leaves.slice(split)));
}

function readerOf(leaves: readonly string[]): SubtreeReader {
  const seen = new Map<string, string>();
  return (level, index) => {
    const width = 2 ** level;
    const key = `${level}/${index}`;
    if ((index + 1) * width > leaves.length) throw new Error('asked for a subtree that is not complete');
    const known = seen.get(key) ?? definedRoot(leaves.slice(index * width, (index + 1) * width));
    seen.set(key, known);
    return known;
  };
}

function corrupt(hash: string): string {
  return (hash.startsWith('0') ? '1' : '0') + hash.slice(1);
}

/** Every way to change one thing in a proof. */
function* mutations(proof: readonly string[]): Generator<readonly string[]> {
  for (let index = 0; index < proof.length; index++) {
    yield proof.with(index, corrupt(proof[index] as string));
    yield proof.toSpliced(index, 1);
    yield proof.toSpliced(index, 0, proof[index] as string);
    if (index > 0 && proof[index] !== proof[index - 1]) {
      yield proof.with(index, proof[index - 1] as string).with(index - 1, proof[index] as string);
    }
  }
  yield [...proof, EMPTY_ROOT];
  yield [EMPTY_ROOT, ...proof];
  yield [...proof, ...Array.from({ length: MAX_PROOF_HASHES }, () => EMPTY_ROOT)];
}

const ROOTS = Array.from({ length: MAX_SIZE + 1 }, (_, size) => definedRoot(LEAVES.slice(0, size)));
const READ = readerOf(LEAVES);
const rootAt = (size: number): string => ROOTS[size] as string;
const leafAt = (index: number): string => LEAVES[index] as string;

describe('hashes', () => {
  it('gives the bytes of the file header', () => {
    const leaves = ['a', 'b', 'c'].map(leafHash);
    expect(leaves).toEqual([
      '022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c',
      '57eb35615d47f34ec714cacdf5fd74608a5e8e102724e80b24b287c0c27b6a31',
      '597fcb31282d34654c200d3418fca5705c648ebf326ec73d8ddef11841f876d8',
    ]);
    expect(definedRoot(leaves)).toBe('36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1');
  });

  it('hashes UTF-8 and tells a leaf from a node and from nothing', () => {
    expect(leafHash('')).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
    expect(leafHash('é')).not.toBe(leafHash('e\u0301'));
    expect(leafHash('')).not.toBe(EMPTY_ROOT);
    expect(nodeHash(EMPTY_ROOT, EMPTY_ROOT)).not.toBe(leafHash(EMPTY_ROOT + EMPTY_ROOT));
  });

  it('refuses a leaf that UTF-8 cannot say', () => {
    expect(() => leafHash('\ud800')).toThrow(expect.objectContaining({ code: 'CANONICAL_INVALID' }));
  });

  it.each(['', 'g'.repeat(64), EMPTY_ROOT.slice(1), `${EMPTY_ROOT}00`, `${EMPTY_ROOT.slice(1)}\u0130`])('refuses %j as a hash', (hash) => {
    expect(() => nodeHash(hash, EMPTY_ROOT)).toThrow(invalidOption);
    expect(() => nodeHash(EMPTY_ROOT, hash)).toThrow(invalidOption);
    expect(() => new CompactRange().push(hash)).toThrow(invalidOption);
    expect(() => new CompactRange(1, [hash])).toThrow(invalidOption);
  });
});

describe('CompactRange', () => {
  it('has the defined root at every size, also when taken up from its hashes', () => {
    const range = new CompactRange();
    expect(range.root()).toBe(EMPTY_ROOT);
    for (let size = 1; size <= MAX_SIZE; size++) {
      const resumed = new CompactRange(range.size, range.hashes());
      const copy = range.clone();
      range.push(leafAt(size - 1));
      resumed.push(leafAt(size - 1));
      expect(copy.root()).toBe(rootAt(size - 1));
      expect(range.root()).toBe(rootAt(size));
      expect(resumed.root()).toBe(rootAt(size));
      expect(range.size).toBe(size);
      expect(rootOf(size, READ)).toBe(rootAt(size));
    }
    expect(rootOf(0, READ)).toBe(EMPTY_ROOT);
  });

  it('gives copies of its hashes', () => {
    const range = new CompactRange(1, [leafAt(0)]);
    (range.hashes() as string[]).length = 0;
    expect(range.root()).toBe(leafAt(0));
  });

  it.each([
    [-1, []],
    [0.5, []],
    [Number.NaN, []],
    [2 ** 53, [EMPTY_ROOT]],
    [0, [EMPTY_ROOT]],
    [1, []],
    [3, [EMPTY_ROOT]],
    [4, [EMPTY_ROOT, EMPTY_ROOT]],
    [2 ** 32 + 1, [EMPTY_ROOT]],
  ])('refuses size %d with the hashes %j', (size, hashes) => {
    expect(() => new CompactRange(size, hashes)).toThrow(invalidOption);
  });

  it('appends past 2^32 and is full at 2^53 - 1', () => {
    const range = new CompactRange(2 ** 32 + 1, [leafAt(0), leafAt(1)]);
    range.push(leafAt(2));
    expect(range.hashes()).toEqual([leafAt(0), nodeHash(leafAt(1), leafAt(2))]);
    const carry = new CompactRange(2 ** 33 - 1, LEAVES.slice(0, 33));
    carry.push(leafAt(33));
    expect(carry.hashes()).toHaveLength(1);
    expect(carry.root()).toBe(LEAVES.slice(0, 33).reduceRight((node, left) => nodeHash(left, node), leafAt(33)));
    const full = new CompactRange(Number.MAX_SAFE_INTEGER, LEAVES.slice(0, 53));
    expect(() => full.push(leafAt(0))).toThrow(invalidOption);
  });
});

describe('inclusion', () => {
  it('proves every leaf of every tree and nothing else', () => {
    for (let size = 1; size <= MAX_SIZE; size++) {
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(index, size, READ);
        const claim = { index, size, leaf: leafAt(index), root: rootAt(size), proof };
        expect(verifyInclusion(claim)).toBe(true);
        for (const changed of mutations(proof)) expect(verifyInclusion({ ...claim, proof: changed })).toBe(false);
        expect(verifyInclusion({ ...claim, leaf: corrupt(claim.leaf) })).toBe(false);
        expect(verifyInclusion({ ...claim, root: corrupt(claim.root) })).toBe(false);
        expect(verifyInclusion({ ...claim, index: index + size })).toBe(false);
        expect(verifyInclusion({ ...claim, index: index + 2 ** 32 })).toBe(false);
        // With one leaf there is no other index within the tree.
        expect(verifyInclusion({ ...claim, index: size === 1 ? 1 : (index + 1) % size })).toBe(false);
      }
    }
  });

  it('works at sizes that 32 bits do not hold', () => {
    // Every perfect subtree gets a hash of its own name: consistent along each path, whatever the tree.
    const size = Number.MAX_SAFE_INTEGER;
    for (const index of [0, 1, 2 ** 31, 2 ** 32, 2 ** 52 - 1, 2 ** 52, size - 1]) {
      const path: string[] = [];
      const proof = inclusionProof(index, size, (level, at) => {
        path.push(`${level}/${at}`);
        return leafHash(`${level}/${at}`);
      });
      expect(proof.length).toBeLessThanOrEqual(53);
      let root = leafHash('me');
      // The same walk over BigInt, as the RFC writes it.
      let node = BigInt(index);
      let last = BigInt(size) - 1n;
      for (const sibling of proof) {
        if (node % 2n === 1n || node === last) {
          root = nodeHash(sibling, root);
          while (node % 2n === 0n && node !== 0n) [node, last] = [node / 2n, last / 2n];
        } else {
          root = nodeHash(root, sibling);
        }
        [node, last] = [node / 2n, last / 2n];
      }
      expect(last).toBe(0n);
      expect(verifyInclusion({ index, size, leaf: leafHash('me'), root, proof })).toBe(true);
      expect(verifyInclusion({ index, size, leaf: leafHash('you'), root, proof })).toBe(false);
      expect(path.every((name) => !name.includes('.') && !name.includes('-'))).toBe(true);
    }
  });

  it('takes a level from its width exactly, at every level', () => {
    for (let level = 0; level <= 51; level++) {
      const [proof] = inclusionProof(2 ** level, 2 ** level + 1, (at, index) => leafHash(`${at}/${index}`));
      expect(proof).toBe(leafHash(`${level}/0`));
    }
  });

  it.each([
    [-1, 1],
    [1, 1],
    [0, 0],
    [0.5, 2],
    [0, 2 ** 53],
    [Number.NaN, 2],
  ])('refuses to prove leaf %d of %d', (index, size) => {
    expect(() => inclusionProof(index, size, READ)).toThrow(invalidOption);
    expect(verifyInclusion({ index, size, leaf: leafAt(0), root: leafAt(0), proof: [] })).toBe(false);
  });

  it.each(['', 'xyz', EMPTY_ROOT.toUpperCase(), undefined])('says the ledger is corrupt when it holds %j for a subtree', (found) => {
    expect(() => inclusionProof(0, 2, () => found as string)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
  });

  it('answers false, never throws, for what is malformed', () => {
    const claim = { index: 0, size: 2, leaf: leafAt(0), root: rootAt(2), proof: [leafAt(1)] };
    expect(verifyInclusion(claim)).toBe(true);
    for (const proof of [null, {}, 'x', [null], [1], ['g'.repeat(64)], [leafAt(1).toUpperCase()], Array(1)]) {
      expect(verifyInclusion({ ...claim, proof: proof as unknown as string[] })).toBe(false);
    }
    for (const hash of [null, 1, '', leafAt(0).toUpperCase()]) {
      expect(verifyInclusion({ ...claim, leaf: hash as string })).toBe(false);
      expect(verifyInclusion({ ...claim, root: hash as string })).toBe(false);
    }
    for (const count of ['0', null, 0n] as unknown[]) expect(verifyInclusion({ ...claim, index: count as number })).toBe(false);
  });
});

describe('consistency', () => {
  it('proves every older tree and nothing else', () => {
    for (let size2 = 0; size2 <= MAX_SIZE; size2++) {
      for (let size1 = 0; size1 <= size2; size1++) {
        const proof = consistencyProof(size1, size2, READ);
        const claim = { size1, size2, root1: rootAt(size1), root2: rootAt(size2), proof };
        expect(verifyConsistency(claim)).toBe(true);
        for (const changed of mutations(proof)) expect(verifyConsistency({ ...claim, proof: changed })).toBe(false);
        expect(verifyConsistency({ ...claim, root1: corrupt(claim.root1) })).toBe(false);
        // Every tree starts with nothing, so nothing says little about the newer root.
        expect(verifyConsistency({ ...claim, root2: corrupt(claim.root2) })).toBe(size1 === 0 && size2 > 0);
        const others = [{ size1: size2 + 1 }, { size1: size1 + 1 }, { size1: size2, size2: size1 }].filter(
          (other) => other.size1 !== size1,
        );
        for (const other of others) expect(verifyConsistency({ ...claim, ...other })).toBe(false);
      }
    }
  });

  it('knows the root of the empty tree', () => {
    const claim = { size1: 0, size2: 0, root1: EMPTY_ROOT, root2: EMPTY_ROOT, proof: [] };
    expect(verifyConsistency(claim)).toBe(true);
    expect(verifyConsistency({ ...claim, root1: leafAt(0), root2: leafAt(0) })).toBe(false);
    expect(verifyConsistency({ ...claim, size2: 5, root1: leafAt(0), root2: rootAt(5) })).toBe(false);
  });

  it('finds that a leaf was changed, whichever it was', () => {
    for (let changed = 0; changed < 20; changed++) {
      const forged = LEAVES.with(changed, corrupt(leafAt(changed)));
      for (let size1 = changed + 1; size1 <= 20; size1++) {
        const proof = consistencyProof(size1, MAX_SIZE, readerOf(forged));
        expect(verifyConsistency({ size1, size2: MAX_SIZE, root1: rootAt(size1), root2: definedRoot(forged), proof })).toBe(false);
      }
    }
  });

  it.each([
    [1, 0],
    [-1, 1],
    [0.5, 1],
    [1, 2 ** 53],
  ])('refuses to prove %d within %d', (size1, size2) => {
    expect(() => consistencyProof(size1, size2, READ)).toThrow(invalidOption);
    expect(verifyConsistency({ size1, size2, root1: rootAt(1), root2: rootAt(1), proof: [] })).toBe(false);
  });

  it('works at sizes that 32 bits do not hold', () => {
    for (const [size1, size2] of [
      [2 ** 32, 2 ** 32 + 1],
      [2 ** 32 + 1, 2 ** 32 + 3],
      [2 ** 52, Number.MAX_SAFE_INTEGER],
    ] as const) {
      // A tree whose leaves are all the same: one hash for each level.
      const levels = [leafAt(0)];
      while (levels.length < 54) levels.push(nodeHash(levels.at(-1) as string, levels.at(-1) as string));
      const read: SubtreeReader = (level) => levels[level] as string;
      const claim = { size1, size2, root1: rootOf(size1, read), root2: rootOf(size2, read), proof: consistencyProof(size1, size2, read) };
      expect(verifyConsistency(claim)).toBe(true);
      for (const changed of mutations(claim.proof)) expect(verifyConsistency({ ...claim, proof: changed })).toBe(false);
    }
  });
});

interface InclusionVector {
  readonly path: string;
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

interface ConsistencyVector {
  readonly path: string;
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

const hexOf = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');

describe.skipIf(!hasVectors('rfc6962'))('vectors of another implementation', () => {
  it('inclusion', () => {
    const vectors = vectorJson<InclusionVector[]>('rfc6962/inclusion.json');
    const wrong = vectors.filter((vector) => {
      const { leafIdx: index, treeSize: size } = vector;
      const proof = (vector.proof ?? []).map(hexOf);
      return verifyInclusion({ index, size, leaf: hexOf(vector.leafHash), root: hexOf(vector.root), proof }) === vector.wantErr;
    });
    expect(vectors).toHaveLength(98);
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('consistency', () => {
    const vectors = vectorJson<ConsistencyVector[]>('rfc6962/consistency.json');
    const wrong = vectors.filter((vector) => {
      const { size1, size2 } = vector;
      const proof = (vector.proof ?? []).map(hexOf);
      return verifyConsistency({ size1, size2, root1: hexOf(vector.root1), root2: hexOf(vector.root2), proof }) === vector.wantErr;
    });
    expect(vectors).toHaveLength(98);
    // Their verifier compares the roots of equal sizes as bytes of any length ("don't care 2"); here a root is a hash.
    expect(wrong.map(({ path }) => path)).toEqual(['testdata/consistency/additional/sizes-are-equal-one-and-proof-is-empty.json']);
  });
});
