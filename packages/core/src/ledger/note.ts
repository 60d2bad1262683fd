/**
 * Signed notes (c2sp.org/signed-note, golang.org/x/mod/sumdb/note): a text with the signatures of one or more keys.
 *
 * A note is the text, which ends in a newline; an empty line; and one line per signature: em dash, space, key name,
 * space, base64 of the 4 bytes of the key id and the signature. The signature is over the text with its last newline.
 * The text may hold empty lines, the last one in the note is the separator. The whole is UTF-8 without control
 * characters. An example, with the verifier line of `verifier-key.ts`:
 *
 *     If you think cryptography is the answer to your problem,
 *     then you don't know what your problem is.
 *
 *     — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
 *
 * A signature by a known key must verify or the note is refused. Signatures by other keys are passed over, which is what
 * lets a key be rotated and a witness add its own; they prove nothing. A note that no known key signed is refused too:
 * its text belongs to whoever wrote it.
 */

import { CountersignError } from '../errors.ts';
import type { Signer } from '../interfaces.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from './ed25519.ts';
import { isKeyName, parseVerifierKey, TYPE_COSIGNATURE, TYPE_ED25519, type VerifierKey } from './verifier-key.ts';

export { formatVerifierKey, keyIdOf, parseVerifierKey, TYPE_COSIGNATURE, TYPE_ED25519, type VerifierKey } from './verifier-key.ts';

export const MAX_NOTE_BYTES = 1_000_000;
export const MAX_NOTE_SIGNATURES = 100;

const KEY_ID_BYTES = 4;
const TIMESTAMP_BYTES = 8;
const LINE_START = '\u2014 ';
/** Stricter than the standard, which forbids those below U+0020 only: U+009B starts an escape sequence as well. */
const CONTROL_CHARACTER = /[^\P{Cc}\n]/u;

/** A signature line. Its name and id are what the note says, until the signature verified. */
export interface NoteSignature {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly keyId: string;
  /** What follows the key id. */
  readonly signature: Uint8Array;
  /** Seconds since 1970, when the line is as long as a timestamped Ed25519 cosignature. */
  readonly cosignedAtSec?: number;
}

