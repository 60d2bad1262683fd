import { isDeepStrictEqual } from 'node:util';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import {
  captureArguments,
  MAX_ARGUMENT_BINARY_BYTES,
  MAX_ARGUMENT_BYTES,
  MAX_ARGUMENT_DEPTH,
  MAX_ARGUMENT_NODES,
} from '../../src/redact/arguments.ts';

const exact = (raw: unknown): string => captureArguments(raw).exact;

function refusal(raw: unknown): CountersignError {
  try {
    captureArguments(raw);
  } catch (error) {
    expect(error).toBeInstanceOf(CountersignError);
    expect((error as CountersignError).code).toBe('ARGUMENTS_INVALID');
    return error as CountersignError;
  }
  throw new Error('expected a refusal');
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

class Point {
  x = 1;
}

const text = fc.string({ unit: 'binary', maxLength: 6 });
const awkward = fc.constantFrom('', '!date(0)', '!undefined', '","', ']', '[1,2]', '1', 'null', '\\', '"', '\u0000', '!map([],[])');
const rich = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(text, awkward, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: -2, max: 2 })),
    fc.constantFrom<unknown>(null, true, false, undefined, new Date(0), new Date(1), /a/g, /a/, new URL('https://a.example/')),
    fc.uint8Array({ maxLength: 3 }),
    fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    fc.uint8Array({ maxLength: 3 }).map((bytes) => new Uint8Array(bytes).buffer),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(awkward, fc.constantFrom('a', 'b')), tie('value'), { maxKeys: 4 }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => new Set(items)),
  ),
})).value;

function hasProtoKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(hasProtoKey);
}

describe('the exact text', () => {
  it('is RFC 8785 for JSON values', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        fc.pre(!hasProtoKey(value));
        expect(exact(value)).toBe(canonicalize(value));
      }),
    );
  });

  it.each<[unknown, string]>([
    [{ b: 1, a: 2 }, '{"a":2,"b":1}'],
    [{ '\u20ac': 1, '\r': 2, '\ud83d\ude00': 3, '\ufb33': 4 }, '{"\\r":2,"\u20ac":1,"\ud83d\ude00":3,"\ufb33":4}'],
    [-0, '0'],
    [1e21, '1e+21'],
    [undefined, '!undefined'],
    [[undefined], '[!undefined]'],
    // oxlint-disable-next-line no-sparse-arrays
    [[, 1], '[!undefined,1]'],
    [{ a: undefined, b: 1 }, '{"b":1}'],
    [new Date(-5), '!date(-5)'],
    [new Map<unknown, unknown>([['a', [1]]]), '!map(["a"],[[1]])'],
    [new Set([1, 'x']), '!set([1,"x"])'],
    [/a"b/gi, '!regexp("a\\"b","gi",0)'],
    [new URL('https://a.example/x?y'), '!url("https://a.example/x?y")'],
    [new Uint8Array(), '!bytes(Uint8Array,e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,0)'],
  ])('of %j is %s', (value, expected) => {
    expect(exact(value)).toBe(expected);
  });

  it('differs where values differ', () => {
    fc.assert(
      fc.property(rich, rich, (a, b) => {
        const [one, two] = [captureArguments(a), captureArguments(b)];
        if (one.exact === two.exact) expect(isDeepStrictEqual(one.value, two.value)).toBe(true);
        if (!isDeepStrictEqual(one.value, two.value)) expect(one.exact).not.toBe(two.exact);
      }),
      { numRuns: 2000 },
    );
  });

  it('differs within families that look alike', () => {
    const bytes = [1, 2, 3, 4, 5, 6, 7, 8];
    const buffer = new Uint8Array(bytes).buffer;
    const family: unknown[] = [
      new Uint8Array(buffer),
      new Int8Array(buffer),
      new Uint8ClampedArray(buffer),
      new Uint16Array(buffer),
      new Int16Array(buffer),
      new Uint32Array(buffer),
      new Int32Array(buffer),
      new Float32Array(buffer),
      new Float64Array(buffer),
      new BigInt64Array(buffer),
      new BigUint64Array(buffer),
      Buffer.from(buffer),
      buffer,
      bytes,
      new Set(bytes),
      new Map(bytes.map((byte) => [byte, byte])),
      new Map<unknown, unknown>([[1, 2]]),
      new Map<unknown, unknown>([[2, 1]]),
      new Map<unknown, unknown>([
        [1, 2],
        [3, 4],
      ]),
      new Map<unknown, unknown>([
        [3, 4],
        [1, 2],
      ]),
      [],
      {},
      new Set(),
      new Map(),
      null,
      undefined,
      'null',
      'undefined',
      '!undefined',
      0,
      '0',
      false,
      new Date(0),
      '!date(0)',
      'https://a.example/',
      new URL('https://a.example/'),
      /0/,
      /0/g,
      '/0/',
      [undefined],
      [null],
      [[]],
      [{}],
    ];
    expect(new Set(family.map(exact)).size).toBe(family.length);
  });

  it('does not depend on the order of members', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.tuple(
            text.filter((key) => key !== '__proto__'),
            fc.integer(),
          ),
          { selector: ([key]) => key },
        ),
        (entries) => {
          expect(exact(Object.fromEntries(entries))).toBe(exact(Object.fromEntries(entries.toReversed())));
        },
      ),
    );
  });
});

