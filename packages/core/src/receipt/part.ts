/** One entry of a receipt against its proof: what it says, and which head it is proven against. */
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { parseCanonical } from '../ledger/canonical.ts';
import { type Entry, MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { leafHash, verifyInclusion } from '../ledger/merkle.ts';
import { parseTlogProof, type TlogProof } from '../ledger/tlog-proof.ts';
import { policyHash } from '../policy/hash.ts';
import type { ReadCheckpoint } from '../verify/heads.ts';
import { readShape } from '../verify/shapes.ts';
import type { ReceiptCode } from './codes.ts';
import type { ReceiptPart } from './format.ts';

export type PartName = 'receipt' | 'entry' | 'outcome';

/** Told of everything that is wrong, or only worth knowing. */
export interface Tell {
  problem(part: PartName, code: ReceiptCode, message: string): void;
  warn(part: PartName, code: ReceiptCode, message: string): void;
}

export type Body = { readonly [key: string]: Json };

export interface ReadPart {
  readonly index: number;
  readonly leaf: string;
  readonly body: Body;
  /** Absent when the kind is none that this version checks. */
  readonly entry: Entry | undefined;
}

/** The proof of a part; undefined, after saying so, when it is none. */
export function readProof(name: PartName, text: string, tell: Tell): TlogProof | undefined {
  try {
    const proof = parseTlogProof(text);
    if (proof.extra === undefined) return proof;
    // It would be under no hash and no signature.
    tell.problem(name, 'PROOF_MALFORMED', 'the proof carries extra data, which nothing proves');
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    tell.problem(name, 'PROOF_MALFORMED', error.message);
  }
  return undefined;
}

/** Undefined, after saying so, when the entry is not the checkpoint's or cannot be read. */
export function readPart(name: PartName, part: ReceiptPart, proof: TlogProof, head: ReadCheckpoint, tell: Tell): ReadPart | undefined {
  const leaf = leafHash(part.entry);
  const { index, hashes } = proof;
  if (!verifyInclusion({ index, size: head.size, leaf, root: head.root, proof: hashes })) {
    tell.problem(name, 'INCLUSION_FAILED', `the proof does not lead from this entry to the root of ${head.size} entries`);
    return undefined;
  }
  const body = readBody(name, part.entry, tell);
  if (body === undefined) return undefined;
  const shape = readShape(body);
  switch (shape.kind) {
    case 'malformed':
      tell.problem(name, 'ENTRY_SHAPE', `the entry does not have the shape of its kind: ${shape.why}`);
      return undefined;
    case 'version':
      tell.problem(name, 'ENTRY_VERSION', `the entry has version ${shape.version}, which this reader does not know`);
      return undefined;
    case 'unchecked':
      tell.warn(name, 'UNKNOWN_KIND', `entries of kind ${shape.name} are not checked by this version`);
      return { index, leaf, body, entry: undefined };
    case 'forget':
    case 'known': {
      if (shape.unknownFields !== undefined) tell.warn(name, 'UNKNOWN_FIELD', `not checked by this version: ${shape.unknownFields}`);
      const { entry } = shape;
      if (entry.kind === 'policy' && policyHash(entry.document) !== entry.policy.hash)
        tell.problem(name, 'POLICY_HASH_MISMATCH', 'the policy document does not have the hash it is recorded under');
      return { index, leaf, body, entry };
    }
  }
}

function readBody(name: PartName, text: string, tell: Tell): Body | undefined {
  if (Buffer.byteLength(text) > MAX_ENTRY_BYTES) {
    tell.problem(name, 'ENTRY_NOT_CANONICAL', `the entry has more than ${MAX_ENTRY_BYTES} bytes`);
    return undefined;
  }
  try {
    const value = parseCanonical(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body;
    tell.problem(name, 'ENTRY_SHAPE', 'the entry is not an object');
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    tell.problem(name, 'ENTRY_NOT_CANONICAL', `the entry is not canonical: ${error.message}`);
  }
  return undefined;
}
