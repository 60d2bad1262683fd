/**
 * Proof that a log only grew: that a later checkpoint begins with exactly the entries of an earlier one.
 *
 *     {"countersign":"consistency","from":"example.com/log\n15\n...","proof":["9f86d0...",...],"to":"example.com/log\n40\n...","v":1}
 *
 * `from` and `to` are checkpoints word for word, `proof` the hashes of RFC 6962 section 2.1.2 in hex. Canonical JSON.
 */
import { z } from 'zod';
import { openContainer } from '../container/open-source.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize, parseCanonical } from '../ledger/canonical.ts';
import { isLogKey, type KeyRule, keyRules, type TrustedKey } from '../ledger/key-rules.ts';
import { consistencyProof, MAX_PROOF_HASHES, type SubtreeReader, verifyConsistency } from '../ledger/merkle.ts';
import { MAX_NOTE_BYTES } from '../ledger/note.ts';
import { badSignature, notByThem, type ReadCheckpoint, readCheckpoint } from '../verify/heads.ts';
import type { LedgerSource } from '../verify/source.ts';
import { decodeStrictly } from './format.ts';
import { hashedSubtrees, storedSubtrees } from './subtrees.ts';

const VERSION = 1;
/** Two notes, with room for their escapes, and the hashes. */
export const MAX_CONSISTENCY_BYTES: number = 4 * MAX_NOTE_BYTES;

export interface MadeConsistency {
  /** The proof, to be written as it is. */
  readonly text: string;
  readonly origin: string;
  /** Entries covered by the two checkpoints. */
  readonly from: number;
  readonly to: number;
}

/**
 * Proves that a ledger begins with the entries of a checkpoint kept elsewhere.
 *
 * @param note - the checkpoint that was kept.
 * @throws {CountersignError} `PROOF_INVALID` when the ledger does not begin with these entries: keep both, they are
 *   evidence of a fork; `CHECKPOINT_INVALID`, `NOTE_INVALID` when the note is none, or of another log; `LEDGER_*`
 */
export function makeConsistency(path: string, note: string): MadeConsistency {
  const from = readCheckpoint(note, []);
  const source = openContainer(path);
  try {
    const newest = newestHead(source);
    const to = readCheckpoint(newest, []);
    if (to.origin !== from.origin) throw new CountersignError('CHECKPOINT_INVALID', 'the checkpoint is of another log than the ledger');
    if (to.size < from.size)
      throw new CountersignError(
        'PROOF_INVALID',
        `the ledger has ${to.size} entries, the checkpoint covers ${from.size}: the end was cut off`,
      );
    const proof = provenHashes(source, from, to);
    const text = canonicalize({ countersign: 'consistency', v: VERSION, from: note, to: newest, proof });
    return { text, origin: to.origin, from: from.size, to: to.size };
  } finally {
    source.close();
  }
}

/** The newest signed one; where nothing is signed the newest. */
function newestHead(source: LedgerSource): string {
  const newest = source.newestCheckpoint()?.note;
  if (newest === undefined) throw new CountersignError('LEDGER_CORRUPT', 'the ledger has no checkpoint: run `countersign verify`');
  if (newest.includes('\n\n')) return newest;
  let signed: string | undefined;
  for (let stored = source.checkpointAfter(-1); stored !== undefined; stored = source.checkpointAfter(stored.size)) {
    if (stored.note?.includes('\n\n') === true) signed = stored.note;
  }
  return signed ?? newest;
}

function provenHashes(source: LedgerSource, from: ReadCheckpoint, to: ReadCheckpoint): readonly string[] {
  const prove = (read: SubtreeReader): readonly string[] => consistencyProof(from.size, to.size, read);
  const isProven = (proof: readonly string[]): boolean =>
    verifyConsistency({ size1: from.size, root1: from.root, size2: to.size, root2: to.root, proof });
  if (source.stores.tiles) {
    try {
      const stored = prove(storedSubtrees(source));
      if (isProven(stored)) return stored;
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
    }
  }
  const hashed = prove(hashedSubtrees(source, to.size, (read) => void prove(read)));
  if (isProven(hashed)) return hashed;
  throw new CountersignError(
    'PROOF_INVALID',
    `the ledger does not begin with the ${from.size} entries of this checkpoint: keep both, and run \`countersign verify --against\``,
  );
}

