/**
 * The Merkle tree of RFC 6962: leaf and node hashes, a tree that only grows, and the two proofs about it.
 *
 *     leaf   SHA-256(0x00 || text)
 *     node   SHA-256(0x01 || left || right)
 *     root   of n > 1 leaves: node(root of the first k, root of the rest), k the largest power of two below n
 *     empty  SHA-256("")
 *
 * The tree over the three texts `a`, `b`, `c`:
 *
 *     leaf a, leaf b   022a6979...f93c, 57eb3561...31a1
 *     leaf c           597fcb31...76d8
 *     root             36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1
 *
 * Hashes are 64 lower-case hex digits. Sizes and indexes are integers up to 2^53 - 1, so nothing here shifts bits:
 * JavaScript's shifts see the low 32 only.
 */
import { hash } from 'node:crypto';
import { CountersignError } from '../errors.ts';

/** Root of the tree without leaves: SHA-256(""). */
export const EMPTY_ROOT = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const HASH_PATTERN = /^[0-9a-f]{64}$/;
/** A tree of 2^53 - 1 leaves has paths of at most 53 hashes; a consistency proof has one more. */
export const MAX_PROOF_HASHES = 54;

// Reused, all of its last 64 bytes written each time: a buffer per hash costs more than the hash. Hashing is synchronous and never re-enters.
const nodeBuffer = Buffer.alloc(65);
nodeBuffer[0] = 0x01;

/**
 * Hash of one ledger leaf: SHA-256(0x00 || utf8(text)), hex.
 *
 * @throws {CountersignError} `CANONICAL_INVALID` for a lone surrogate: UTF-8 would replace it, and two texts would share a hash.
 * @see RFC 6962, section 2.1
 */
export function leafHash(text: string): string {
  if (!text.isWellFormed()) throw new CountersignError('CANONICAL_INVALID', 'leaf: the text holds a lone surrogate');
  return hash('sha256', `\0${text}`, 'hex');
}

/**
 * Hash of an inner node: SHA-256(0x01 || left || right), hex.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` unless both are hashes in lower-case hex.
 */
export function nodeHash(left: string, right: string): string {
  if (!isHash(left) || !isHash(right)) throw new CountersignError('OPTIONS_INVALID', 'merkle: a hash must be 64 lower-case hex digits');
  return join(left, right);
}

/**
 * The two hashes again for whoever makes millions of them: a digest is 32 bytes as a latin1 string, which costs a third of
 * what hex or a Buffer costs. Nothing is checked here: digests come from these functions or from `fromHex`, never from
 * outside.
 */
export function leafDigest(text: string): string {
  if (!text.isWellFormed()) throw new CountersignError('CANONICAL_INVALID', 'leaf: the text holds a lone surrogate');
  return hash('sha256', `\0${text}`, 'binary');
}

export function nodeDigest(left: string, right: string): string {
  nodeBuffer.write(left, 1, 'latin1');
  nodeBuffer.write(right, 33, 'latin1');
  return hash('sha256', nodeBuffer, 'binary');
}

export function toHex(digest: string): string {
  return Buffer.from(digest, 'latin1').toString('hex');
}

/** @param text - one or more hashes in lower-case hex, checked before. */
export function fromHex(text: string): string {
  return Buffer.from(text, 'hex').toString('binary');
}

/** True for 64 lower-case hex digits. */
export function isHash(value: unknown): value is string {
  return typeof value === 'string' && HASH_PATTERN.test(value);
}

/**
 * A tree that remembers only its perfect subtrees, at most 53 hashes, largest first: enough to append and to tell the root.
 */
export class CompactRange {
  #size: number;
  /** INVARIANT: one hash for each bit of #size, from the highest to the lowest. */
  readonly #hashes: string[];

