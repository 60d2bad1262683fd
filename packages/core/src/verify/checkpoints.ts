/** The checkpoints in a ledger: the newest covers all entries, kept ones agree with them, and somebody signed. */
import { CountersignError } from '../errors.ts';
import { type Cosignature, isLogKey, type KeyRule } from '../ledger/key-rules.ts';
import type { TsaCertificate } from '../timestamp/certificate.ts';
import { badSignature, notByThem, type ReadCheckpoint, readCheckpoint } from './heads.ts';
import type { Claim, Integrity } from './integrity.ts';
import type { Findings, VerifyReport } from './report.ts';
import { printable } from './shapes.ts';
import { type Rotation, SignedHeads } from './signed-heads.ts';
import type { Start } from './since.ts';
import type { LedgerSource, StoredCheckpoint } from './source.ts';
import { Timestamps } from './timestamps.ts';

/** Kept checkpoints that do not match and are listed; the newest alone decides. */
const MAX_BROKEN = 100;
/** Rotations in entries that are not read; the last ones. */
const MAX_ROTATIONS = 1000;

/** What the caller brings from elsewhere. */
interface Trust {
  readonly keys: readonly KeyRule[];
  readonly tsa: readonly TsaCertificate[];
}

export class Checkpoints {
  /** Undefined when there is none, or it cannot be read. */
  readonly newest: ReadCheckpoint | undefined;
  /** Kept checkpoints that the entries contradict. */
  readonly broken: Claim[] = [];
  /** Those that hashes stored beside the entries confirm, and the entries do not. */
  private readonly outdated: Claim[] = [];
  /** Of kept checkpoints that the entries confirm: the newest of each witness. */
  readonly cosigned: Cosignatures = new Cosignatures();
  /** The same, of timestamp authorities. */
  readonly stamped: Timestamps;
  /** How far keys that were given reach, when that is not the end. */
  signedTo: number | undefined;
  /** Entries at the end that no signature covers. */
  unsignedTail = 0;
  private readonly signedHeads = new SignedHeads();
  /** Keys announced in entries that are not read. */
  private earlierRotations: readonly Rotation[] = [];
  private readonly newestNote: string;
  private readonly source: LedgerSource;
  private readonly integrity: Integrity;
  private readonly keys: readonly KeyRule[];
  private readonly tsa: readonly TsaCertificate[];
  private readonly findings: Findings;
  private next: StoredCheckpoint | undefined;
  /** Entries at the end that no checkpoint covers, where that is not wrong. */
  uncovered = 0;

  /** @param start - entries that are not read, when only what follows them is. */
  constructor(source: LedgerSource, integrity: Integrity, { keys, tsa }: Trust, findings: Findings, start?: Start) {
    this.source = source;
    this.integrity = integrity;
    this.keys = keys;
    this.tsa = tsa;
    this.findings = findings;
    this.stamped = new Timestamps(findings);
    const stored = source.newestCheckpoint();
    this.newestNote = stored?.note ?? '';
    this.newest = stored === undefined ? undefined : this.read(stored, 'newest checkpoint');
    this.next = source.checkpointAfter(-1);
    // A newest checkpoint that a key given signed needs no other.
    const signature = this.newest?.signature;
    if (start !== undefined && (signature === 'none' || signature === 'unknown')) this.takeEarlier(start, this.newest?.size ?? 0);
  }

  /** How far signatures reached in entries that are not read: only kept checkpoints that are proven to be of their start count. */
  private takeEarlier(start: Start, end: number): void {
    const rotations: Rotation[] = [];
    let kept = this.source.checkpointAfter(-1);
    for (; kept !== undefined && kept.size <= start.size && kept.size < end; kept = this.source.checkpointAfter(kept.size)) {
      const checkpoint = this.signedIn(start, kept);
      if (checkpoint === undefined || kept.note === undefined) continue;
      this.signedHeads.take(kept.note, checkpoint);
      // The checkpoint of a rotation ends with the entry that announces the key.
      const index = kept.size - 1;
      const { content } = start.lookUp(index) ?? {};
      if (content?.is !== 'told' || content.entry.kind !== 'key' || content.entry.event !== 'rotated') continue;
      rotations.push({ index, vkey: content.entry.vkey });
      if (rotations.length > MAX_ROTATIONS) rotations.shift();
    }
    this.earlierRotations = rotations;
  }