describe('the copy', () => {
  it('equals the original and captures to the same text', () => {
    fc.assert(
      fc.property(rich, (raw) => {
        const captured = captureArguments(raw);
        const again = captureArguments(captured.value);
        expect(again.exact).toBe(captured.exact);
        expect(isDeepStrictEqual(again.value, captured.value)).toBe(true);
      }),
    );
  });

  it('shares nothing with the original', () => {
    const raw = {
      list: [1, { deep: true }],
      bytes: Buffer.from('abc'),
      when: new Date(1),
      map: new Map([['k', { v: 1 }]]),
      url: new URL('https://a.example/'),
    };
    const { value, exact: before } = captureArguments(raw);
    (raw.list[1] as { deep: boolean }).deep = false;
    raw.list.push(9);
    raw.bytes[0] = 0;
    raw.when.setTime(99);
    const entry = raw.map.get('k');
    if (entry !== undefined) entry.v = 2;
    raw.url.pathname = '/changed';
    expect(exact(value)).toBe(before);
    expect(exact(raw)).not.toBe(before);
  });

  it('keeps types, key order and subarray bounds', () => {
    const whole = new Uint8Array([1, 2, 3, 4]);
    const { value } = captureArguments({ z: whole.subarray(1, 3), a: Buffer.from('hi'), r: /x/y, n: Object.create(null) as object });
    const copy = value as { z: Uint8Array; a: Buffer; r: RegExp; n: object };
    expect(Object.keys(copy)).toEqual(['z', 'a', 'r', 'n']);
    expect(copy.z).toEqual(new Uint8Array([2, 3]));
    expect(copy.z.buffer.byteLength).toBe(2);
    expect(Buffer.isBuffer(copy.a)).toBe(true);
    expect(copy.a.buffer.byteLength).toBe(2);
    expect(copy.r.sticky).toBe(true);
    expect(Object.getPrototypeOf(copy.n)).toBe(Object.prototype);
  });

  it('leaves out undefined members and turns -0 into 0', () => {
    const { value } = captureArguments({ a: undefined, b: -0 });
    expect(Object.keys(value as object)).toEqual(['b']);
    expect(Object.is((value as { b: number }).b, 0)).toBe(true);
  });

  it('takes prototype names as ordinary keys', () => {
    const { value } = captureArguments({ constructor: 1, toString: 2, hasOwnProperty: 3 });
    expect(Object.entries(value as object)).toEqual([
      ['constructor', 1],
      ['toString', 2],
      ['hasOwnProperty', 3],
    ]);
  });

  it('copies an object that occurs twice, twice', () => {
    const shared = { a: 1 };
    const { value, exact: written } = captureArguments([shared, shared]);
    expect(written).toBe('[{"a":1},{"a":1}]');
    const [one, two] = value as [object, object];
    expect(one).not.toBe(two);
  });
});

