/** How far signatures reach when the newest checkpoint has none, or one by a key nobody gave. */
import { judgeSignatures, keyRules } from '../ledger/key-rules.ts';
import type { ReadCheckpoint } from './heads.ts';

/** Kept checkpoints by keys that were not given, of which the chain of rotations is read. */
const MAX_OTHERS = 1000;

export interface Rotation {
  /** Position of the entry that announces the key. */
  readonly index: number;
  readonly vkey: string;
}

export class SignedHeads {
  /** Size of the newest kept checkpoint of this tree that a key given signed; 0 = none. */
  trusted = 0;
  /** The same for a signature by anybody. */
  anybody = 0;
  private readonly others: { readonly size: number; readonly note: string }[] = [];

  /** Takes a kept checkpoint that the entries confirm, in order of size. */
  take(note: string, checkpoint: ReadCheckpoint): void {
    const { size, signature } = checkpoint;
    if (signature === 'none') return;
    this.anybody = size;
    if (signature === 'trusted') this.trusted = size;
    else if (signature === 'unknown' && this.others.length < MAX_OTHERS) this.others.push({ size, note });
  }

  /**
   * The rotation under which the newest checkpoint is signed, if an unbroken chain leads to it from a checkpoint signed by
   * a key that was given: each key announced in entries that the one before it signed. It explains the signature; it
   * proves nothing, since keys found in a ledger are not trusted.
   */
  rotationTo(newest: string, size: number, rotations: readonly Rotation[]): Rotation | undefined {
    let covered = this.trusted;
    for (let steps = 0; steps <= rotations.length; steps++) {
      const announced = rotations.findLast(({ index }) => index < covered);
      if (announced === undefined) return undefined;
      if (isSignedBy(announced.vkey, newest, size)) return announced;
      const next = this.others.findLast((each) => each.size > covered && isSignedBy(announced.vkey, each.note, each.size));
      if (next === undefined) return undefined;
      covered = next.size;
    }
    return undefined;
  }
}

function isSignedBy(vkey: string, note: string, size: number): boolean {
  return judgeSignatures(note, size, keyRules([vkey])).signature === 'trusted';
}
