/**
 * HMAC-SHA-256 (RFC 2104) under a key of 32 bytes.
 *
 *     HMAC(key, text) = SHA-256((key XOR opad) || SHA-256((key XOR ipad) || text))
 *
 * Each call makes half a dozen of them, and `createHmac` spends several times longer on its object than on the two hashes.
 */
import { createHmac, createSecretKey, hash } from 'node:crypto';

const KEY_BYTES = 32;
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
/** Longer texts go the usual way. */
const MAX_SHORT_CHARS = 256;

// Reused: a buffer per text costs more than its hash. Hashing is synchronous and never re-enters.
const inner = Buffer.alloc(BLOCK_BYTES + 3 * MAX_SHORT_CHARS);
const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);
// Behind the key each block is its pad alone, whatever the key.
inner.fill(INNER_PAD, KEY_BYTES, BLOCK_BYTES);
outer.fill(OUTER_PAD, KEY_BYTES, BLOCK_BYTES);

/**
 * Runs `use` with the HMAC under `key`. It gives lower-case hex, and works only until `use` returns.
 *
 * @param key - 32 bytes as 64 hex digits, checked by the caller.
 */
export function withHmacKey<T>(key: string, use: (hmac: (text: string) => string) => T): T {
  inner.write(key, 0, 'hex');
  for (let i = 0; i < KEY_BYTES; i++) {
    const byte = inner[i] as number;
    inner[i] = byte ^ INNER_PAD;
    outer[i] = byte ^ OUTER_PAD;
  }
  try {
    return use((text) => (text.length > MAX_SHORT_CHARS ? longHmac(key, text) : shortHmac(text)));
  } finally {
    // A key that is erased from its opening must not be found here, nor what was made of it.
    for (let i = 0; i < KEY_BYTES; i++) inner[i] = outer[i] = outer[BLOCK_BYTES + i] = 0;
  }
}

/** Longer texts go the usual way. */
const MAX_KEPT_CHARS = 2048;

/**
 * The HMAC under one key that stays, lower-case hex: the secret of a store, under which each call makes two.
 *
 * @throws {RangeError} for a key that is not 32 bytes.
 */
export function hmacUnder(key: Uint8Array): (text: string) => string {
  if (key.length !== KEY_BYTES) throw new RangeError(`the key has ${key.length} bytes, not ${KEY_BYTES}`);
  const long = createSecretKey(key);
  const first = Buffer.alloc(BLOCK_BYTES + 3 * MAX_KEPT_CHARS);
  const second = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    first[i] = (key[i] ?? 0) ^ INNER_PAD;
    second[i] = (key[i] ?? 0) ^ OUTER_PAD;
  }
  return (text) => {
    if (text.length > MAX_KEPT_CHARS) return createHmac('sha256', long).update(text, 'utf8').digest('hex');
    const length = BLOCK_BYTES + first.write(text, BLOCK_BYTES, 'utf8');
    second.write(hash('sha256', first.subarray(0, length), 'binary'), BLOCK_BYTES, 'binary');
    // It may hold raw arguments, which are nobody's once the call is over.
    first.fill(0, BLOCK_BYTES, length);
    return hash('sha256', second, 'hex');
  };
}

function shortHmac(text: string): string {
  const length = BLOCK_BYTES + inner.write(text, BLOCK_BYTES, 'utf8');
  outer.write(hash('sha256', inner.subarray(0, length), 'binary'), BLOCK_BYTES, 'binary');
  return hash('sha256', outer, 'hex');
}

function longHmac(key: string, text: string): string {
  return createHmac('sha256', Buffer.from(key, 'hex')).update(text, 'utf8').digest('hex');
}