describe('refusals', () => {
  const cycle: { self?: unknown } = {};
  cycle.self = [cycle];
  const mapCycle = new Map<string, unknown>();
  mapCycle.set('me', mapCycle);

  it.each<[string, unknown, string]>([
    ['NaN', { a: [Number.NaN] }, '/a/0'],
    ['Infinity', { a: Number.POSITIVE_INFINITY }, '/a'],
    ['-Infinity', Number.NEGATIVE_INFINITY, ''],
    ['a BigInt', { a: { b: 1n } }, '/a/b'],
    ['a lone surrogate', { a: 'x\ud800y' }, '/a'],
    ['a lone surrogate in a key', { 'x\udc00': 1 }, '/x\ufffd'],
    ['a lone surrogate in a RegExp', new RegExp('\ud800'), ''],
    ['a cycle', cycle, '/self/0'],
    ['a cycle through a map', mapCycle, '/0'],
    ['a function', { run: () => 1 }, '/run'],
    ['a class', { run: Point }, '/run'],
    ['a symbol', [Symbol('x')], '/0'],
    ['a symbol key', { a: { [Symbol('x')]: 1 } }, '/a'],
    ['a class instance', { a: new Point() }, '/a'],
    ['a subclass of Date', new (class extends Date {})(), ''],
    ['a subclass of Map', new (class extends Map {})(), ''],
    ['a subclass of Array', new (class extends Array {})(), ''],
    ['a subclass of Uint8Array', new (class extends Uint8Array {})(2), ''],
    ['an Error', new Error('x'), ''],
    ['a Promise', Promise.resolve(), ''],
    ['a WeakMap', new WeakMap(), ''],
    ['a DataView', new DataView(new ArrayBuffer(1)), ''],
    ['a SharedArrayBuffer', new SharedArrayBuffer(1), ''],
    ['a boxed string', Object('x'), ''],
    [
      'an arguments object',
      (function () {
        return arguments; // oxlint-disable-line prefer-rest-params
      })(),
      '/length',
    ],
    ['an invalid Date', { at: new Date(Number.NaN) }, '/at'],
    ['an object that inherits members', Object.create({ hidden: 1 }), ''],
    ['a fake Date', Object.create(Date.prototype), ''],
    ['a fake URL', Object.create(URL.prototype), ''],
    ['a fake Map', Object.create(Map.prototype), ''],
    ['an own __proto__', JSON.parse('{"a":{"__proto__":{"x":1}}}'), '/a/__proto__'],
    ['a hidden property', Object.defineProperty({}, 'h', { value: 1 }), '/h'],
    ['an array with a named property', Object.assign([1], { name: 'x' }), ''],
    ['a Map with a property', Object.assign(new Map(), { extra: 1 }), ''],
    ['a Date with a property', Object.assign(new Date(0), { toJSON: 1 }), ''],
    ['a RegExp with an odd lastIndex', Object.assign(/x/, { lastIndex: { a: 1 } }), ''],
    ['a slash and a tilde in the way', { 'a/b~c': Number.NaN }, '/a~1b~0c'],
  ])('%s', (_name, raw, pointer) => {
    const error = refusal(raw);
    expect(error.details['pointer']).toBe(pointer);
    if (pointer !== '') expect(error.message).toContain(`at ${pointer}:`);
  });

  it('never runs a getter or setter', () => {
    let ran = 0;
    const trap = { get: () => (ran += 1), set: () => (ran += 1), enumerable: true };
    refusal(Object.defineProperty({}, 'a', trap));
    refusal(Object.defineProperty({}, 'a', { set: trap.set, enumerable: true }));
    refusal([Object.defineProperty([1], 0, trap)]);
    refusal(Object.defineProperty(new Map(), 'size', trap));
    refusal(Object.defineProperty(new Date(0), 'getTime', trap));
    refusal(Object.defineProperty({}, 'toJSON', trap));
    refusal(Object.defineProperty({}, 'then', { ...trap, enumerable: false }));
    captureArguments(Object.defineProperty(new Uint8Array(2), 'byteLength', trap));
    expect(ran).toBe(0);
  });

  it('escapes control characters, shortens, and redacts the pointer', () => {
    const secret = `ghp_${'a1B2c3D4e5'.repeat(4)}`;
    const { message, details } = refusal({ 'a\u0007\u202e\n': { [secret]: { ['k'.repeat(5000)]: Number.NaN } } });
    expect(message).toContain('/a\\u0007\\u202e\\u000a/[redacted:github-token]/kkk');
    expect(message).not.toContain(secret);
    expect(String(details['pointer']).length).toBeLessThanOrEqual(256);
    expect(String(details['pointer'])).toMatch(/…$/);
  });

  it('says nothing of the value', () => {
    expect(refusal({ a: 'hunter2secret\ud800' }).message).not.toContain('hunter2');
  });
});