  private signedIn(start: Start, { size, note }: StoredCheckpoint): ReadCheckpoint | undefined {
    if (note === undefined) return undefined;
    try {
      const checkpoint = readCheckpoint(note, this.keys);
      const isSigned = checkpoint.signature === 'trusted' || checkpoint.signature === 'unknown';
      return isSigned && checkpoint.size === size && start.startsWith(checkpoint) ? checkpoint : undefined;
    } catch (error) {
      if (CountersignError.is(error)) return undefined;
      throw error;
    }
  }

  /** The tree has grown to a size: compares the checkpoint kept at it, if there is one. */
  reach(size: number): void {
    while (this.next !== undefined && this.next.size <= size) {
      if (this.next.size === size && size !== this.newest?.size) this.compareKept(this.next);
      this.next = this.source.checkpointAfter(this.next.size);
    }
  }

  private compareKept(kept: StoredCheckpoint): void {
    const checkpoint = this.read(kept, 'kept checkpoint');
    if (checkpoint === undefined) return;
    this.integrity.keepRoot();
    const verdict = this.integrity.compare(checkpoint);
    if (verdict === 'same') this.cosigned.add(checkpoint.cosignatures);
    if (verdict === 'same') this.stamped.add(checkpoint.stamped);
    if (verdict === 'same' && kept.note !== undefined) this.signedHeads.take(kept.note, checkpoint);
    if (verdict === 'same' || verdict === 'stored') this.integrity.matched(checkpoint.size);
    if (verdict === 'stored' && this.outdated.length < MAX_BROKEN) this.outdated.push(checkpoint);
    else if (verdict !== 'same' && this.broken.length < MAX_BROKEN) this.broken.push(checkpoint);
    const what = `the checkpoint kept at size ${kept.size}`;
    if (checkpoint.origin !== this.newest?.origin) this.findings.problem(0, 'ORIGIN_MISMATCH', `${what} is of another log`);
    this.stamped.tell(what, checkpoint.stamped);
    const bad = badSignature(checkpoint.signature);
    if (bad !== undefined) {
      this.findings.problem(0, bad.code, `${what} ${bad.message}`);
    } else if (this.keys.some(isLogKey) && checkpoint.signature !== 'trusted') {
      this.findings.warn(0, 'SIGNATURE_UNKNOWN', `${what} ${notByThem(checkpoint)}`);
    }
  }

  private read(stored: StoredCheckpoint, what: string): ReadCheckpoint | undefined {
    const problem = (message: string): undefined => {
      this.findings.change(0, 'CHECKPOINT_INVALID', `the ${what} (size ${stored.size}) ${message}`);
    };
    if (stored.note === undefined) return problem('is not text, or too long');
    try {
      const checkpoint = readCheckpoint(stored.note, this.keys, this.tsa);
      return checkpoint.size === stored.size ? checkpoint : problem(`says it has size ${checkpoint.size}`);
    } catch (error) {
      if (CountersignError.is(error)) return problem(`is malformed: ${error.message}`);
      throw error;
    }
  }

  /** Once all entries were read: does the newest one cover them all, and no more? */
  checkCoverage(): void {
    const { newest, integrity, findings, source } = this;
    const { size } = integrity;
    if (newest === undefined) {
      if (size === 0 || source.newestCheckpoint() !== undefined) return;
      const uncovered = `no checkpoint covers the ${size} entries`;
      if (source.mayLag) {
        this.uncovered = size;
        findings.warn(0, 'CHECKPOINT_MISSING', `${uncovered}: whoever could write the file could have made all of them`);
      } else findings.change(0, 'CHECKPOINT_MISSING', uncovered);
      return;
    }
    if (source.origin !== undefined && source.origin !== newest.origin)
      findings.problem(0, 'ORIGIN_MISMATCH', 'the ledger and its newest checkpoint name different origins');
    const covers = `the newest checkpoint covers ${newest.size} entries`;
    if (newest.size > size) findings.change(0, 'LEDGER_TRUNCATED', `${covers}: ${newest.size - size} are missing at the end`);
    if (newest.size < size) this.tellUncovered(newest.size, size, covers);
    // When the newest one does not match either, the changed entry is the news.
    if (integrity.compare(newest) !== 'same') return;
    for (const claim of [...this.broken, ...this.outdated])
      findings.change(0, 'CHECKPOINT_FORKED', `the entries do not give the root of the checkpoint kept at size ${claim.size}`);
  }

