/**
 * Hashes of subtrees for proofs about a stored log: from its tiles, which costs a few rows, or from its entries.
 *
 * Tiles are hints that anybody who can edit the file can edit: whoever makes a proof of them must verify it.
 */
import { CountersignError } from '../errors.ts';
import { CompactRange, isHash, leafHash, nodeHash, type SubtreeReader, toHex } from '../ledger/merkle.ts';
import { TILE_WIDTH } from '../ledger/tiles.ts';
import type { LedgerSource } from '../verify/source.ts';

const TILE_LEVELS = 8;
const HASH_CHARS = 64;

/** Reads subtrees from stored tiles; the open end is hashed from at most 255 entries a level. */
export function storedSubtrees(source: LedgerSource): SubtreeReader {
  const tiles = new Map<string, string | undefined>();
  const leaves = new Map<number, string>();
  const tile = (level: number, index: number): string | undefined => {
    const name = `${level}/${index}`;
    if (!tiles.has(name)) tiles.set(name, toHex(source.tile(level, index)?.hashes ?? ''));
    return tiles.get(name);
  };
  const leaf = (index: number): string => {
    const known = leaves.get(index) ?? leafHash(source.body(index) ?? missing(index));
    leaves.set(index, known);
    return known;
  };
  /** One hash of tile level `level`: of 256^level leaves. */
  const hashAt = (level: number, index: number): string => {
    const tileIndex = Math.floor(index / TILE_WIDTH);
    const hashes = tile(level, tileIndex);
    const offset = (index - tileIndex * TILE_WIDTH) * HASH_CHARS;
    const found = hashes?.slice(offset, offset + HASH_CHARS);
    if (isHash(found)) return found;
    if (level === 0) return leaf(index);
    const root = source.tile(level - 1, index)?.root;
    if (!isHash(root)) throw new CountersignError('LEDGER_CORRUPT', `tile ${level - 1}/${index} is missing: run \`countersign verify\``);
    return root;
  };
  return (level, index) => {
    const tileLevel = Math.floor(level / TILE_LEVELS);
    const width = 2 ** (level - tileLevel * TILE_LEVELS);
    return fold(Array.from({ length: width }, (_, i) => hashAt(tileLevel, index * width + i)));
  };
}

/**
 * The subtrees that `ask` asks for, by hashing every entry up to a size, in one pass and flat memory.
 *
 * @param ask - calls the reader it is given for all it needs; what that answers is not to be used.
 */
export function hashedSubtrees(source: LedgerSource, size: number, ask: (read: SubtreeReader) => void): SubtreeReader {
  const wanted = new Map<string, string | undefined>();
  const name = (level: number, index: number): string => `${level}/${index}`;
  ask((level, index) => {
    wanted.set(name(level, index), undefined);
    return ANY;
  });
  const take = (level: number, hash: string, end: number): void => {
    const key = name(level, end / 2 ** level - 1);
    if (wanted.has(key)) wanted.set(key, hash);
  };
  const range = new CompactRange();
  for (const chunk of source.chunks()) {
    for (const { seq, body } of chunk) {
      if (seq >= size) break;
      if (seq !== range.size || body === undefined) missing(range.size);
      const leaf = leafHash(body);
      take(0, leaf, seq + 1);
      range.push(leaf, (level, root) => take(level, root, seq + 1));
    }
    if (range.size >= size) break;
  }
  if (range.size < size) missing(range.size);
  return (level, index) => wanted.get(name(level, index)) ?? missing(index * 2 ** level);
}

const ANY = '0'.repeat(HASH_CHARS);

/** Root over a power-of-two number of hashes. */
function fold(hashes: readonly string[]): string {
  let level = hashes;
  while (level.length > 1) {
    const below = level;
    level = Array.from({ length: below.length / 2 }, (_, i) => nodeHash(below[2 * i] as string, below[2 * i + 1] as string));
  }
  return level[0] as string;
}

function missing(index: number): never {
  throw new CountersignError('LEDGER_CORRUPT', `entry ${index + 1} is missing or cannot be read: run \`countersign verify\``);
}
