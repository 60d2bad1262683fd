/**
 * Whether the bodies are those the newest checkpoint covers and, when they are not, which of them was changed.
 *
 * Evidence is the root alone. The leaf hash stored beside each body, full tiles, references between entries and other rows
 * only help to name the place; if the hashes stored beside the bodies give the signed root, they are proven right, and
 * every body that does not fit its own is proven changed.
 */

import { fromHex, leafHash, toHex } from '../ledger/merkle.ts';
import { TILE_WIDTH } from '../ledger/tiles.ts';
import type { Findings } from './report.ts';
import type { LedgerSource } from './source.ts';
import { type DigestTile, fullTiles, GrowingTree } from './tree.ts';

const MAX_SUSPECTS = 100;
/** Stands in the tree for an entry that is not there: no text has this leaf hash that anybody knows. */
const NOTHING = '\0'.repeat(32);
const DIGEST_CHARS = 32;

/** A root claimed for a size, from a checkpoint or from the caller. */
export interface Claim {
  readonly size: number;
  readonly root: string;
}

export class Integrity {
  private readonly source: LedgerSource;
  private readonly findings: Findings;
  private readonly tree: GrowingTree;
  /** Only what follows was read: what lies before was proven otherwise. */
  private readonly isPartial: boolean;
  /** The tree of the hashes stored beside the bodies; kept only once they differ from the recomputed ones. */
  private stored: GrowingTree | undefined;
  private readonly roots = new Map<number, { readonly root: string; readonly stored: string }>();
  private readonly misfits: number[] = [];
  private misfitCount = 0;
  private readonly suspects = new Set<number>();
  private readonly badTiles: string[] = [];
  private tiles = 0;
  /** Entries are missing or could not be read: there is no tree of all of them. */
  private hasGaps = false;
  /** By the newest checkpoint, as they are; known once all were read. */
  private isCovered = false;
  private matchedUpTo = 0;

  /** @param start - the tree of the entries that are not read. */
  constructor(source: LedgerSource, findings: Findings, start?: GrowingTree) {
    this.source = source;
    this.findings = findings;
    this.tree = start ?? new GrowingTree();
    this.isPartial = start !== undefined;
  }

  get size(): number {
    return this.tree.size;
  }

  /** Root over all entries; undefined when some could not be read. */
  get root(): string | undefined {
    return this.hasGaps ? undefined : this.tree.root();
  }

  /**
   * @param leaf - digest of the body.
   * @param stored - hash stored beside it, hex; `fits`: the two are the same.
   */
  push(leaf: string, stored: string | undefined, fits: boolean): void {
    if (!fits) {
      this.stored ??= this.tree.clone();
      this.misfitCount++;
      if (this.misfits.length < MAX_SUSPECTS) this.misfits.push(this.tree.size);
    }
    this.stored?.push(fits ? leaf : stored === undefined ? NOTHING : fromHex(stored));
    const tiles = this.tree.push(leaf);
    if (this.source.stores.tiles) for (const tile of tiles) this.compareTile(tile);
  }

  /** An entry whose body cannot be hashed: it counts as what is stored beside it, and the tree as incomplete. */
  skip(stored: string | undefined): void {
    this.hasGaps = true;
    this.push(stored === undefined ? NOTHING : fromHex(stored), stored, true);
  }

  /** What follows will not be read. */
  incomplete(): void {
    this.hasGaps = true;
  }

  /** To be asked right when the tree has that size. */
  keepRoot(): void {
    const { size } = this.tree;
    if (this.roots.has(size)) return;
    const root = this.tree.root();
    this.roots.set(size, { root, stored: this.stored?.root() ?? root });
  }

  /** A root of entries that are not read, shown in another way. */
  known({ size, root }: Claim): void {
    this.roots.set(size, { root, stored: root });
  }

  /**
   * Whether the entries give that root at that size; `stored`: they would, if none of them had been changed. Where the newest checkpoint
   * covers them as they are, none was, and what is stored beside them is nobody's word.
   */
  compare(claim: Claim): 'same' | 'stored' | 'other' | 'unknown' {
    const at = this.roots.get(claim.size);
    if (at === undefined) return 'unknown';
    if (at.root === claim.root) return 'same';
    return at.stored === claim.root && !this.isCovered ? 'stored' : this.hasGaps ? 'unknown' : 'other';
  }

