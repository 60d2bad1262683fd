/**
 * Checkpoints (c2sp.org/tlog-checkpoint): what a log was at one size, as the text of a signed note.
 *
 *     example.com/behind-the-sofa                       origin: which log
 *     20852163                                          number of leaves, decimal, no leading zero
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=      root of the RFC 6962 tree, base64
 *
 * Further lines are extensions. None are written; those read are handed over, since they are under the signature, and
 * mean nothing here.
 */
import { CountersignError } from '../errors.ts';
import type { Signer } from '../interfaces.ts';
import { decodeBase64 } from './base64.ts';
import { EMPTY_ROOT, isHash } from './merkle.ts';
import { type OpenedNote, openNote, signNote } from './note.ts';
import { formatVerifierKey, parseVerifierKey, TYPE_COSIGNATURE, TYPE_ED25519 } from './verifier-key.ts';

export const MAX_ORIGIN_CHARS = 255;
/** Longest text of a checkpoint that is read, extension lines included. */
export const MAX_CHECKPOINT_CHARS = 65_536;

const BAD_ORIGIN = `the origin is not 1 to ${MAX_ORIGIN_CHARS} characters without controls`;
const BAD_SIZE = 'the size is not a plain decimal number up to 2^53 - 1';
const BAD_EMPTY_ROOT = 'the size is 0, but the root is not that of the empty tree';
const SIZE_PATTERN = /^(?:0|[1-9][0-9]{0,15})$/;
const CONTROL_CHARACTER = /\p{Cc}/u;

export interface TreeHead {
  /** Name of the log. */
  readonly origin: string;
  readonly size: number;
  /** 64 lower-case hex digits. */
  readonly root: string;
}

export interface ParsedCheckpoint extends TreeHead {
  /** Extension lines; discouraged, so nearly always empty. */
  readonly extensions: readonly string[];
}

export interface VerifiedCheckpoint {
  readonly checkpoint: ParsedCheckpoint;
  /** Those of the given lines whose key signed it as the log; at least one. */
  readonly signedBy: readonly string[];
  /** Witnesses among the given lines that cosigned it. They vouch for consistency, never for the log's authorship. */
  readonly cosignedBy: readonly { readonly vkey: string; readonly atSec: number }[];
}

/**
 * The text of a checkpoint, as it is signed.
 *
 * @throws {CountersignError} `CHECKPOINT_INVALID` when the parser would refuse it.
 */
export function formatCheckpoint(head: TreeHead): string {
  const { origin, size, root } = head;
  if (!isOrigin(origin)) throw invalid(BAD_ORIGIN);
  if (!Number.isSafeInteger(size) || size < 0) throw invalid(BAD_SIZE);
  if (!isHash(root)) throw invalid('the root is not 64 lower-case hex digits');
  if (size === 0 && root !== EMPTY_ROOT) throw invalid(BAD_EMPTY_ROOT);
  return `${origin}\n${size}\n${Buffer.from(root, 'hex').toString('base64')}\n`;
}

/**
 * Parses the text of a checkpoint, without signatures.
 *
 * @throws {CountersignError} `CHECKPOINT_INVALID`
 */
export function parseCheckpoint(text: string): ParsedCheckpoint {
  if (text.length > MAX_CHECKPOINT_CHARS) throw invalid(`the text is longer than ${MAX_CHECKPOINT_CHARS} characters`);
  if (!text.endsWith('\n')) throw invalid('the last line does not end in a newline');
  const [origin, sizeText, rootText, ...extensions] = text.slice(0, -1).split('\n');
  if (origin === undefined || sizeText === undefined || rootText === undefined) throw invalid('it has fewer than three lines');
  if (!isOrigin(origin)) throw invalid(BAD_ORIGIN);
  const size = Number(sizeText);
  if (!SIZE_PATTERN.test(sizeText) || !Number.isSafeInteger(size)) throw invalid(BAD_SIZE);
  const root = decodeBase64(rootText)?.toString('hex');
  if (!isHash(root)) throw invalid('the root is not the strict base64 of 32 bytes');
  if (size === 0 && root !== EMPTY_ROOT) throw invalid(BAD_EMPTY_ROOT);
  for (const line of extensions) if (!isLine(line)) throw invalid('an extension line is empty or holds a control character');
  return { origin, size, root, extensions };
}

/**
 * The signed note of a tree head. With two signers it is the checkpoint of a key rotation.
 *
 * @throws {CountersignError} `CHECKPOINT_INVALID`, `NOTE_INVALID`; whatever a signer throws.
 */
export function signCheckpoint(head: TreeHead, ...signers: readonly Signer[]): string {
  return signNote(formatCheckpoint(head), signers);
}

/**
 * Checks who signed a checkpoint. That it is the wanted log's is for the caller to see: compare `origin`.
 *
 * @param note - the signed note; from anyone.
 * @param vkeys - verifier lines that are trusted, logs' and witnesses'.
 * @throws {CountersignError} `CHECKPOINT_INVALID` when it is malformed, a known key's signature is wrong, or no log key
 *   among `vkeys` signed it; `KEY_INVALID` for a malformed line.
 */
export function verifyCheckpoint(note: string | Uint8Array, vkeys: readonly string[]): VerifiedCheckpoint {
  const keys = vkeys.map((vkey) => parseVerifierKey(vkey));
  const opened = open(note, keys);
  const signedBy: string[] = [];
  const cosignedBy: { vkey: string; atSec: number }[] = [];
  for (const signature of opened.verified) {
    const key = keys.find(({ name, keyId }) => name === signature.name && keyId === signature.keyId);
    if (key === undefined) continue;
    if (key.type === TYPE_ED25519) signedBy.push(formatVerifierKey(key));
    if (key.type === TYPE_COSIGNATURE) cosignedBy.push({ vkey: formatVerifierKey(key), atSec: signature.cosignedAtSec as number });
  }
  if (signedBy.length === 0) throw invalid('no known log key signed it, only witnesses');
  return { checkpoint: parseCheckpoint(opened.text), signedBy, cosignedBy };
}

function open(note: string | Uint8Array, keys: Parameters<typeof openNote>[1]): OpenedNote {
  try {
    return openNote(note, keys);
  } catch (error) {
    if (!CountersignError.is(error) || error.code !== 'NOTE_INVALID') throw error;
    throw new CountersignError('CHECKPOINT_INVALID', `checkpoint: ${error.message}`, { cause: error });
  }
}

function isOrigin(origin: string): boolean {
  return origin.length <= MAX_ORIGIN_CHARS && isLine(origin);
}

function isLine(line: string): boolean {
  return line.length > 0 && line.isWellFormed() && !CONTROL_CHARACTER.test(line);
}

function invalid(what: string): CountersignError {
  return new CountersignError('CHECKPOINT_INVALID', `checkpoint: ${what}`);
}
