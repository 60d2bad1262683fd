/** Keys that count for the signatures of a SudoAgent 2.0 ledger: each entry's `entry_hash` is signed, as text. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { CountersignError } from '../errors.ts';
import { decodeBase64 } from '../ledger/base64.ts';
import { ED25519_SIGNATURE_BYTES, ed25519Key } from '../ledger/ed25519.ts';
import { isLogKey, keyRules, type TrustedKey } from '../ledger/key-rules.ts';

const MAX_PEM_CHARS = 4096;
const PEM = /^\s*-----BEGIN PUBLIC KEY-----/;

/** True for what looks like the PEM file of a public key, the form the predecessor writes. */
export function isPublicKeyPem(text: string): boolean {
  return PEM.test(text);
}

/** A key, and the entries it counts for. */
export interface SudoKey {
  readonly key: KeyObject;
  readonly counts: (entry: number) => boolean;
}

/**
 * The keys a caller trusts: Ed25519 as SPKI PEM, or verifier lines of ours, whose range of sizes is one of entry numbers here.
 *
 * @throws {CountersignError} `KEY_INVALID`, `OPTIONS_INVALID`
 */
export function readSudoKeys(given: readonly (string | TrustedKey)[]): readonly SudoKey[] {
  const isPem = (key: string | TrustedKey): key is string => typeof key === 'string' && isPublicKeyPem(key);
  const pems = given.filter(isPem).map((pem) => ({ key: readPem(pem), counts: () => true }));
  const rules = keyRules(given.filter((key) => !isPem(key)));
  const witness = rules.find((rule) => !isLogKey(rule));
  if (witness !== undefined) throw invalid(`${witness.key.name} is a witness: entries are signed with keys of the other type`);
  return [...pems, ...rules.map((rule) => ({ key: ed25519Key(rule.key.publicKey), counts: (entry: number) => countsFor(rule, entry) }))];
}

function countsFor(
  { from = 0, until = Number.POSITIVE_INFINITY, revokedFrom = Number.POSITIVE_INFINITY }: TrustedKey,
  entry: number,
): boolean {
  return from <= entry && entry <= until && entry < revokedFrom;
}

function readPem(given: string): KeyObject {
  if (given.length > MAX_PEM_CHARS) throw invalid(`the PEM is longer than ${MAX_PEM_CHARS} characters`);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: given, format: 'pem' });
  } catch (cause) {
    throw invalid('the PEM holds no public key', cause);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw invalid(`the PEM holds a key of type ${String(key.asymmetricKeyType)}, not Ed25519`);
  return key;
}

/** Whether the signature is by one of the keys, over the 64 hex digits of the hash. Runs on a thread of Node's pool. */
export async function isSignedBy(keys: readonly SudoKey[], entry: number, entryHash: string, signature: string): Promise<boolean> {
  const bytes = decodeBase64(signature);
  if (bytes?.length !== ED25519_SIGNATURE_BYTES) return false;
  const message = Buffer.from(entryHash);
  for (const { key, counts } of keys) if (counts(entry) && (await verified(key, message, bytes))) return true;
  return false;
}

/** The same at once, for keys that count for every entry. */
export function isSignedNow(keys: readonly SudoKey[], entryHash: string, signature: string): boolean {
  const bytes = decodeBase64(signature);
  return bytes?.length === ED25519_SIGNATURE_BYTES && keys.some(({ key }) => verify(null, Buffer.from(entryHash), key, bytes));
}

async function verified(key: KeyObject, message: Buffer, signature: Buffer): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    verify(null, message, key, signature, (error, isValid) => {
      if (error === null) resolve(isValid);
      else reject(error);
    });
  });
}

function invalid(what: string, cause?: unknown): CountersignError {
  return new CountersignError('KEY_INVALID', `public key: ${what}`, cause === undefined ? {} : { cause });
}
