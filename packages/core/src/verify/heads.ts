/** Checkpoints and what the caller knows from elsewhere: who signed, and which root was claimed at which size. */
import { CountersignError } from '../errors.ts';
import { decodeBase64 } from '../ledger/base64.ts';
import { type ParsedCheckpoint, parseCheckpoint, verifyCheckpoint } from '../ledger/checkpoint.ts';
import { isHash } from '../ledger/merkle.ts';
import { type NoteSignature, parseNote } from '../ledger/note.ts';
import { parseVerifierKey, TYPE_ED25519 } from '../ledger/verifier-key.ts';

export interface ReadCheckpoint extends ParsedCheckpoint {
  /** `trusted`: by one of the given keys. `wrong`: a line claims to be by one of them and does not verify. */
  readonly signature: 'none' | 'unknown' | 'trusted' | 'wrong';
  readonly signatures: readonly NoteSignature[];
}

/**
 * Reads a checkpoint of a signed or an unsigned ledger.
 *
 * @throws {CountersignError} `NOTE_INVALID`, `CHECKPOINT_INVALID`
 */
export function readCheckpoint(note: string, vkeys: readonly string[]): ReadCheckpoint {
  // The text of a checkpoint holds no empty line: where there is one, signatures follow.
  if (!note.includes('\n\n')) return { ...parseCheckpoint(note), signature: 'none', signatures: [] };
  const { text, signatures } = parseNote(note);
  return { ...parseCheckpoint(text), signature: signatureOf(note, signatures, vkeys), signatures };
}

function signatureOf(note: string, signatures: readonly NoteSignature[], vkeys: readonly string[]): ReadCheckpoint['signature'] {
  const keys = vkeys.map((vkey) => parseVerifierKey(vkey)).filter((key) => key.type === TYPE_ED25519);
  const isClaimed = signatures.some((line) => keys.some((key) => key.name === line.name && key.keyId === line.keyId));
  if (!isClaimed) return 'unknown';
  try {
    verifyCheckpoint(note, vkeys);
    return 'trusted';
  } catch (error) {
    if (CountersignError.is(error)) return 'wrong';
    throw error;
  }
}

/** A claim about the log that came from outside it. */
export interface ExpectedHead {
  /** Absent: of all entries. */
  readonly size: number | undefined;
  readonly root: string | undefined;
}

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function expectedHead(size: number | undefined, root: string | undefined): ExpectedHead | undefined {
  if (size === undefined && root === undefined) return undefined;
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 0)) throw invalid('the expected size must be a whole number, 0 or more');
  const hex = root === undefined || isHash(root) ? root : decodeBase64(root)?.toString('hex');
  if (root !== undefined && !isHash(hex)) throw invalid('the expected head must be a tree root: 64 hex digits or its base64');
  return { size, root: hex };
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', what);
}
