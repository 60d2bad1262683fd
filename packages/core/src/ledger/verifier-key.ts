/**
 * C2SP verifier keys ("vkeys"): a public key with its name and type in one line that fits a config file.
 *
 *     name+keyid+base64(type || public key)
 *     PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
 *
 * The key id is the first four bytes of SHA-256(name || "\n" || type || public key), in hex. It only tells keys apart;
 * whoever can make keys can make two with one id. Types read here: 0x01, Ed25519 over a note, and 0x04, a witness's
 * timestamped Ed25519 cosignature.
 *
 * @see https://c2sp.org/signed-note
 */
import { createHash } from 'node:crypto';
import { CountersignError } from '../errors.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { ED25519_PUBLIC_KEY_BYTES } from './ed25519.ts';

export const TYPE_ED25519 = 0x01;
export const TYPE_COSIGNATURE = 0x04;

export const MAX_KEY_NAME_CHARS = 255;
export const MAX_VERIFIER_KEY_CHARS = 512;

const KEY_ID_PATTERN = /^[0-9a-f]{8}$/;
/** Unicode spaces (U+0085 is one, and a control character), plus, and controls: a terminal may be what shows a name. */
const NOT_IN_KEY_NAME = /[\s\p{Cc}+]/u;

export interface VerifierKey {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly keyId: string;
  /** `TYPE_ED25519` or `TYPE_COSIGNATURE`. */
  readonly type: number;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/**
 * Parses a verifier line.
 *
 * @throws {CountersignError} `KEY_INVALID` unless it is exactly what `formatVerifierKey` writes.
 */
export function parseVerifierKey(vkey: string): VerifierKey {
  if (vkey.length > MAX_VERIFIER_KEY_CHARS) throw invalid(`is longer than ${MAX_VERIFIER_KEY_CHARS} characters`);
  const first = vkey.indexOf('+');
  const second = vkey.indexOf('+', first + 1);
  if (first < 0 || second < 0) throw invalid('is not of the form name+keyid+base64');
  const name = vkey.slice(0, first);
  const keyId = vkey.slice(first + 1, second);
  const material = decodeBase64(vkey.slice(second + 1));
  if (!isKeyName(name)) throw invalid('has a name that is empty, too long, or holds a space');
  if (!KEY_ID_PATTERN.test(keyId)) throw invalid('has a key id that is not 8 lower-case hex digits');
  if (material === undefined) throw invalid('has a key that is not strict base64');
  const type = material[0];
  if (type !== TYPE_ED25519 && type !== TYPE_COSIGNATURE) throw invalid('has a type other than Ed25519 (1) or cosignature (4)');
  const publicKey = material.subarray(1);
  if (publicKey.length !== ED25519_PUBLIC_KEY_BYTES) throw invalid(`has a key of ${publicKey.length} bytes instead of 32`);
  if (keyIdOf(name, type, publicKey) !== keyId) throw invalid('has a key id that does not belong to its name and key');
  return { name, keyId, type, publicKey };
}

/** @throws {CountersignError} `KEY_INVALID` when the parser would refuse the line. */
export function formatVerifierKey(key: Omit<VerifierKey, 'keyId'>): string {
  if (!isKeyName(key.name)) throw invalid(`needs a name of 1 to ${MAX_KEY_NAME_CHARS} characters without spaces and "+"`);
  const material = encodeBase64(Buffer.concat([Buffer.of(key.type), key.publicKey]));
  const vkey = `${key.name}+${keyIdOf(key.name, key.type, key.publicKey)}+${material}`;
  parseVerifierKey(vkey);
  return vkey;
}

/** First four bytes of SHA-256(name || "\n" || type || public key), as 8 hex digits. */
export function keyIdOf(name: string, type: number, publicKey: Uint8Array): string {
  return createHash('sha256').update(`${name}\n`, 'utf8').update(Buffer.of(type)).update(publicKey).digest('hex').slice(0, 8);
}

/** A name on a note's signature line: not empty, no Unicode space, no plus, no control character. */
export function isKeyName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_KEY_NAME_CHARS && name.isWellFormed() && !NOT_IN_KEY_NAME.test(name);
}

function invalid(what: string): CountersignError {
  return new CountersignError('KEY_INVALID', `verifier key ${what}`);
}