describe('bounds', () => {
  it('takes the depth limit and refuses one level more', () => {
    expect(() => captureArguments(nested(MAX_ARGUMENT_DEPTH))).not.toThrow();
    expect(refusal(nested(MAX_ARGUMENT_DEPTH + 1)).message).toContain('deeper than 100');
  });

  it('refuses 10,000 levels, also of maps and sets, without overflowing the stack', () => {
    refusal(nested(10_000));
    let map: unknown = 1;
    for (let i = 0; i < 10_000; i++) map = i % 2 === 0 ? new Map([[map, map]]) : new Set([map]);
    refusal(map);
  });

  it('takes the number of values and refuses one more', () => {
    expect(() => captureArguments(Array.from({ length: MAX_ARGUMENT_NODES - 1 }, () => 0))).not.toThrow();
    refusal(Array.from({ length: MAX_ARGUMENT_NODES }, () => 0));
    refusal(Object.fromEntries(Array.from({ length: MAX_ARGUMENT_NODES }, (_, i) => [`k${i}`, undefined])));
  });

  it('refuses an array that only claims to be long', () => {
    const sparse: unknown[] = [];
    sparse.length = 4_294_967_295;
    refusal(sparse);
    refusal(
      new Proxy([], {
        getOwnPropertyDescriptor: (target, key) =>
          key === 'length' ? { value: 1e9, writable: true } : Reflect.getOwnPropertyDescriptor(target, key),
      }),
    );
  });

  it('does not copy an object once for every path to it without end', () => {
    let bomb: unknown = 'x';
    for (let i = 0; i < 60; i++) bomb = [bomb, bomb];
    expect(refusal(bomb).message).toContain('200000 values');
  });

  it('takes the byte limit and refuses one more, counted in UTF-8', () => {
    expect(() => captureArguments('a'.repeat(MAX_ARGUMENT_BYTES - 2))).not.toThrow();
    refusal('a'.repeat(MAX_ARGUMENT_BYTES - 1));
    refusal('€'.repeat(MAX_ARGUMENT_BYTES / 3));
    refusal('\u0001'.repeat(Math.ceil(MAX_ARGUMENT_BYTES / 6)));
    refusal('a'.repeat(10_000_000));
    refusal({ ['k'.repeat(10_000_000)]: 1 });
    refusal(Array.from({ length: 100 }, () => 'x'.repeat(50_000)));
  });

  it('bounds binary data', () => {
    expect(() => captureArguments(new Uint8Array(1_000_000))).not.toThrow();
    refusal([new Uint8Array(MAX_ARGUMENT_BINARY_BYTES), new Uint8Array(1)]);
  });
});

describe('proxies', () => {
  it('reads every property once', () => {
    const reads = new Map<PropertyKey, number>();
    const proxy = new Proxy(
      { a: 1, b: [2] },
      {
        get: () => expect.fail('get must not be used'),
        has: () => expect.fail('has must not be used'),
        getOwnPropertyDescriptor(target, key) {
          reads.set(key, (reads.get(key) ?? 0) + 1);
          return Reflect.getOwnPropertyDescriptor(target, key);
        },
      },
    );
    expect(captureArguments(proxy).exact).toBe('{"a":1,"b":[2]}');
    expect([...reads]).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('captures one answer of a proxy that changes its mind', () => {
    let asked = 0;
    const proxy = new Proxy(
      { amount: 0 },
      { getOwnPropertyDescriptor: () => ({ value: ++asked, enumerable: true, configurable: true, writable: true }) },
    );
    const captured = captureArguments(proxy);
    expect(captured.exact).toBe('{"amount":1}');
    expect(captured.value).toEqual({ amount: 1 });
  });

  const traps: (keyof ProxyHandler<object>)[] = ['getPrototypeOf', 'ownKeys', 'getOwnPropertyDescriptor'];
  it.each(traps)('refuses a throwing %s, whatever is thrown', (trap) => {
    const branded = { [Symbol.for('countersign.error')]: true, code: 'CALL_REFUSED' };
    for (const thrown of [new Error('secret text'), branded, null, undefined, 'text']) {
      const handler = {
        [trap]: () => {
          throw thrown;
        },
      }; // oxlint-disable-line no-throw-literal
      for (const target of [{ a: 1 }, [1]]) {
        const error = refusal({ outer: new Proxy(target, handler) });
        expect(error.message).not.toContain('secret text');
        expect(error.cause).toBeUndefined();
      }
    }
  });

  it('refuses a revoked proxy and a proxy of a Map', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    refusal({ a: proxy });
    refusal(new Proxy(new Map(), {}));
  });
});
