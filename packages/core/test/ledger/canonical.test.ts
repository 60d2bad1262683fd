import { readdirSync } from 'node:fs';
import canonicalizeOracle from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalize, MAX_CANONICAL_CHARS, MAX_CANONICAL_DEPTH, parseCanonical } from '../../src/ledger/canonical.ts';
import { hasVectors, vectorBytes, vectorJson, vectorPath, vectorText } from '../vectors.ts';

const refused = expect.objectContaining({ code: 'CANONICAL_INVALID' });

function nested(depth: number, leaf: unknown = 1): unknown {
  let value = leaf;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

describe('canonicalize', () => {
  it('writes the example of the file header', () => {
    expect(canonicalize({ b: [1e21, -0], a: 'é\n' })).toBe('{"a":"é\\n","b":[1e+21,0]}');
  });

  it('sorts few names and many, and writes names alike however often they came', () => {
    for (const count of [2, 31, 32, 33, 200, 1200]) {
      const names = Array.from({ length: count }, (_, i) => `"${(i * 7919) % count}\u00e9`);
      const value = Object.fromEntries(names.map((name, i) => [name, i]));
      expect(canonicalize(value)).toBe(canonicalizeOracle(value));
      expect(canonicalize(value)).toBe(canonicalizeOracle(value));
    }
  });

  it.each([
    [null, 'null'],
    [true, 'true'],
    [-0, '0'],
    [1e-7, '1e-7'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    ['', '""'],
    ['\u2028</script>\u007f', '"\u2028</script>\u007f"'],
    ['\u0000\b\t\n\f\r"\\', '"\\u0000\\b\\t\\n\\f\\r\\"\\\\"'],
    [[], '[]'],
    [{}, '{}'],
    [{ a: undefined, b: 1, c: undefined }, '{"b":1}'],
    [{ 10: 1, 9: 2, '09': 3 }, '{"09":3,"10":1,"9":2}'],
    [{ '\u{1f600}': 1, '\ufb33': 2 }, '{"\u{1f600}":1,"\ufb33":2}'],
    [JSON.parse('{"b":1,"__proto__":{"z":1,"a":2}}'), '{"__proto__":{"a":2,"z":1},"b":1}'],
    [Object.assign(Object.create(null), { constructor: 1, b: 2 }), '{"b":2,"constructor":1}'],
  ])('writes %j', (value, text) => {
    expect(canonicalize(value)).toBe(text);
  });

  it('does not normalise strings', () => {
    expect(canonicalize('e\u0301')).not.toBe(canonicalize('\u00e9'));
  });

  it.each([
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['minus infinity', [Number.NEGATIVE_INFINITY]],
    ['bigint', 1n],
    ['lone high surrogate', 'a\ud800'],
    ['lone low surrogate', { a: ['\udc00b'] }],
    ['lone surrogate in a key', { '\ud800': 1 }],
    ['function', () => 1],
    ['function as a member', { a: () => 1 }],
    ['symbol', Symbol('a')],
    ['undefined', undefined],
    ['undefined in an array', [undefined]],
    ['hole in an array', Array.from({ length: 2 }).concat(1).slice(0, 0).concat([1], Array(1))],
    ['date', new Date(0)],
    ['map', new Map()],
    ['buffer', Buffer.from('a')],
    ['boxed string', Object('a')],
    [
      'class instance',
      new (class {
        a = 1;
      })(),
    ],
    ['error', new Error('x')],
    ['object with another prototype', Object.create({ a: 1 })],
    ['array subclass', new (class B extends Array {})()],
    ['toJSON function', { toJSON: () => 1 }],
    ['toJSON on an array', Object.assign([1], { toJSON: () => 2 })],
  ])('refuses %s', (_name, value) => {
    expect(() => canonicalize(value)).toThrow(refused);
  });

  it('writes a member named toJSON like any other', () => {
    expect(canonicalize({ toJSON: 1, a: 2 })).toBe('{"a":2,"toJSON":1}');
    expect(parseCanonical('{"toJSON":1}')).toEqual({ toJSON: 1 });
  });

  it('refuses a cycle and what is too deep, and allows the deepest', () => {
    const cycle: { self?: unknown } = {};
    cycle.self = [cycle];
    expect(() => canonicalize(cycle)).toThrow(refused);
    expect(() => canonicalize(nested(MAX_CANONICAL_DEPTH + 1))).toThrow(refused);
    expect(canonicalize(nested(MAX_CANONICAL_DEPTH))).toContain('1');
    expect(() => canonicalize(nested(MAX_CANONICAL_DEPTH, []))).toThrow(refused);
  });

  it('refuses a small graph that unfolds into an endless text', () => {
    let shared: unknown = 'a'.repeat(1000);
    for (let level = 0; level < 100; level++) shared = [shared, shared];
    expect(() => canonicalize(shared)).toThrow(refused);
    expect(() => canonicalize({ a: 'a'.repeat(MAX_CANONICAL_CHARS) })).toThrow(refused);
  });

  it('reads each member once', () => {
    let reads = 0;
    const twoFaced = {
      get a() {
        reads += 1;
        return reads;
      },
    };
    expect(canonicalize(twoFaced)).toBe('{"a":1}');
  });

  it('never quotes a value in an error', () => {
    const quoting = expect.objectContaining({ message: expect.stringContaining('hunter2') });
    for (const value of [{ secret: 'hunter2\ud800' }, { hunter2: 1n }]) {
      expect(() => canonicalize(value)).toThrow(refused);
      expect(() => canonicalize(value)).not.toThrow(quoting);
    }
    expect(() => parseCanonical('{"a":hunter2}')).toThrow(refused);
    expect(() => parseCanonical('{"a":hunter2}')).not.toThrow(quoting);
  });

  it('agrees with another implementation and survives a round trip', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const parsed: unknown = JSON.parse(JSON.stringify(value));
        fc.pre(!/\\ud/.test(JSON.stringify(parsed)));
        const text = canonicalize(parsed);
        expect(text).toBe(canonicalizeOracle(parsed));
        expect(parseCanonical(text)).toEqual(parsed);
      }),
      { numRuns: 500 },
    );
  });
});