  /** A kept checkpoint that matched: what is wrong lies after it. */
  matched(size: number): void {
    this.matchedUpTo = Math.max(this.matchedUpTo, size);
  }

  /** A later entry names this one with another hash. */
  readonly suspect = (index: number): void => {
    if (this.suspects.size < MAX_SUSPECTS) this.suspects.add(index);
  };

  /** Weighs everything once all entries were read. @returns true when the entries are what the newest checkpoint covers. */
  finish(newest: Claim | undefined, broken: readonly Claim[]): boolean {
    const verdict = newest === undefined ? 'unknown' : this.compare(newest);
    if (verdict === 'same' && !this.hasGaps) {
      this.isCovered = true;
      this.reportStaleIndexes();
      return true;
    }
    if (verdict === 'stored') {
      for (const index of this.misfits) this.changed(index, 'does not give the leaf hash that the newest checkpoint covers');
      if (this.misfitCount > this.misfits.length)
        this.findings.change(0, 'ENTRY_CHANGED', `${this.misfitCount - this.misfits.length} more entries were changed`);
      return false;
    }
    this.nameSuspects();
    if (verdict === 'other' && newest !== undefined) this.findings.change(0, 'ROOT_MISMATCH', this.narrow(newest, broken));
    return false;
  }

  /** Without a root to prove it, several traces point at entries: each body that any of them contradicts is named. */
  private nameSuspects(): void {
    for (const index of this.misfits) this.suspects.add(index);
    for (const { of, leaf } of this.source.rememberedLeaves()) {
      if (this.suspects.size >= MAX_SUSPECTS) break;
      if (of < 0 || of >= this.tree.size || this.suspects.has(of)) continue;
      const body = this.source.body(of);
      if (body !== undefined && leafHash(body) !== leaf) this.suspects.add(of);
    }
    for (const index of [...this.suspects].toSorted((a, b) => a - b))
      this.changed(index, 'does not give the leaf hash that is remembered of it');
  }

  private narrow(newest: Claim, broken: readonly Claim[]): string {
    const first = this.matchedUpTo + 1;
    const last = Math.min(newest.size, ...broken.map(({ size }) => size));
    const where = first === last ? `entry ${first}` : `one or more of entries ${first} to ${last}`;
    return `the entries do not give the root of the newest checkpoint (size ${newest.size}): ${where} changed, or the checkpoint did`;
  }

  /** The root is right, so the entries are; what was written beside them is not. */
  private reportStaleIndexes(): void {
    for (const index of this.misfits)
      this.findings.problem(index + 1, 'LEAF_MISMATCH', 'the entry is intact, but the leaf hash stored beside it is another');
    if (!this.source.stores.tiles) return;
    for (const message of this.badTiles) this.findings.problem(0, 'TILE_MISMATCH', message);
    if (this.isPartial) return;
    const extra = this.source.tileCount() - this.tiles;
    if (extra !== 0 && this.badTiles.length === 0) {
      const wanted = fullTiles(this.tree.size);
      this.findings.problem(0, 'TILE_MISMATCH', `${wanted} full tiles belong to ${this.tree.size} entries, ${wanted + extra} are stored`);
    }
  }

  private compareTile(tile: DigestTile): void {
    const stored = this.source.tile(tile.level, tile.index);
    if (stored !== undefined) this.tiles++;
    if (stored?.hashes === tile.hashes && stored.root === toHex(tile.root)) return;
    const name = `tile ${tile.level}/${tile.index}`;
    if (this.badTiles.length < MAX_SUSPECTS)
      this.badTiles.push(`${name} is ${stored === undefined ? 'missing' : 'not the one the entries give'}`);
    if (tile.level !== 0 || stored?.hashes.length !== tile.hashes.length) return;
    for (let i = 0; i < TILE_WIDTH; i++) {
      const hash = tile.hashes.slice(i * DIGEST_CHARS, (i + 1) * DIGEST_CHARS);
      if (!stored.hashes.startsWith(hash, i * DIGEST_CHARS)) this.suspect(tile.index * TILE_WIDTH + i);
    }
  }

  private changed(index: number, why: string): void {
    this.findings.change(index + 1, 'ENTRY_CHANGED', `the body was changed: it ${why}`);
  }
}