  /** A crash of the writer leaves such a tail, and so does whoever adds lines: it is not wrong, and never proven. */
  private tellUncovered(from: number, to: number, covers: string): void {
    const what = `${covers}: ${to - from} were added after it`;
    if (!this.source.mayLag) return this.findings.change(from + 1, 'ENTRY_NOT_COVERED', what);
    this.uncovered = to - from;
    this.findings.warn(from + 1, 'ENTRY_NOT_COVERED', `${what}, by its writer or by somebody else; nothing shows which`);
  }

  /** @param rotations - keys that entries announce. */
  authorship(isIntact: boolean, rotations: readonly Rotation[]): VerifyReport['authorship'] {
    const { newest, findings } = this;
    const bad = newest === undefined ? undefined : badSignature(newest.signature);
    if (bad !== undefined) findings.problem(0, bad.code, `the newest checkpoint ${bad.message}`);
    if (newest !== undefined) this.takeNewest(newest, isIntact);
    const isTailOpen = isIntact && newest?.signature === 'none' && this.signedHeads.anybody > 0;
    if (isTailOpen) this.tellUnsigned(newest.size);
    if (!this.keys.some(isLogKey)) return newest === undefined || (newest.signature === 'none' && !isTailOpen) ? 'unsigned' : 'unchecked';
    if (newest === undefined) return this.integrity.size === 0 ? 'unsigned' : this.uncovered > 0 ? 'unchecked' : 'failed';
    switch (newest.signature) {
      case 'trusted':
        // A good signature over other entries says nothing about who wrote these.
        return !isIntact ? 'failed' : this.uncovered > 0 ? 'unchecked' : 'proven';
      case 'none':
        if (isTailOpen && this.signedHeads.trusted > 0) {
          this.signedTo = this.signedHeads.trusted;
          return 'unchecked';
        }
        findings.problem(0, 'UNSIGNED', 'the newest checkpoint is not signed at all');
        return 'failed';
      case 'unknown':
        if (isIntact && this.tellRotated(newest.size, rotations)) return 'unchecked';
        findings.problem(0, 'SIGNATURE_UNKNOWN', `the newest checkpoint ${notByThem(newest)}`);
        return 'failed';
      case 'wrong':
      case 'revoked':
      case 'out-of-range':
        return 'failed';
    }
  }

  private takeNewest({ cosignatures, stamped }: ReadCheckpoint, isIntact: boolean): void {
    this.stamped.tell('the newest checkpoint', stamped);
    if (!isIntact) return;
    this.cosigned.add(cosignatures);
    this.stamped.add(stamped);
  }

  private tellUnsigned(size: number): void {
    this.unsignedTail = size - this.signedHeads.anybody;
    const what = `the last ${this.unsignedTail} entries are not signed yet: whoever could write to the file may have added them`;
    this.findings.warn(this.signedHeads.anybody + 1, 'TAIL_UNSIGNED', what);
  }

  private tellRotated(size: number, rotations: readonly Rotation[]): boolean {
    const rotation = this.signedHeads.rotationTo(this.newestNote, size, [...this.earlierRotations, ...rotations]);
    if (rotation === undefined) return false;
    this.signedTo = this.signedHeads.trusted;
    this.findings.warn(
      rotation.index + 1,
      'KEY_ROTATED',
      `the key was rotated: entries after ${this.signedTo} are signed by ${printable(rotation.vkey, 512)}. The ledger announces it, which proves nothing: get it from who runs the ledger, and give it too`,
    );
    return true;
  }
}

/** The newest cosignature of each witness. */
export class Cosignatures {
  private readonly newest = new Map<string, Cosignature>();

  add(cosignatures: readonly Cosignature[]): void {
    for (const each of cosignatures) {
      const known = this.newest.get(each.vkey);
      if (known === undefined || known.size <= each.size) this.newest.set(each.vkey, each);
    }
  }

  list(): readonly Cosignature[] {
    return [...this.newest.values()];
  }
}
