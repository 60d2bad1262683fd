import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import { CountersignError } from '../../src/errors.ts';
import { errorType, MAX_EXCERPT_CHARS, showAnything } from '../../src/redact/excerpt.ts';
import { createRedactor } from '../../src/redact/redact.ts';
import { anySecret } from './corpora.ts';

const redactor = createRedactor();
const show = (value: unknown, maxChars?: number): Json => showAnything(value, redactor, maxChars);
const sizeOf = (value: Json): number => JSON.stringify(value).length;

class Message {
  content = 'x';
}

function hostile(): { readonly value: unknown; readonly ran: () => number }[] {
  let ran = 0;
  const boom = (): never => {
    ran += 1;
    throw new Error('boom');
  };
  const getter = { get: boom, enumerable: true, configurable: true };
  const handler = Object.fromEntries(
    ['get', 'has', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor', 'apply', 'construct'].map((trap) => [trap, boom]),
  );
  const named = class {};
  Object.defineProperty(named, 'name', getter);
  const values: unknown[] = [
    Object.defineProperty({}, 'a', getter),
    Object.defineProperty([1], 0, getter),
    Object.defineProperty(new Error('x'), 'message', getter),
    Object.defineProperty(new Error('x'), 'name', getter),
    Object.defineProperty(new Error('x'), 'code', getter),
    Object.defineProperty({}, 'constructor', { ...getter, enumerable: false }),
    Object.create(Object.defineProperty({}, 'constructor', getter)),
    Object.create(Object.defineProperty(Object.create(Error.prototype), 'constructor', getter)),
    Object.create(new Proxy({}, handler)),
    Object.create(Object.create(new Proxy(Error.prototype, handler))),
    new Proxy({}, handler),
    new Proxy([], handler),
    new Proxy(() => 1, handler),
    new Proxy(new Error('x'), handler),
    new named(),
    { toJSON: boom, toString: boom, valueOf: boom },
    Object.defineProperty(new Map(), 'size', getter),
    Object.defineProperty(new Date(0), 'toISOString', getter),
    Object.create(Date.prototype),
    Object.create(URL.prototype),
    Object.create(Map.prototype),
    { [Symbol.toPrimitive]: boom },
  ];
  return values.map((value) => ({ value, ran: () => ran }));
}

describe('showAnything', () => {
  const cycle: { self?: unknown } = {};
  cycle.self = { again: cycle };

  it.each<[unknown, Json]>([
    ['text', 'text'],
    [5, 5],
    [undefined, null],
    [Number.NaN, '[NaN]'],
    [10n ** 30n, '[bigint]'],
    [Symbol('secret'), '[symbol]'],
    [() => 1, '[function]'],
    [cycle, { self: { again: '[cycle]' } }],
    [new Message(), '[instance Message]'],
    [{ list: [new Message(), Promise.resolve()] }, { list: ['[instance Message]', '[instance Promise]'] }],
    [Buffer.from('abc'), '[bytes:3]'],
    [new Date(Number.NaN), '[date invalid]'],
    [{ a: undefined, b: 1 }, { b: 1 }],
    [Object.defineProperty({}, 'a', { get: () => 'x', enumerable: true }), { a: '[getter]' }],
    [new TypeError('bad input'), { name: 'TypeError', message: 'bad input' }],
    [Object.assign(new Error('no file'), { code: 'ENOENT', extra: 'x' }), { name: 'Error', message: 'no file', code: 'ENOENT' }],
    [new CountersignError('OPTIONS_INVALID', 'm'), { name: 'CountersignError', message: 'm', code: 'OPTIONS_INVALID' }],
    ['lone \ud800', 'lone \ufffd'],
    [{ password: 'hunter22' }, { password: '[redacted:key-name]' }],
    [
      new Error('connect postgres://app:hunter22@db.example'),
      { name: 'Error', message: 'connect postgres://app:[redacted:url-password]@db.example' },
    ],
  ])('of %s', (value, expected) => {
    expect(show(value)).toEqual(expected);
  });

  it('runs nobody else’s code and never throws', () => {
    for (const { value, ran } of hostile()) {
      expect(() => JSON.stringify(show(value))).not.toThrow();
      expect(() => JSON.stringify(show({ nested: [value] }))).not.toThrow();
      expect(errorType(value)).toMatch(/^[A-Za-z0-9_.]{1,64}$/);
      expect(ran()).toBe(0);
    }
  });

  it('survives a redactor that throws', () => {
    const broken = { redact: () => expect.fail('broken'), text: () => expect.fail('broken') };
    expect(showAnything({ password: 'x' }, broken)).toBe('[unreadable]');
  });

  it('keeps to the limit, in characters of JSON, with a visible mark', () => {
    const values = [
      'x'.repeat(5000),
      '\u0000'.repeat(5000),
      '😀'.repeat(5000),
      '"\\'.repeat(3000),
      Array.from({ length: 3000 }, (_, i) => i),
      { a: { b: 'y'.repeat(9000) } },
    ];
    for (const value of values) {
      for (const limit of [MAX_EXCERPT_CHARS, 1999, ...Array.from({ length: 80 }, (_, i) => 32 + i)]) {
        const shown = show(value, limit);
        expect(sizeOf(shown)).toBeLessThanOrEqual(limit);
        expect(shown).toMatch(/… \[cut\]$/);
        expect(JSON.stringify(shown)).not.toContain('\\ud');
      }
    }
    expect(show('x'.repeat(MAX_EXCERPT_CHARS - 2))).toBe('x'.repeat(MAX_EXCERPT_CHARS - 2));
    for (const limit of [0, -5, Number.NaN, 1]) expect(sizeOf(show('x'.repeat(100), limit))).toBeLessThanOrEqual(32);
  });

  it('is bounded on huge, deep, wide and sparse values', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    let bomb: unknown = 'x';
    for (let i = 0; i < 60; i++) bomb = [bomb, bomb];
    const sparse: unknown[] = [];
    sparse.length = 4_294_967_295;
    const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]));
    for (const value of [deep, bomb, sparse, wide, 'x'.repeat(50_000_000), Array.from({ length: 300 }, () => 'x'.repeat(100_000))]) {
      const shown = show(value);
      expect(sizeOf(shown)).toBeLessThanOrEqual(MAX_EXCERPT_CHARS);
      expect(shown).not.toBe('[unreadable]');
    }
  });

  it('shows no secret, nor the beginning of one, wherever the cut falls', () => {
    fc.assert(
      fc.property(anySecret, fc.integer({ min: 0, max: 120 }), fc.boolean(), (found, offset, nested) => {
        const text = `${'. '.repeat(960)}${' '.repeat(offset)}${found.text}`;
        const shown = JSON.stringify(show(nested ? { text } : text));
        for (let length = 12; length <= found.secret.length; length++) {
          // What the secret's own context says in clear (a prefix such as `sk-ant-api03-`) is at most this long.
          if (length > 16) expect(shown).not.toContain(found.secret.slice(0, length));
        }
      }),
    );
  });

  it('drops what stands at a raw cut, even when redaction makes it come into sight', () => {
    const bulk = `https://u:${'p'.repeat(65_000)}@h `;
    fc.assert(
      fc.property(anySecret, fc.integer({ min: 0, max: 200 }), (found, back) => {
        const text = bulk + ' '.repeat(65_536 - bulk.length - back) + found.text + ' '.repeat(100_000);
        const shown = JSON.stringify(show(text));
        expect(shown).not.toContain(found.secret.slice(0, 12));
      }),
      { numRuns: 50 },
    );
  });
});

describe('errorType', () => {
  class PaymentFailed extends Error {}
  class SecretlyNamed extends Error {}
  Object.defineProperty(SecretlyNamed, 'name', { value: `ghp_${'a1B2c3D4e5'.repeat(4)}` });
  it.each<[unknown, string]>([
    [new Error('x'), 'Error'],
    [new RangeError('x'), 'RangeError'],
    [new PaymentFailed('x'), 'PaymentFailed'],
    [new CountersignError('OPTIONS_INVALID', 'x'), 'CountersignError'],
    [new DOMException('x', 'AbortError'), 'DOMException'],
    [new { 'a b': class extends Error {} }['a b'](), 'Error'],
    [new SecretlyNamed('x'), 'Error'],
    [new (class extends Error {})(), 'Error'],
    ['text', 'NonError'],
    [undefined, 'NonError'],
    [null, 'NonError'],
    [{ message: 'x' }, 'NonError'],
    [new Proxy(new Error('x'), {}), 'NonError'],
  ])('of %s', (error, expected) => {
    expect(errorType(error)).toBe(expected);
  });
});
