/**
 * Signing keys: made here, kept in a file that only its owner reads, and used through `Signer`.
 *
 * The private key is PKCS#8 in PEM, encrypted if a passphrase was given. Beside it, in `<path>.pub`, stands the verifier
 * line (see `verifier-key.ts`) that others need. No message here ever quotes what a key file holds.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { closeSync, constants, fsyncSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CountersignError } from '../errors.ts';
import type { Signer } from '../interfaces.ts';
import { readPrivateFile } from '../private-file.ts';
import { formatVerifierKey, TYPE_ED25519 } from './verifier-key.ts';

export { verifyEd25519 } from './ed25519.ts';

/** An Ed25519 key takes about 120 bytes, encrypted about 330. */
export const MAX_KEY_FILE_BYTES = 65_536;

const PRIVATE_MODE = 0o600;
const PUBLIC_MODE = 0o644;
/** PKCS#8 alone: OpenSSL would also read older forms, and a file that merely contains a key somewhere. */
const PEM_PATTERN = /^-----BEGIN (ENCRYPTED )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END \1?PRIVATE KEY-----\s*$/;

export interface GeneratedKey {
  /** PKCS#8 PEM. A secret unless it was encrypted. */
  readonly privatePem: string;
  readonly vkey: string;
}

/**
 * Makes an Ed25519 key.
 *
 * @param name - key name of the verifier line; for a ledger its origin.
 * @param passphrase - encrypts the private key (AES-256, PBKDF2) when given.
 * @throws {CountersignError} `KEY_INVALID` for a name that a verifier line cannot hold, or an empty passphrase.
 */
export function generateKey(name: string, passphrase?: string): GeneratedKey {
  if (passphrase === '') throw invalid('the passphrase is empty; leave it out to store the key unencrypted');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const vkey = vkeyOf(name, publicKey);
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return { privatePem: privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString(), vkey };
}

/**
 * A signer over a private key.
 *
 * @throws {CountersignError} `KEY_INVALID` unless it is one Ed25519 key in PKCS#8 PEM, and the passphrase opens it.
 */
export function signerFromPem(pem: string, name: string, passphrase?: string): Signer {
  const key = parsePrivateKey(pem, passphrase);
  return signerFromKey(key, vkeyOf(name, createPublicKey(key)));
}

/** Handles of the keys behind our own signers: a thread can be given one, and the signer itself shows nothing. */
const keysBehind = new WeakMap<Signer, KeyObject>();

/** @param vkey - the verifier line of exactly this key. */
export function signerFromKey(key: KeyObject, vkey: string): Signer {
  const signer: Signer = { vkey, sign: (message) => sign(null, message, key) };
  keysBehind.set(signer, key);
  return signer;
}

/** The handle of a signer's key; undefined for a signer that was not made here. Stays inside this package. */
export function keyBehind(signer: Signer): KeyObject | undefined {
  return keysBehind.get(signer);
}

/**
 * Writes a new key file with mode 0600, durable before it returns, and never over an existing one.
 *
 * @param vkey - written to `<path>.pub` when given; a file of that name must not exist either.
 * @throws {CountersignError} `KEY_INVALID` when a file is there already or cannot be written.
 */
export function writeKeyFile(path: string, pem: string, vkey?: string): void {
  writeNewFile(path, pem, PRIVATE_MODE);
  if (vkey !== undefined) {
    try {
      writeNewFile(`${path}.pub`, `${vkey}\n`, PUBLIC_MODE);
    } catch (error) {
      // A private key without its public half would be found and used by nobody.
      unlinkSync(path);
      throw error;
    }
  }
  syncFolder(dirname(path));
}

/**
 * Reads a key file. A symbolic link is followed; what counts is the file it leads to.
 *
 * @throws {CountersignError} `KEY_NOT_FOUND`; `KEY_INVALID` when others may read it (not checked on Windows), it is no
 *   regular file, longer than `MAX_KEY_FILE_BYTES`, or not a key that `signerFromPem` takes.
 */
export function readSigner(path: string, name: string, passphrase?: string): Signer {
  const pem = readPrivateFile(path, MAX_KEY_FILE_BYTES, (what, code) =>
    code === 'ENOENT'
      ? new CountersignError('KEY_NOT_FOUND', `key file ${path} is not there; run \`countersign keygen\`, or set \`sign: none\``)
      : invalid(what),
  );
  return signerFromPem(pem, name, passphrase);
}

function parsePrivateKey(pem: string, passphrase: string | undefined): KeyObject {
  const match = pem.length > MAX_KEY_FILE_BYTES ? null : PEM_PATTERN.exec(pem);
  if (match === null) throw invalid('it is not a single private key in PKCS#8 PEM');
  const isEncrypted = match[1] !== undefined;
  if (isEncrypted && passphrase === undefined) throw invalid('it is encrypted, and no passphrase was given');
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    // The cause is left out: what OpenSSL says about a key is not ours to log.
    throw invalid(isEncrypted ? 'the passphrase is wrong, or the file is damaged' : 'the key is damaged');
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw invalid(`it is of type ${key.asymmetricKeyType ?? 'unknown'}; only ed25519 keys sign a ledger`);
  return key;
}

function vkeyOf(name: string, publicKey: KeyObject): string {
  const { x } = publicKey.export({ format: 'jwk' });
  if (x === undefined) throw invalid('it has no public half');
  return formatVerifierKey({ name, type: TYPE_ED25519, publicKey: Buffer.from(x, 'base64url') });
}

function writeNewFile(path: string, text: string, mode: number): void {
  let file: number;
  try {
    // O_EXCL: neither an existing file nor a link that someone laid there is written through.
    file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST') throw invalid(`${path} exists already and is never overwritten; move it away or choose another path`);
    throw invalid(`${path} cannot be created (${code}); its folder must exist and be writable`);
  }
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } catch (error) {
    unlinkSync(path);
    throw invalid(`${path} cannot be written (${systemCode(error)})`);
  } finally {
    closeSync(file);
  }
}

/** Makes the names in a folder durable. Windows has no such call and needs none. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}

function invalid(what: string): CountersignError {
  return new CountersignError('KEY_INVALID', `key: ${what}`);
}