describe('parseCanonical', () => {
  it.each([
    '{"a":1,"b":2}',
    '{"10":1,"9":2}',
    '{"09":3,"10":1,"9":2,"a":{"1":1,"b":[]}}',
    '{"__proto__":{"a":1},"constructor":2}',
    '"\\\\ud800"',
    '0',
    'null',
    '"\u2028"',
    '[1e+21,1e-7,5e-324]',
  ])('accepts %s', (text) => {
    expect(canonicalize(parseCanonical(text))).toBe(text);
  });

  it('keeps __proto__ an own member', () => {
    const parsed = parseCanonical('{"__proto__":{"admin":true}}');
    expect(Object.hasOwn(parsed as object, '__proto__')).toBe(true);
    expect((parsed as { admin?: unknown }).admin).toBeUndefined();
  });

  it.each([
    ['empty', ''],
    ['not JSON', '{'],
    ['unsorted keys, which JSON.stringify would keep', '{"b":1,"a":2}'],
    ['unsorted keys further down', '[{"a":{"d":1,"c":2}}]'],
    ['integer keys in numeric order', '{"9":2,"10":1}'],
    ['duplicate key', '{"a":1,"a":1}'],
    ['duplicate key, the first hidden', '{"a":1,"a":2}'],
    ['duplicate __proto__', '{"__proto__":1,"__proto__":1}'],
    ['leading space', ' 1'],
    ['trailing line feed', '1\n'],
    ['inner space', '{"a": 1}'],
    ['1.0', '1.0'],
    ['-0', '-0'],
    ['1e2', '1e2'],
    ['1E+21', '1E+21'],
    ['too precise', '0.10000000000000000001'],
    ['too large for a double', '1e999'],
    ['2^53 + 1', '9007199254740993'],
    ['escaped slash', '"\\/"'],
    ['escaped letter', '"\\u0061"'],
    ['upper-case escape', '"\\u001F"'],
    ['escaped pair', '"\\ud83d\\ude00"'],
    ['escaped lone surrogate, which JSON.stringify would keep', '"\\ud800"'],
    ['escaped lone surrogate in a key', '{"\\udfff":1}'],
    ['raw lone surrogate', '"\ud800"'],
    ['byte order mark', '\ufeff1'],
    ['too deep', '['.repeat(MAX_CANONICAL_DEPTH + 1) + ']'.repeat(MAX_CANONICAL_DEPTH + 1)],
    ['much too deep', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['too long', `"${'a'.repeat(MAX_CANONICAL_CHARS)}"`],
  ])('refuses: %s', (_name, text) => {
    expect(() => parseCanonical(text)).toThrow(refused);
  });
});

describe.skipIf(!hasVectors('jcs'))('vectors of RFC 8785', () => {
  const names = hasVectors('jcs') ? readdirSync(vectorPath('jcs/input')) : [];

  it.each(names)('%s', (name) => {
    const text = canonicalize(JSON.parse(vectorText(`jcs/input/${name}`)));
    expect(Buffer.from(text).equals(vectorBytes(`jcs/output/${name}`))).toBe(true);
    const hex = vectorText(`jcs/outhex/${name.replace('.json', '.txt')}`).replaceAll(/\s/g, '');
    expect(Buffer.from(text).toString('hex')).toBe(hex);
    expect(canonicalize(parseCanonical(text))).toBe(text);
  });

  it('all six documents were there', () => {
    expect(names).toHaveLength(6);
  });

  it('numbers of appendix B', () => {
    const numbers = Object.entries(vectorJson<Record<string, string>>('jcs/rfc8785-appendix-b-numbers.json'));
    expect(numbers).toHaveLength(24);
    const written = numbers.map(([hex]) => [hex, canonicalize(Buffer.from(hex, 'hex').readDoubleBE())]);
    expect(written).toEqual(numbers);
    for (const hex of ['7fffffffffffffff', '7ff0000000000000', 'fff0000000000000']) {
      expect(() => canonicalize(Buffer.from(hex, 'hex').readDoubleBE())).toThrow(refused);
    }
  });
});
