/**
 * Signing later: what a ledger's writer needs to know of a key that does not sign each commit, because it is slow or far
 * away (KMS, HSM). Signatures come from `sqlite/interval-signing.ts`.
 */
import { CountersignError } from '../errors.ts';
import type { Signer } from '../interfaces.ts';

const deferred = new WeakSet<Signer>();
const tailMarking = new WeakSet<Signer>();

/** Stands for a key whose signatures come later. Signing with it throws. */
export function deferredSigner(vkey: string): Signer {
  const signer: Signer = {
    vkey,
    sign: () => {
      throw new CountersignError('KEY_MISMATCH', 'this key signs on an interval: it cannot sign here and now');
    },
  };
  deferred.add(signer);
  tailMarking.add(signer);
  return signer;
}

/**
 * A key that signs at once, on a ledger that others sign on an interval: what they left unsigned is told in an entry
 * before it is signed over, where it would be refused otherwise.
 */
export function tailMarkingSigner(signer: Signer): Signer {
  const marking: Signer = { vkey: signer.vkey, sign: (message) => signer.sign(message) };
  tailMarking.add(marking);
  return marking;
}

export function isDeferred(signer: Signer): boolean {
  return deferred.has(signer);
}

/** Entries without a signature are told of and signed over; with any other signer they are refused. */
export function marksTail(signer: Signer): boolean {
  return tailMarking.has(signer);
}
