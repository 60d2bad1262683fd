/**
 * Signatures of Standard Webhooks 1.0.0, symmetric (`v1`). For example:
 *
 *     webhook-id: asked_5a8c...
 *     webhook-timestamp: 1767323045
 *     webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1,x1U9...
 *
 * A signature is HMAC-SHA-256 over `{id}.{timestamp}.{body}` under the bytes behind `whsec_`; there is one for each secret
 * while secrets are being replaced. Ours and not the `standardwebhooks` package, which takes one secret, reads only the real
 * clock, accepts a timestamp with letters after it and any text as the body's bytes; tests check both against each other.
 *
 * @see https://www.standardwebhooks.com
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { CountersignError } from '@countersign/core';

/** Messages further from now than this, in either direction, are refused. */
export const TOLERANCE_MS: number = 5 * 60_000;

const PREFIX = 'whsec_';
const MIN_KEY_BYTES = 24;
const MAX_KEY_BYTES = 64;
const MAC_BYTES = 32;
const MAX_SIGNATURES = 16;
const MAX_HEADER_CHARS = 2048;
/** Printable, and no full stop: with one in it, `a.1` at `2` could be read as `a` at `1`. */
const ID_SHAPE = /^[\x21-\x2d\x2f-\x7e]{1,256}$/;
const TIMESTAMP_SHAPE = /^(?:0|[1-9][0-9]{0,10})$/;

/**
 * The key behind a secret.
 *
 * @param secret - `whsec_` and base64 of 24 to 64 bytes; space around it is ignored.
 * @throws {CountersignError} `OPTIONS_INVALID`; its message repeats nothing of the secret.
 */
export function webhookKey(secret: string): KeyObject {
  const text = typeof secret === 'string' ? secret.trim() : '';
  const bytes = text.startsWith(PREFIX) ? base64Bytes(text.slice(PREFIX.length)) : undefined;
  if (bytes === undefined || bytes.length < MIN_KEY_BYTES || bytes.length > MAX_KEY_BYTES)
    throw new CountersignError('OPTIONS_INVALID', `a webhook secret is ${PREFIX} and base64 of ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} bytes`);
  return createSecretKey(bytes);
}

/** Headers of a message. @param id - without full stops. @param body - exactly what is sent. */
export function signedHeaders(keys: readonly KeyObject[], id: string, atMs: number, body: string): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(atMs / 1000));
  const signatures = keys.map((key) => `v1,${macOf(key, id, timestamp, Buffer.from(body)).toString('base64')}`);
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

/** `late`: signed by one of the keys, but not now. */
export type Verified = { readonly kind: 'signed'; readonly id: string } | { readonly kind: 'late' } | { readonly kind: 'unsigned' };

/**
 * Whether one of the keys signed these bytes now. Takes as long for a wrong signature as for a right one: no comparison
 * ends early, and every key is tried.
 */
export function verifySigned(headers: Headers, body: Uint8Array, keys: readonly KeyObject[], nowMs: number): Verified {
  const id = headers.get('webhook-id') ?? '';
  const timestamp = headers.get('webhook-timestamp') ?? '';
  if (!ID_SHAPE.test(id) || !TIMESTAMP_SHAPE.test(timestamp)) return { kind: 'unsigned' };
  const given = signatures(headers.get('webhook-signature') ?? '');
  let isSigned = false;
  for (const key of keys) {
    const mac = macOf(key, id, timestamp, body);
    for (const signature of given) if (timingSafeEqual(mac, signature)) isSigned = true;
  }
  if (!isSigned) return { kind: 'unsigned' };
  return Math.abs(nowMs - Number(timestamp) * 1000) > TOLERANCE_MS ? { kind: 'late' } : { kind: 'signed', id };
}

/** Other versions may stand beside ours, and are passed over. */
function signatures(header: string): readonly Buffer[] {
  if (header.length > MAX_HEADER_CHARS) return [];
  return header
    .split(' ')
    .slice(0, MAX_SIGNATURES)
    .flatMap((each) => (each.startsWith('v1,') ? (base64Bytes(each.slice(3)) ?? []) : []))
    .filter(({ length }) => length === MAC_BYTES);
}

function macOf(key: KeyObject, id: string, timestamp: string, body: Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
}

/** Undefined unless it is the one way to write these bytes. */
function base64Bytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
