import { createHmac, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { hmacUnder, withHmacKey } from '../../src/ledger/hmac.ts';

const standard = (key: string, text: string): string => createHmac('sha256', Buffer.from(key, 'hex')).update(text, 'utf8').digest('hex');

it('is HMAC-SHA-256, for every length and for texts of one to four bytes a character', () => {
  for (let length = 0; length < 600; length++) {
    const key = randomBytes(32).toString('hex');
    const texts = ['a', '\u00e9', '\u20ac', '\ud83d\ude00', '\ud800'].map((letter) => letter.repeat(length));
    expect(withHmacKey(key, (hmac) => texts.map(hmac))).toEqual(texts.map((text) => standard(key, text)));
  }
});

it('a known answer, computed with OpenSSL', () => {
  const key = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
  expect(withHmacKey(key, (hmac) => hmac('/args/limit')).slice(0, 32)).toBe('87941b0ec00183decfaec1ffcd5e752a');
});

it('keeps no key, also when its user throws', () => {
  const key = 'ab'.repeat(32);
  let kept: ((text: string) => string) | undefined;
  expect(() =>
    withHmacKey(key, (hmac) => {
      kept = hmac;
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(kept?.('/args')).not.toBe(standard(key, '/args'));
});

it('under a key that stays it is the same, short and long, one after the other', () => {
  const key = randomBytes(32);
  const hmac = hmacUnder(key);
  for (const length of [0, 1, 63, 64, 65, 2047, 2048, 2049, 100_000, 3, 0]) {
    const texts = ['a', '\u00e9', '\u20ac', '\ud83d\ude00', '\ud800'].map((letter) => letter.repeat(length));
    expect(texts.map(hmac)).toEqual(texts.map((text) => standard(key.toString('hex'), text)));
  }
});

it('takes no key of another length', () => {
  for (const length of [0, 31, 33, 64]) expect(() => hmacUnder(new Uint8Array(length))).toThrow(RangeError);
});