const note = z.string().max(MAX_NOTE_BYTES);
const shape = z.strictObject({
  countersign: z.literal('consistency'),
  v: z.literal(VERSION),
  from: note,
  to: note,
  proof: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(MAX_PROOF_HASHES),
});

export interface CheckConsistencyOptions {
  readonly publicKeys?: readonly (string | TrustedKey)[];
  /** A checkpoint the reader kept: the proof must start from it. */
  readonly from?: string;
  /** A checkpoint the reader has: the proof must lead to it. */
  readonly to?: string;
}

export interface ConsistencyReport {
  /** `unproven`: the hashes fit, but no key of the log was given. */
  readonly status: 'valid' | 'invalid' | 'unproven';
  readonly origin?: string;
  /** Entries of the two checkpoints. */
  readonly from?: number;
  readonly to?: number;
  readonly authorship: 'proven' | 'unchecked' | 'failed';
  readonly problems: readonly { readonly code: string; readonly message: string }[];
}

/**
 * Checks a proof that a log only grew. Needs no ledger.
 *
 * @param given - the text, or the bytes of the file; from anyone.
 * @throws {CountersignError} only for the options: `KEY_INVALID`, `OPTIONS_INVALID`, `NOTE_INVALID`, `CHECKPOINT_INVALID`
 */
export function checkConsistency(given: string | Uint8Array, options: CheckConsistencyOptions = {}): ConsistencyReport {
  const keys = keyRules(options.publicKeys ?? []);
  const kept = { from: options.from, to: options.to };
  const wanted = {
    from: kept.from === undefined ? undefined : readCheckpoint(kept.from, []),
    to: kept.to === undefined ? undefined : readCheckpoint(kept.to, []),
  };
  const problems: { code: string; message: string }[] = [];
  const text = typeof given === 'string' ? given : decodeStrictly(given, MAX_CONSISTENCY_BYTES);
  const parsed = parse(text ?? '', keys);
  if (!('proof' in parsed)) return { status: 'invalid', authorship: keys.some(isLogKey) ? 'failed' : 'unchecked', problems: [parsed] };
  const { from, to, proof } = parsed;
  const problem = (code: string, message: string): void => void problems.push({ code, message });
  if (from.origin !== to.origin) problem('ORIGIN_MISMATCH', 'the two checkpoints are of different logs');
  if (!verifyConsistency({ size1: from.size, root1: from.root, size2: to.size, root2: to.root, proof }))
    problem('PROOF_INVALID', `the proof does not lead from ${from.size} entries to ${to.size}`);
  for (const name of ['from', 'to'] as const) {
    const head = parsed[name];
    const own = wanted[name];
    if (own !== undefined && (own.origin !== head.origin || own.size !== head.size || own.root !== head.root))
      problem('CHECKPOINT_DIFFERS', `the proof is about another checkpoint than the one given as \`${name}\``);
    const bad = badSignature(head.signature);
    if (bad !== undefined) problem(bad.code, `the checkpoint \`${name}\` ${bad.message}`);
    else if (keys.some(isLogKey) && head.signature !== 'trusted')
      problem(head.signature === 'none' ? 'UNSIGNED' : 'SIGNATURE_UNKNOWN', `the checkpoint \`${name}\` ${notByThem(head)}`);
  }
  const isInvalid = problems.length > 0;
  const hasKey = keys.some(isLogKey);
  return {
    status: isInvalid ? 'invalid' : hasKey ? 'valid' : 'unproven',
    origin: to.origin,
    from: from.size,
    to: to.size,
    authorship: hasKey ? (isInvalid ? 'failed' : 'proven') : 'unchecked',
    problems,
  };
}

type Parsed = { readonly from: ReadCheckpoint; readonly to: ReadCheckpoint; readonly proof: readonly string[] };

function parse(given: string, keys: readonly KeyRule[]): Parsed | { readonly code: string; readonly message: string } {
  try {
    const parsed = shape.safeParse(parseCanonical(given));
    if (!parsed.success)
      return { code: 'PROOF_MALFORMED', message: 'this is no consistency proof: a member is missing, unknown or malformed' };
    const { from, to, proof } = parsed.data;
    return { from: readCheckpoint(from, keys), to: readCheckpoint(to, keys), proof };
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    return { code: 'PROOF_MALFORMED', message: `this is no consistency proof: ${error.message}` };
  }
}
