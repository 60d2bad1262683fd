import { readFileSync } from 'node:fs';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { signedHeaders, TOLERANCE_MS, verifySigned, webhookKey } from '../../src/channels/standard-webhooks.ts';
import { webhookSecret } from './fixtures.ts';

const [secret, old] = [webhookSecret(), webhookSecret(24)];
const keys = [webhookKey(secret), webhookKey(old)];
const BODY = '{"type":"approval.asked","data":{"name":"Zoë 💶"}}';
const NOW = 1_767_323_045_000;

function check(change: Readonly<Record<string, string | undefined>> = {}, body: string | Uint8Array = BODY, nowMs = NOW): string {
  const headers = new Headers(signedHeaders(keys, 'msg_1', NOW, BODY));
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
  }
  return verifySigned(headers, typeof body === 'string' ? Buffer.from(body) : body, keys, nowMs).kind;
}

describe('against the package standardwebhooks', () => {
  it.each([secret, old])('what we sign verifies there, under each secret', (each) => {
    const headers = signedHeaders(keys, 'msg_1', Date.now(), BODY);
    expect(new Webhook(each).verify(BODY, { ...headers })).toEqual(JSON.parse(BODY));
    expect(() => new Webhook(each).verify(`${BODY} `, { ...headers })).toThrow('No matching signature');
  });

  it.each([secret, old])('what it signs verifies here, under each secret', (each) => {
    const signature = new Webhook(each).sign('msg_2', new Date(NOW), BODY);
    const headers = new Headers({ 'webhook-id': 'msg_2', 'webhook-timestamp': String(NOW / 1000), 'webhook-signature': signature });
    expect(verifySigned(headers, Buffer.from(BODY), keys, NOW)).toEqual({ kind: 'signed', id: 'msg_2' });
    expect(verifySigned(headers, Buffer.from(BODY), [webhookKey(webhookSecret())], NOW)).toEqual({ kind: 'unsigned' });
  });

  it('is a dependency of the tests only, as the comment says', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Record<string, object>;
    expect(Object.keys(manifest['dependencies'] ?? {})).not.toContain('standardwebhooks');
  });
});

describe('verifying', () => {
  it('takes a message within five minutes either way, to the second', () => {
    expect(check()).toBe('signed');
    expect(check({}, BODY, NOW + TOLERANCE_MS)).toBe('signed');
    expect(check({}, BODY, NOW - TOLERANCE_MS)).toBe('signed');
    expect(check({}, BODY, NOW + TOLERANCE_MS + 1)).toBe('late');
    expect(check({}, BODY, NOW - TOLERANCE_MS - 1)).toBe('late');
  });

  it('refuses every changed byte and every truncation of the body', () => {
    const bytes = Buffer.from(BODY);
    for (let i = 0; i < bytes.length; i++) {
      expect(check({}, bytes.subarray(0, i))).toBe('unsigned');
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(check({}, changed)).toBe('unsigned');
    }
  });

  it('refuses bytes that would decode to the same text', () => {
    // Both are U+FFFD once decoded; what was signed are bytes.
    const signed = Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')]);
    const other = Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xfe), Buffer.from('"}')]);
    const headers = new Headers(signedHeaders(keys, 'msg_1', NOW, signed.toString('utf8')));
    expect(verifySigned(headers, signed, keys, NOW).kind).toBe('unsigned');
    expect(verifySigned(headers, other, keys, NOW).kind).toBe('unsigned');
  });

  const good = signedHeaders(keys, 'msg_1', NOW, BODY)['webhook-signature'] ?? '';
  const [first = ''] = good.split(' ');
  it.each([
    ['no id', { 'webhook-id': undefined }],
    ['another id', { 'webhook-id': 'msg_2' }],
    ['an id with a full stop', { 'webhook-id': 'msg.1' }],
    ['an id that is too long', { 'webhook-id': 'm'.repeat(257) }],
    ['no timestamp', { 'webhook-timestamp': undefined }],
    ['another timestamp', { 'webhook-timestamp': String(NOW / 1000 + 1) }],
    ['a timestamp with letters after it', { 'webhook-timestamp': `${NOW / 1000}abc` }],
    ['a timestamp with a zero before it', { 'webhook-timestamp': `0${NOW / 1000}` }],
    ['a timestamp in exponents', { 'webhook-timestamp': '1e9' }],
    ['a negative timestamp', { 'webhook-timestamp': '-1' }],
    ['no signature', { 'webhook-signature': undefined }],
    ['an empty signature', { 'webhook-signature': '' }],
    ['a signature without its version', { 'webhook-signature': first.slice(3) }],
    ['a signature of another version', { 'webhook-signature': first.replace('v1,', 'v1a,') }],
    ['a signature that is not canonical base64', { 'webhook-signature': first.replace(/=$/, '') }],
    ['half a signature', { 'webhook-signature': first.slice(0, 20) }],
    ['a header that is too long', { 'webhook-signature': `${'v2,x '.repeat(500)}${first}` }],
    ['the right one behind too many wrong ones', { 'webhook-signature': `${'v1,x '.repeat(16)}${first}` }],
  ])('refuses %s', (_, change) => {
    expect(check(change)).toBe('unsigned');
  });

  it('finds the right signature among others', () => {
    expect(check({ 'webhook-signature': `v1a,abc v1,AAAA ${first} v9,zzz` })).toBe('signed');
  });

  it('tells nobody without a key that a message is too old', () => {
    expect(check({ 'webhook-signature': 'v1,AAAA' }, BODY, NOW + TOLERANCE_MS * 2)).toBe('unsigned');
  });
});

describe('a secret', () => {
  it.each([
    ['without its prefix', secret.slice(6)],
    ['that is too short', webhookSecret(23)],
    ['that is too long', webhookSecret(65)],
    ['that is no base64', 'whsec_not!base64not!base64not!base64not!base64'],
    ['that is empty', ''],
  ])('%s is refused, and not repeated', (_, text) => {
    let told = '';
    try {
      webhookKey(text);
    } catch (error) {
      told = String(error);
    }
    expect(told).toContain('a webhook secret is whsec_ and base64 of 24 to 64 bytes');
    if (text !== '') expect(told).not.toContain(text);
  });

  it('may have space around it', () => {
    expect(webhookKey(` ${secret}\n`).equals(webhookKey(secret))).toBe(true);
  });
});
