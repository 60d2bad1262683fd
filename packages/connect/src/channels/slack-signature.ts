/**
 * Whether Slack sent this: `X-Slack-Signature` is `v0=` and HMAC-SHA-256, in hex, over `v0:{timestamp}:{body}` under the
 * app's signing secret.
 *
 * @see https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { CountersignError } from '@countersign/core';

export const SLACK_TOLERANCE_MS: number = 5 * 60_000;
const SECRET_SHAPE = /^[\x21-\x7e]{16,256}$/;
const TIMESTAMP_SHAPE = /^[1-9][0-9]{0,10}$/;
const SIGNATURE_SHAPE = /^v0=[0-9a-f]{64}$/;

/** @throws {CountersignError} `OPTIONS_INVALID`; its message repeats nothing of the secret. */
export function slackKey(secret: string): KeyObject {
  const text = typeof secret === 'string' ? secret.trim() : '';
  if (!SECRET_SHAPE.test(text))
    throw new CountersignError(
      'OPTIONS_INVALID',
      'the signing secret of a Slack app has 16 to 256 characters without space: copy it from the app',
    );
  return createSecretKey(Buffer.from(text));
}

/** Signed by one of the keys within five minutes of now. No comparison ends early, and every key is tried. */
export function isFromSlack(headers: Headers, body: Uint8Array, keys: readonly KeyObject[], nowMs: number): boolean {
  const timestamp = headers.get('x-slack-request-timestamp') ?? '';
  const signature = headers.get('x-slack-signature') ?? '';
  if (!TIMESTAMP_SHAPE.test(timestamp) || !SIGNATURE_SHAPE.test(signature)) return false;
  const given = Buffer.from(signature.slice(3), 'hex');
  let isSigned = false;
  for (const key of keys) {
    const mac = createHmac('sha256', key).update(`v0:${timestamp}:`).update(body).digest();
    if (timingSafeEqual(mac, given)) isSigned = true;
  }
  return isSigned && Math.abs(nowMs - Number(timestamp) * 1000) <= SLACK_TOLERANCE_MS;
}
