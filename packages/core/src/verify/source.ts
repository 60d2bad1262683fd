/** What the verifier reads, whatever container it lies in. All of it was written by somebody who may want to deceive. */

import type { EntryRef } from '../call.ts';
import type { VerifyCode } from './codes.ts';

/** One entry with what lies beside it. `undefined` = missing, of another type, or larger than any writer of ours makes it. */
export interface SourceRow {
  /** 0-based position. */
  readonly seq: number;
  readonly body: string | undefined;
  /** Leaf hash as stored beside the body, if it is one: a hint which entry was changed, never evidence. */
  readonly leaf: string | undefined;
  /** Of a body that was not read, because it is too large. */
  readonly bytes: number;
  readonly opening: { readonly key: string | undefined; readonly sections: string | undefined } | undefined;
  /** Why there is no body, in words. */
  readonly unreadable?: string;
}

export interface SourceFault {
  readonly code: VerifyCode;
  readonly message: string;
  /** Number of the entry it concerns, from 1; absent = the container. */
  readonly entry?: number;
  /**
   * `problem` when absent. `change`: bytes are missing or others. `unproven`: nothing contradicts, but the ledger cannot
   * be called valid. `warning`: only worth telling.
   */
  readonly weight?: 'change' | 'problem' | 'unproven' | 'warning';
}

export interface StoredCheckpoint {
  readonly size: number;
  /** Undefined when it is no text or too long. */
  readonly note: string | undefined;
}

/** A full tile as stored, of whatever length: 256 digests of 32 bytes as a latin1 string, and the hash over them in hex. */
export interface StoredTile {
  readonly hashes: string;
  readonly root: string;
}

/** Anybody who can edit the file can edit these: whoever follows one looks at what stands there. */
export interface EntryHints {
  /** Positions of the newest decision of a call and of its outcome. */
  call(id: string): { readonly decision: number; readonly outcome: number | undefined } | undefined;
  leaf(hash: string): number | undefined;
}

/** One snapshot of a ledger. Reading changes no byte of it. */
export interface LedgerSource {
  readonly format: string;
  /** The origin the container names; checkpoints decide. */
  readonly origin: string | undefined;
  /** What is wrong with the container itself; all of it once the chunks were read. */
  readonly faults: readonly SourceFault[];
  /** What lies beside the bodies and must agree with them. */
  readonly stores: { readonly leaves: boolean; readonly tiles: boolean };
  /** Its writer appends entries before a checkpoint covers them: a tail that none covers is unproven, not wrong. */
  readonly mayLag: boolean;
  /** Where other threads can open the same ledger; absent when only this one can read it. */
  readonly file?: string;
  /** What the container calls this ledger: two readings of one file that differ in it are of different files. */
  readonly ledgerId?: string;
  /** One more than the highest position. */
  readonly size: number;
  /** In order of position, from one on and below another, with a bound on the text held at once. */
  chunks(from?: number, to?: number): Iterable<readonly SourceRow[]>;
  /** One body again, for comparing it with a hint. */
  body(seq: number): string | undefined;
  /** The exact bytes of a body, for texts whose decoding may have hidden something. */
  bytes(seq: number): Uint8Array | undefined;
  /** Where entries are said to stand, for who looks for one: hints that rows outside the log give, if there are any. */
  readonly hints?: EntryHints;
  tile(level: number, index: number): StoredTile | undefined;
  tileCount(): number;
  newestCheckpoint(): StoredCheckpoint | undefined;
  /** The smallest checkpoint above a size. */
  checkpointAfter(size: number): StoredCheckpoint | undefined;
  /** Leaf hashes that rows outside the log remember: hints, asked for only when the root does not match. */
  rememberedLeaves(): Iterable<EntryRef>;
  /** Positions that have an opening and no entry; at most `limit`. `isPartial`: what was not read is not walked over for it. */
  strayOpenings(limit: number, isPartial: boolean): readonly number[];
  close(): void;
}
