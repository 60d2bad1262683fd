/**
 * HMAC-SHA-256 (RFC 2104) of short texts under a key of 32 bytes.
 *
 *     HMAC(key, text) = SHA-256((key XOR opad) || SHA-256((key XOR ipad) || text))
 *
 * Each call makes half a dozen of them, and `createHmac` spends several times longer on its object than on the two hashes.
 */
import { createHmac, hash } from 'node:crypto';

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
  inner.fill(INNER_PAD, KEY_BYTES, BLOCK_BYTES);
  outer.fill(OUTER_PAD, KEY_BYTES, BLOCK_BYTES);
  try {
    return use((text) => (text.length > MAX_SHORT_CHARS ? longHmac(key, text) : shortHmac(text)));
  } finally {
    // A key that is erased from its opening must not be found here.
    inner.fill(0, 0, BLOCK_BYTES);
    outer.fill(0);
  }
}

function shortHmac(text: string): string {
  const length = BLOCK_BYTES + inner.write(text, BLOCK_BYTES, 'utf8');
  outer.write(hash('sha256', inner.subarray(0, length), 'binary'), BLOCK_BYTES, 'binary');
  return hash('sha256', outer, 'hex');
}

function longHmac(key: string, text: string): string {
  return createHmac('sha256', Buffer.from(key, 'hex')).update(text, 'utf8').digest('hex');
}