export interface ParsedNote {
  /** With its last newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A known key whose signature verified. */
export interface VerifiedSignature extends NoteSignature {
  readonly type: number;
}

export interface OpenedNote {
  readonly text: string;
  /** At least one; each key once. */
  readonly verified: readonly VerifiedSignature[];
  /** Signatures by keys that were not given. Nothing is known about them. */
  readonly unverified: readonly NoteSignature[];
}

/**
 * Reads a note and checks its signatures.
 *
 * @param note - the whole note, as text or as bytes from outside.
 * @param verifiers - the keys that are trusted, as lines or parsed.
 * @throws {CountersignError} `NOTE_INVALID` when it is malformed, a known key's signature is wrong, or no known key
 *   signed it; `KEY_INVALID` for a malformed verifier line.
 */
export function openNote(note: string | Uint8Array, verifiers: readonly (string | VerifierKey)[]): OpenedNote {
  const keys = new Map<string, VerifierKey>();
  for (const verifier of verifiers) {
    const key = typeof verifier === 'string' ? parseVerifierKey(verifier) : verifier;
    const id = identify(key);
    const other = keys.get(id);
    // Two keys with one name and id: which of them a line means cannot be told.
    if (other !== undefined && !Buffer.from(other.publicKey).equals(key.publicKey))
      throw invalid('two verifier keys share a name and key id');
    keys.set(id, key);
  }
  const { text, signatures } = parseNote(note);
  const message = Buffer.from(text, 'utf8');
  const verified = new Map<string, VerifiedSignature>();
  const unverified: NoteSignature[] = [];
  for (const signature of signatures) {
    const id = identify(signature);
    const key = keys.get(id);
    if (key === undefined) {
      unverified.push(signature);
    } else {
      if (!isSignedBy(key, message, signature)) throw invalid('a signature by a known key does not verify');
      if (!verified.has(id)) verified.set(id, { ...signature, type: key.type });
    }
  }
  if (verified.size === 0) throw invalid('no known key signed it');
  return { text, verified: [...verified.values()], unverified };
}

/**
 * Reads a note without checking any signature: the text may be anyone's.
 *
 * @throws {CountersignError} `NOTE_INVALID` for whatever `signNote` could not have written.
 */
export function parseNote(note: string | Uint8Array): ParsedNote {
  const whole = decode(note);
  const separator = whole.lastIndexOf('\n\n');
  if (separator < 0) throw invalid('there is no empty line between text and signatures');
  if (!whole.endsWith('\n')) throw invalid('the last line does not end in a newline');
  const lines = whole.slice(separator + 2, -1).split('\n');
  if (lines.length > MAX_NOTE_SIGNATURES) throw invalid(`it has more than ${MAX_NOTE_SIGNATURES} signatures`);
  return { text: whole.slice(0, separator + 1), signatures: lines.map(parseSignature) };
}

/**
 * Signs a text.
 *
 * @param text - not empty, ends in a newline.
 * @param signers - at least one, of type Ed25519; their lines come in this order.
 * @throws {CountersignError} `NOTE_INVALID` for a text or signature that the parser would refuse; whatever a signer throws.
 */
export function signNote(text: string, signers: readonly Signer[]): string {
  checkText(text);
  if (!text.endsWith('\n')) throw invalid('the text does not end in a newline');
  if (signers.length === 0 || signers.length > MAX_NOTE_SIGNATURES) throw invalid(`it needs 1 to ${MAX_NOTE_SIGNATURES} signers`);
  const message = Buffer.from(text, 'utf8');
  const lines = signers.map((signer) => signatureLine(signer, message));
  if (new Set(signers.map((signer) => signer.vkey)).size !== signers.length) throw invalid('one key would sign it twice');
  const note = `${text}\n${lines.join('')}`;
  if (Buffer.byteLength(note) > MAX_NOTE_BYTES) throw tooLong();
  return note;
}

/** The text of a checkpoint holds no empty line: where there is one, signatures follow. */
export function isSignedNote(note: string): boolean {
  return note.includes('\n\n');
}

/**
 * One note with the signature lines of both, each key once. Nothing is verified: what is merged must be.
 *
 * @param note - may also be the bare text; then the other is the result.
 * @throws {CountersignError} `NOTE_INVALID` when the two are not of the same text, or there are too many lines.
 */
export function mergeNotes(note: string, other: string): string {
  if (!isSignedNote(other)) return note;
  if (!isSignedNote(note)) {
    if (!other.startsWith(`${note}\n`)) throw invalid('two notes that should be of one text are not');
    return other;
  }
  const [one, two] = [parseNote(note), parseNote(other)];
  if (one.text !== two.text) throw invalid('two notes that should be of one text are not');
  const known = new Set(one.signatures.map(identify));
  const lines = other.slice(two.text.length + 1, -1).split('\n');
  const added = lines.filter((_line, index) => !known.has(identify(two.signatures[index] as NoteSignature)));
  if (one.signatures.length + added.length > MAX_NOTE_SIGNATURES) throw invalid(`it has more than ${MAX_NOTE_SIGNATURES} signatures`);
  return `${note}${added.map((line) => `${line}\n`).join('')}`;
}

/** Parsed once per signer: it hashes the key, and a ledger signs each commit. */
const keysOfSigners = new WeakMap<Signer, { readonly vkey: string; readonly key: VerifierKey }>();

function keyOf(signer: Signer): VerifierKey {
  const { vkey } = signer;
  const known = keysOfSigners.get(signer);
  if (known?.vkey === vkey) return known.key;
  const key = parseVerifierKey(vkey);
  keysOfSigners.set(signer, { vkey, key });
  return key;
}

function signatureLine(signer: Signer, message: Uint8Array): string {
  const key = keyOf(signer);
  if (key.type !== TYPE_ED25519) throw invalid('a signer is not of type Ed25519 (1)');
  const signature = signer.sign(message);
  return lineOf(key, signature);
}

/** A note with one signature that was made elsewhere, over exactly this text, and verified. */
export function noteWithSignature(text: string, key: Pick<VerifierKey, 'name' | 'keyId'>, signature: Uint8Array): string {
  return `${text}\n${lineOf(key, signature)}`;
}

function lineOf(key: Pick<VerifierKey, 'name' | 'keyId'>, signature: Uint8Array): string {
  if (signature.length !== ED25519_SIGNATURE_BYTES) throw invalid(`a signer gave ${signature.length} bytes instead of 64`);
  return `${LINE_START}${key.name} ${encodeBase64(Buffer.concat([Buffer.from(key.keyId, 'hex'), signature]))}\n`;
}

function decode(note: string | Uint8Array): string {
  if (note.length > MAX_NOTE_BYTES) throw tooLong();
  if (typeof note === 'string') {
    if (Buffer.byteLength(note) > MAX_NOTE_BYTES) throw tooLong();
    checkText(note);
    return note;
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(note);
  } catch {
    throw invalid('it is not UTF-8');
  }
  checkText(text);
  return text;
}

function checkText(text: string): void {
  if (!text.isWellFormed()) throw invalid('it holds a lone surrogate');
  if (CONTROL_CHARACTER.test(text)) throw invalid('it holds a control character');
}

function parseSignature(line: string): NoteSignature {
  if (!line.startsWith(LINE_START)) throw invalid('a signature line does not start with an em dash and a space');
  const [name, encoded, ...more] = line.slice(LINE_START.length).split(' ');
  if (name === undefined || encoded === undefined || more.length > 0)
    throw invalid('a signature line is not a name, a space and a signature');
  if (!isKeyName(name)) throw invalid('a signature line has a bad key name');
  const bytes = decodeBase64(encoded);
  if (bytes === undefined) throw invalid('a signature is not strict base64');
  if (bytes.length <= KEY_ID_BYTES) throw invalid('a signature is too short');
  const signature = bytes.subarray(KEY_ID_BYTES);
  const cosignedAtSec = cosignatureTime(signature);
  return {
    name,
    keyId: bytes.toString('hex', 0, KEY_ID_BYTES),
    signature,
    ...(cosignedAtSec === undefined ? {} : { cosignedAtSec }),
  };
}

/** The time a cosignature states; undefined when the length is another or the time past 2^53 - 1. */
function cosignatureTime(signature: Buffer): number | undefined {
  if (signature.length !== TIMESTAMP_BYTES + ED25519_SIGNATURE_BYTES) return undefined;
  const time = Number(signature.readBigUInt64BE(0));
  return Number.isSafeInteger(time) ? time : undefined;
}

function isSignedBy(key: VerifierKey, message: Uint8Array, line: NoteSignature): boolean {
  if (key.type === TYPE_ED25519) return verifyEd25519(key.publicKey, message, line.signature);
  if (key.type !== TYPE_COSIGNATURE || line.cosignedAtSec === undefined) return false;
  // c2sp.org/tlog-cosignature: the time is signed along, under a header of its own.
  const header = Buffer.from(`cosignature/v1\ntime ${line.cosignedAtSec}\n`, 'utf8');
  return verifyEd25519(key.publicKey, Buffer.concat([header, message]), line.signature.subarray(TIMESTAMP_BYTES));
}

/** A name holds no plus, so the two parts cannot run into each other. */
function identify(key: { readonly name: string; readonly keyId: string }): string {
  return `${key.name}+${key.keyId}`;
}

function invalid(what: string): CountersignError {
  return new CountersignError('NOTE_INVALID', `signed note: ${what}`);
}

function tooLong(): CountersignError {
  return invalid(`it is longer than ${MAX_NOTE_BYTES} bytes`);
}
