/** Ed25519 verification with raw keys (RFC 8032), as node:crypto does it: low-order and non-canonical points are refused. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';

export const ED25519_PUBLIC_KEY_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;

/** DER of a SubjectPublicKeyInfo for Ed25519, up to the 32 bytes of the key (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
/** Parsed keys are kept, because parsing costs about as much as verifying. */
const MAX_CACHED_KEYS = 64;
const cachedKeys = new Map<string, KeyObject>();

/** True when the signature is by this key over this message. A key or signature of another length is false. */
export function verifyEd25519(publicKeyRaw: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKeyRaw.length !== ED25519_PUBLIC_KEY_BYTES || signature.length !== ED25519_SIGNATURE_BYTES) return false;
  return verify(null, message, ed25519Key(publicKeyRaw), signature);
}

/** The key of 32 raw bytes. */
export function ed25519Key(publicKeyRaw: Uint8Array): KeyObject {
  const id = Buffer.from(publicKeyRaw).toString('latin1');
  const cached = cachedKeys.get(id);
  if (cached !== undefined) return cached;
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKeyRaw]), format: 'der', type: 'spki' });
  if (cachedKeys.size >= MAX_CACHED_KEYS) cachedKeys.delete(cachedKeys.keys().next().value as string);
  cachedKeys.set(id, key);
  return key;
}
