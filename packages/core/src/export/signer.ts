/** A key that signs what is exported. */
import type { Signer } from '../interfaces.ts';
import { parseVerifierKey } from '../ledger/verifier-key.ts';

export interface ExportSigner {
  readonly name: string;
  /** C2SP verifier line: how a signature names the key. */
  readonly vkey: string;
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** @throws {CountersignError} `KEY_INVALID` */
export function exportSigner(signer: Signer): ExportSigner {
  const { name, publicKey } = parseVerifierKey(signer.vkey);
  return { name, vkey: signer.vkey, publicKey, sign: (message) => signer.sign(message) };
}