  /**
   * @param size - leaves so far.
   * @param hashes - what `hashes()` of a range of that size gave.
   * @throws {CountersignError} `OPTIONS_INVALID` when the two do not belong together.
   */
  constructor(size: number = 0, hashes: readonly string[] = []) {
    if (!isCount(size)) throw new CountersignError('OPTIONS_INVALID', 'merkle: size must be an integer from 0 to 2^53 - 1');
    const wanted = countBits(size);
    if (hashes.length !== wanted || !isProof(hashes)) {
      throw new CountersignError('OPTIONS_INVALID', `merkle: a tree of ${size} leaves needs ${wanted} hashes, got ${hashes.length}`);
    }
    this.#size = size;
    this.#hashes = [...hashes];
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Appends one leaf hash.
   *
   * @param formed - told the root of every perfect subtree of 2^level leaves that this leaf completes, smallest first,
   *   from level 1 on.
   */
  push(leaf: string, formed?: (level: number, root: string) => void): void {
    if (!isHash(leaf)) throw new CountersignError('OPTIONS_INVALID', 'merkle: a leaf hash must be 64 lower-case hex digits');
    this.pushOwn(leaf, formed);
  }

  /** The same for what `leafHash` gave this process: looking at it again would cost as much as hashing a node. */
  pushOwn(leaf: string, formed?: (level: number, root: string) => void): void {
    if (this.#size >= Number.MAX_SAFE_INTEGER)
      throw new CountersignError('OPTIONS_INVALID', 'merkle: the tree holds 2^53 - 1 leaves and is full');
    let node = leaf;
    let level = 0;
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      node = join(this.#hashes.pop() as string, node);
      formed?.(++level, node);
    }
    this.#hashes.push(node);
    this.#size += 1;
  }

  root(): string {
    let root = this.#hashes.at(-1);
    if (root === undefined) return EMPTY_ROOT;
    for (let index = this.#hashes.length - 2; index >= 0; index--) root = join(this.#hashes[index] as string, root);
    return root;
  }

  /** The perfect subtrees, largest first. A copy. */
  hashes(): readonly string[] {
    return [...this.#hashes];
  }

  clone(): CompactRange {
    return new CompactRange(this.#size, this.#hashes);
  }
}

export interface InclusionClaim {
  /** 0-based position of the leaf. */
  readonly index: number;
  readonly size: number;
  readonly leaf: string;
  readonly root: string;
  readonly proof: readonly string[];
}

/**
 * True when `leaf` stands at `index` in the tree of `size` leaves and this `root`. Anything malformed is false.
 *
 * @see RFC 9162, section 2.1.3.2
 */
export function verifyInclusion(claim: InclusionClaim): boolean {
  const { index, size, leaf, root, proof } = claim;
  // All of the claim may come from whoever wants to be believed.
  if (!isCount(index) || !isCount(size) || index >= size) return false;
  if (!isHash(leaf) || !isHash(root) || !isProof(proof)) return false;
  let node = index;
  let last = size - 1;
  let computed = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      computed = join(sibling, computed);
      while (!isOdd(node) && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else {
      computed = join(computed, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && computed === root;
}

export interface ConsistencyClaim {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
  readonly proof: readonly string[];
}

/**
 * True when the tree (size2, root2) starts with exactly the leaves of the tree (size1, root1). Anything malformed is false.
 * RFC 9162 leaves the empty tree open: here it is consistent with every tree, its root must be SHA-256(""), its proof empty.
 *
 * @see RFC 9162, section 2.1.4.2
 */
export function verifyConsistency(claim: ConsistencyClaim): boolean {
  const { size1, size2, root1, root2, proof } = claim;
  // All of the claim may come from whoever wants to be believed.
  if (!isCount(size1) || !isCount(size2) || size1 > size2) return false;
  if (!isHash(root1) || !isHash(root2) || !isProof(proof)) return false;
  if (size1 === size2) return proof.length === 0 && root1 === root2 && (size1 > 0 || root1 === EMPTY_ROOT);
  if (size1 === 0) return proof.length === 0 && root1 === EMPTY_ROOT;
  // A perfect older tree is itself a node of the newer one, so the proof does not repeat its root.
  const path = isPowerOfTwo(size1) ? [root1, ...proof] : proof;
  const [start, ...rest] = path;
  if (start === undefined || proof.length === 0) return false;
  let node = size1 - 1;
  let last = size2 - 1;
  while (isOdd(node)) {
    node = half(node);
    last = half(last);
  }
  let older = start;
  let newer = start;
  for (const sibling of rest) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      older = join(sibling, older);
      newer = join(sibling, newer);
      while (!isOdd(node) && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else {
      newer = join(newer, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && older === root1 && newer === root2;
}

/**
 * Gives the hash of a perfect subtree: at `level`, the root of the 2^level leaves from `index * 2^level` on. Level 0 is a
 * leaf. Asked only for subtrees that are complete in the tree the proof is about.
 */
export type SubtreeReader = (level: number, index: number) => string;

/**
 * The hashes that lead from a leaf to the root, leaf side first.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` unless 0 <= index < size.
 * @see RFC 6962, section 2.1.1
 */
export function inclusionProof(index: number, size: number, read: SubtreeReader): readonly string[] {
  if (!isCount(size) || !isCount(index) || index >= size) {
    throw new CountersignError('OPTIONS_INVALID', `merkle: no leaf ${index} in a tree of ${size} leaves`);
  }
  const proof: string[] = [];
  let begin = 0;
  let end = size;
  while (end - begin > 1) {
    const middle = begin + splitOf(end - begin);
    if (index < middle) {
      proof.push(subtreeHash(middle, end, read));
      end = middle;
    } else {
      proof.push(subtreeHash(begin, middle, read));
      begin = middle;
    }
  }
  return proof.toReversed();
}

/**
 * The hashes that show the tree of `size1` leaves to be the start of the tree of `size2`. Empty when they are equal or the
 * older one is empty.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` unless 0 <= size1 <= size2.
 * @see RFC 6962, section 2.1.2
 */
export function consistencyProof(size1: number, size2: number, read: SubtreeReader): readonly string[] {
  if (!isCount(size1) || !isCount(size2) || size1 > size2) {
    throw new CountersignError('OPTIONS_INVALID', `merkle: no tree of ${size1} leaves within one of ${size2}`);
  }
  if (size1 === 0 || size1 === size2) return [];
  const proof: string[] = [];
  let begin = 0;
  let end = size2;
  while (size1 !== end) {
    const middle = begin + splitOf(end - begin);
    if (size1 <= middle) {
      proof.push(subtreeHash(middle, end, read));
      end = middle;
    } else {
      proof.push(subtreeHash(begin, middle, read));
      begin = middle;
    }
  }
  // The subtree both trees share. When it is the whole older tree, the verifier has its root already.
  if (begin !== 0) proof.push(subtreeHash(begin, end, read));
  return proof.toReversed();
}

/**
 * The root of the first `size` leaves, from their perfect subtrees.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for a size that is no count.
 */
export function rootOf(size: number, read: SubtreeReader): string {
  if (!isCount(size)) throw new CountersignError('OPTIONS_INVALID', 'merkle: size must be an integer from 0 to 2^53 - 1');
  return size === 0 ? EMPTY_ROOT : subtreeHash(0, size, read);
}

/** Root of the leaves from begin to end, where begin is a multiple of the smallest power of two that holds them all. */
function subtreeHash(begin: number, end: number, read: SubtreeReader): string {
  const width = end - begin;
  if (!isPowerOfTwo(width)) {
    const middle = begin + splitOf(width);
    return join(subtreeHash(begin, middle, read), subtreeHash(middle, end, read));
  }
  const level = Math.log2(width);
  const found: unknown = read(level, begin / width);
  if (!isHash(found)) throw new CountersignError('LEDGER_CORRUPT', `merkle: no hash is stored for level ${level}, index ${begin / width}`);
  return found;
}

/**
 * The node over two hashes that were checked before: hex write reads many a malformed text without complaint, and checking
 * at every step would slow each append down for nothing.
 */
function join(left: string, right: string): string {
  nodeBuffer.write(left + right, 1, 'hex');
  return hash('sha256', nodeBuffer, 'hex');
}

/** The largest power of two below a number greater than one. */
function splitOf(width: number): number {
  let split = 1;
  while (split * 2 < width) split *= 2;
  return split;
}

function isPowerOfTwo(value: number): boolean {
  let power = 1;
  while (power < value) power *= 2;
  return power === value;
}

function countBits(value: number): number {
  let bits = 0;
  for (let rest = value; rest > 0; rest = half(rest)) bits += rest % 2;
  return bits;
}

function isOdd(value: number): boolean {
  return value % 2 === 1;
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isProof(proof: unknown): proof is readonly string[] {
  if (!Array.isArray(proof) || proof.length > MAX_PROOF_HASHES) return false;
  // Not every(): it would pass over the holes of a sparse array.
  for (const item of proof as readonly unknown[]) if (!isHash(item)) return false;
  return true;
}
