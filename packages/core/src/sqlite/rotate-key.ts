/**
 * Key rotation: from one commit on, another key signs the ledger.
 *
 * The commit appends a `key` entry that announces the new key, and its checkpoint is signed by both. It is one
 * transaction: after a crash the ledger is either the old key's or the new one's. Guards that still run with the old key
 * find the announcement when they next look and refuse every call.
 */
import { resolve } from 'node:path';
import { CountersignError } from '../errors.ts';
import type { Clock, Signer } from '../interfaces.ts';
import { newId } from '../ledger/body.ts';
import { tailMarkingSigner } from '../ledger/deferred-signer.ts';
import { parseVerifierKey, TYPE_ED25519 } from '../ledger/verifier-key.ts';
import type { Checkpoint } from '../store.ts';
import { KnownHeads } from './known-heads.ts';
import { LedgerWriter } from './writer.ts';

export interface RotateKeyOptions {
  /** The ledger file. */
  readonly path: string;
  readonly origin: string;
  /** The key that signs now. */
  readonly signer: Signer;
  /** The key that signs from here on, under the same name. */
  readonly next: Signer;
  /** The ledger is signed on an interval: what is not signed yet is told of in an entry, and signed by both. */
  readonly isInterval?: boolean;
  /** Where last known heads are kept; see `KnownHeads`. */
  readonly stateDirectory?: string;
  readonly clock?: Clock;
}

/**
 * Rotates the key of a ledger, durable when it returns.
 *
 * @returns the checkpoint that both keys signed: keep it elsewhere, it is what ties the two together.
 * @throws {CountersignError} `KEY_INVALID` for a new key of another name or type, or the same key; `KEY_MISMATCH` when
 *   `signer` is not the ledger's key; `LEDGER_*`.
 */
export function rotateKey(options: RotateKeyOptions): Checkpoint {
  const { origin, signer, next, stateDirectory, clock = { nowMs: Date.now }, isInterval = false } = options;
  const [from, to] = [parseVerifierKey(signer.vkey), parseVerifierKey(next.vkey)];
  if (to.type !== TYPE_ED25519) throw invalid('the new key is not of type Ed25519 (1)');
  if (to.name !== from.name) throw invalid(`the new key must have the name of the old one, ${from.name}`);
  if (Buffer.from(to.publicKey).equals(from.publicKey)) throw invalid('the new key is the old key');
  const path = resolve(options.path);
  const heads = new KnownHeads(path, stateDirectory);
  const writer = new LedgerWriter({
    path,
    origin,
    signer: isInterval ? tailMarkingSigner(signer) : signer,
    clock,
    writer: newId(),
    create: false,
    heads,
  });
  try {
    return writer.rotate(next);
  } finally {
    writer.close();
  }
}

function invalid(what: string): CountersignError {
  return new CountersignError('KEY_INVALID', `rotation: ${what}`);
}
