/**
 * The start of a ledger that a checkpoint from elsewhere proves, so that only what follows must be read.
 *
 * The subtrees of the first `size` entries come from stored tiles, which nobody vouches for: they are right when they give
 * the root of the checkpoint, for nobody finds others that do. The tree then grows by the new entries, and that it ends
 * with the newest root shows that the one is the start of the other (RFC 9162 2.1.4). Single old entries are read when a
 * new one names them, and proven to stand in that start (RFC 9162 2.1.3).
 */
import { CountersignError } from '../errors.ts';
import {
  consistencyProof,
  fromHex,
  inclusionProof,
  type SubtreeReader,
  toHex,
  verifyConsistency,
  verifyInclusion,
} from '../ledger/merkle.ts';
import { TILE_WIDTH } from '../ledger/tiles.ts';
import { storedSubtrees } from '../receipt/subtrees.ts';
import type { Claim } from './integrity.ts';
import { judgeRows } from './judge.ts';
import type { Judged } from './judged.ts';
import type { LedgerSource } from './source.ts';
import { GrowingTree } from './tree.ts';

const TILE_HEIGHT = 8;
/** Look-ups for which read tiles are kept: new entries may name any number of old ones. */
const LOOKUPS_KEPT = 256;

export class Start {
  readonly size: number;
  readonly root: string;
  private readonly source: LedgerSource;
  private subtrees: SubtreeReader;
  private lookups = 0;

  private constructor(source: LedgerSource, { size, root }: Claim, subtrees: SubtreeReader) {
    this.source = source;
    this.size = size;
    this.root = root;
    this.subtrees = subtrees;
  }

  /** Undefined when the stored tiles do not give the root claimed: another ledger, or other tiles. */
  static of(source: LedgerSource, claim: Claim): { readonly start: Start; readonly tree: GrowingTree } | undefined {
    // A container without tiles would have to be read for them.
    if (!source.stores.tiles || claim.size > source.size || claim.size === 0) return undefined;
    try {
      const subtrees = storedSubtrees(source);
      const tree = grownTo(claim.size, subtrees);
      return tree.root() === claim.root ? { start: new Start(source, claim, subtrees), tree } : undefined;
    } catch (error) {
      if (CountersignError.is(error)) return undefined;
      throw error;
    }
  }

  /** An entry before the start's end, proven to stand there. Undefined when what stands there is not it. */
  lookUp(index: number): Judged | undefined {
    if (++this.lookups % LOOKUPS_KEPT === 0) this.subtrees = storedSubtrees(this.source);
    for (const rows of this.source.chunks(index, index + 1)) {
      const [row] = judgeRows(rows, this.source);
      return row?.leaf !== undefined && this.proves(index, toHex(row.leaf)) ? row : undefined;
    }
    return undefined;
  }

  /** Whether a smaller tree is the start of this one. False also when the stored tiles cannot show it. */
  startsWith({ size, root }: Claim): boolean {
    try {
      const proof = consistencyProof(size, this.size, this.subtrees);
      return verifyConsistency({ size1: size, size2: this.size, root1: root, root2: this.root, proof });
    } catch (error) {
      if (CountersignError.is(error)) return false;
      throw error;
    }
  }

  private proves(index: number, leaf: string): boolean {
    try {
      const proof = inclusionProof(index, this.size, this.subtrees);
      return verifyInclusion({ index, size: this.size, leaf, root: this.root, proof });
    } catch (error) {
      if (CountersignError.is(error)) return false;
      throw error;
    }
  }
}

/** The tree of that many entries, from what is stored of it. */
function grownTo(size: number, read: SubtreeReader): GrowingTree {
  const peaks: string[] = [];
  let covered = 0;
  for (let level = Math.floor(Math.log2(size)); level >= 0; level--) {
    const width = 2 ** level;
    if (size - covered < width) continue;
    peaks.push(fromHex(read(level, covered / width)));
    covered += width;
  }
  const open: string[][] = [];
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
    const first = Math.floor(count / TILE_WIDTH) * TILE_WIDTH;
    open.push(Array.from({ length: count - first }, (_, i) => fromHex(read(level * TILE_HEIGHT, first + i))));
  }
  return new GrowingTree(size, peaks, open);
}
