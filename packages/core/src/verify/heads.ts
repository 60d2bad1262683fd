/** Checkpoints and what the caller knows from elsewhere: who signed, and which root was claimed at which size. */
import { CountersignError } from '../errors.ts';
import { decodeBase64 } from '../ledger/base64.ts';
import { type ParsedCheckpoint, parseCheckpoint } from '../ledger/checkpoint.ts';
import { judgeSignatures, type KeyRule, type SignatureVerdict } from '../ledger/key-rules.ts';
import { isHash } from '../ledger/merkle.ts';
import { type NoteSignature, parseNote } from '../ledger/note.ts';
import type { TsaCertificate } from '../timestamp/certificate.ts';
import { judgeTimestamps, type TimestampVerdict } from '../timestamp/line.ts';
import type { VerifyCode } from './codes.ts';
import { printable } from './shapes.ts';

export interface ReadCheckpoint extends ParsedCheckpoint {
  readonly signature: 'none' | SignatureVerdict['signature'];
  readonly cosignatures: SignatureVerdict['cosignatures'];
  readonly signatures: readonly NoteSignature[];
  readonly stamped: TimestampVerdict;
}

const UNSTAMPED: TimestampVerdict = { timestamps: [], unchecked: 0, wrong: [], unknown: [] };

/**
 * Reads a checkpoint of a signed or an unsigned ledger.
 *
 * @throws {CountersignError} `NOTE_INVALID`, `CHECKPOINT_INVALID`
 */
export function readCheckpoint(note: string, keys: readonly KeyRule[], tsa: readonly TsaCertificate[] = []): ReadCheckpoint {
  // The text of a checkpoint holds no empty line: where there is one, signatures follow.
  if (!note.includes('\n\n')) return { ...parseCheckpoint(note), signature: 'none', cosignatures: [], signatures: [], stamped: UNSTAMPED };
  const { text, signatures } = parseNote(note);
  const checkpoint = parseCheckpoint(text);
  const stamped = judgeTimestamps({ text, signatures }, checkpoint.size, tsa);
  return { ...checkpoint, ...judgeSignatures(note, checkpoint.size, keys), signatures, stamped };
}

/** What is wrong with a signature that claims to be by a key that was given; undefined when nothing is, or nobody claims that. */
export function badSignature(signature: ReadCheckpoint['signature']): { readonly code: VerifyCode; readonly message: string } | undefined {
  switch (signature) {
    case 'wrong':
      return { code: 'SIGNATURE_INVALID', message: 'has a signature that does not verify' };
    case 'revoked':
      return { code: 'KEY_REVOKED', message: 'is signed only by a key that was revoked before it' };
    case 'out-of-range':
      return { code: 'KEY_OUT_OF_RANGE', message: 'is signed only by a key that does not count at its size' };
    case 'none':
    case 'unknown':
    case 'trusted':
      return undefined;
  }
}

const MAX_SIGNERS_NAMED = 3;

/**
 * Of a checkpoint that no key given has signed: who did, as its lines claim. Whoever checks a log whose key was rotated may
 * lack one.
 */
export function notByThem({ signatures }: Pick<ReadCheckpoint, 'signatures'>): string {
  if (signatures.length === 0) return 'is not signed by a key that was given: it is not signed';
  const named = signatures.slice(0, MAX_SIGNERS_NAMED).map(({ name, keyId }) => `${printable(name)}+${keyId}`);
  const by = `${named.join(', ')}${signatures.length > named.length ? ' and others' : ''}`;
  return `is not signed by a key that was given: it says it is by ${by}. Where the key was rotated, give each key`;
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
