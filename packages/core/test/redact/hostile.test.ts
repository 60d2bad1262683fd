/**
 * Everything hostile through everything that reads values: nothing is thrown but a refusal with its code, no getter or trap runs
 * twice, nothing hangs, and no planted secret comes out.
 */
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { captureArguments } from '../../src/redact/arguments.ts';
import { errorType, showAnything } from '../../src/redact/excerpt.ts';
import { maskResult, WITHHELD_RESULT } from '../../src/redact/mask.ts';
import { createRedactor } from '../../src/redact/redact.ts';
import { secretsOf } from './corpora.ts';

const redactor = createRedactor();
const secret = secretsOf('hostile').find(({ kind }) => kind === 'github-token')?.secret ?? '';
const TRAPS = [
  'get',
  'set',
  'has',
  'ownKeys',
  'getOwnPropertyDescriptor',
  'getPrototypeOf',
  'isExtensible',
  'deleteProperty',
  'defineProperty',
  'apply',
  'construct',
] as const;

class Runs {
  readonly counts = new Map<string, number>();
  #proxies = 0;

  of<T>(what: string, value: T): T {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    return value;
  }

  /** A proxy that counts, by trap, property and proxy. */
  proxy<T extends object>(target: T): T {
    const id = this.#proxies++;
    const handler = Object.fromEntries(
      TRAPS.map((trap) => [
        trap,
        (...inputs: unknown[]) => {
          this.of(`${trap} ${String(inputs[1])} of ${id}`, undefined);
          return (Reflect[trap] as (...all: unknown[]) => unknown)(...inputs);
        },
      ]),
    );
    return new Proxy(target, handler);
  }

  throwing(target: object): object {
    const handler = Object.fromEntries(
      TRAPS.map((trap) => [
        trap,
        () => {
          throw this.of(trap, new Error(`${trap} of ${secret}`));
        },
      ]),
    );
    return new Proxy(target, handler);
  }

  getter(target: object, name: string | number, get: () => unknown): object {
    return Object.defineProperty(target, name, { enumerable: true, configurable: true, get: () => this.of(`getter ${name}`, get()) });
  }
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

class Plain {
  readonly field = `x ${secret}`;
  get computed(): string {
    throw new Error(secret);
  }
  toJSON(): string {
    throw new Error(secret);
  }
  toString(): string {
    throw new Error(secret);
  }
}
class List extends Array<unknown> {
  override entries(): ArrayIterator<[number, unknown]> {
    throw new Error(secret);
  }
  override [Symbol.iterator](): ArrayIterator<unknown> {
    throw new Error(secret);
  }
}
class OddError extends Error {
  override get message(): string {
    throw new Error(secret);
  }
}

function cyclic(wide: number): object {
  const value: Record<string, unknown> = { secret: {} };
  for (let i = 0; i < wide; i++) value[`way${i}`] = value;
  value['password'] = value;
  return value;
}

/** Two of each in the next: two to the power of `depth` values, in `depth` objects. */
function doubled(depth: number): unknown {
  let value: unknown = { token: null };
  for (let i = 0; i < depth; i++) value = [value, value];
  return value;
}

function deep(levels: number, leaf: unknown, name: string): unknown {
  let value = leaf;
  for (let i = 0; i < levels; i++) value = { [name]: value };
  return value;
}

function holes(length: number): unknown[] {
  return Object.assign([], { length });
}

const named = (name: string): (() => void) => Object.defineProperty(() => undefined, 'name', { value: name });

const VALUES: readonly (readonly [string, (runs: Runs) => unknown])[] = [
  ['a cycle', () => cyclic(1)],
  ['many cycles at once', () => cyclic(50)],
  [
    'a list that holds itself',
    () => {
      const list: unknown[] = [secret];
      list.push(list, list);
      return list;
    },
  ],
  [
    'a map that holds itself',
    () => {
      const map = new Map<unknown, unknown>([['a', secret]]);
      map.set(map, map);
      return map;
    },
  ],
  ['depth', () => deep(50_000, secret, 'a')],
  ['depth under names of secrets', () => deep(50_000, null, 'password')],
  [
    'depth of lists',
    () => {
      let value: unknown = secret;
      for (let i = 0; i < 50_000; i++) value = [value];
      return value;
    },
  ],
  ['a getter', (runs) => runs.getter({}, 'a', () => secret)],
  ['a getter under the name of a secret', (runs) => runs.getter({}, 'password', () => 'hunter22')],
  ['a getter in a pair', (runs) => runs.getter({ name: 'X-Api-Key' }, 'value', () => secret)],
  [
    'a getter that throws',
    (runs) =>
      runs.getter({}, 'a', () => {
        throw runs.of('thrown', new Error(secret));
      }),
  ],
  ['a getter in a list', (runs) => runs.getter([1, 2], 0, () => secret)],
  ['a getter deep under the name of a secret', (runs) => ({ credentials: [{ a: runs.getter({}, 'b', () => secret) }] })],
  ['a setter alone', () => Object.defineProperty({}, 'a', { enumerable: true, set: () => {} })],
  ['a proxy of an object', (runs) => runs.proxy({ a: secret, password: 'hunter22' })],
  ['a proxy of a list', (runs) => runs.proxy([secret, 'b'])],
  ['a proxy of a date', (runs) => runs.proxy(new Date(0))],
  ['a proxy of an error', (runs) => runs.proxy(new Error(secret))],
  ['a proxy of a function', (runs) => runs.proxy(named(secret))],
  ['a proxy inside', (runs) => ({ a: [runs.proxy({ a: secret })], password: runs.proxy({}) })],
  ['a proxy as prototype', (runs) => Object.create(runs.proxy({ constructor: named(secret) })) as unknown],
  ['a proxy that throws', (runs) => runs.throwing({ a: 1 })],
  ['a list of proxies that throw', (runs) => [runs.throwing({}), runs.throwing([])]],
  ['a revoked proxy', () => revoked({})],
  ['a revoked proxy of a list', () => revoked([])],
  ['revoked proxies inside', () => ({ a: revoked({}), password: revoked([]), list: [revoked(new Date(0))] })],
  ['an instance of a class', () => new Plain()],
  ['instances inside', () => ({ a: new Plain(), b: [new Plain()] })],
  ['a list of a class', () => List.from([secret, 'b'])],
  ['an error with a getter', () => new OddError('x')],
  [
    'an error with causes',
    () => new Error(`a ${secret}`, { cause: new AggregateError([new Error(secret)], secret, { cause: { secret } }) }),
  ],
  ['an error named like a secret', () => Object.assign(new Error('x'), { name: secret, code: secret })],
  [
    'an error of a class named like a secret',
    () => Object.create(Object.create(Error.prototype, { constructor: { value: named(secret) } }) as object) as unknown,
  ],
  ['no prototype', () => Object.assign(Object.create(null) as object, { a: secret })],
  ['a prototype with members', () => Object.create({ a: secret, password: 'hunter22' }) as unknown],
  ['a prototype of getters', (runs) => Object.create(runs.getter({}, 'a', () => secret)) as unknown],
  ['a class made by hand', () => Object.create({ constructor: { name: secret } }) as unknown],
  ['a false date', () => Object.create(Date.prototype) as unknown],
  ['a false map', () => Object.setPrototypeOf({ a: secret }, Map.prototype) as unknown],
  ['a false address', () => Object.setPrototypeOf({ href: secret }, URL.prototype) as unknown],
  ['a map with the prototype of an object', () => Object.setPrototypeOf(new Map([[secret, secret]]), Object.prototype) as unknown],
  ['a date with the prototype of an object', () => Object.setPrototypeOf(new Date(0), Object.prototype) as unknown],
  ['many bytes with the prototype of an object', () => Object.setPrototypeOf(new Uint8Array(1_000_000), Object.prototype) as unknown],
  ['a false list', () => Object.setPrototypeOf({ 0: secret, length: 1 }, Array.prototype) as unknown],
  [
    'a date with a method of its own',
    (runs) => Object.assign(new Date(0), { getTime: () => runs.of('getTime', 1), toISOString: () => secret }),
  ],
  [
    'bytes with a length of their own',
    (runs) => Object.defineProperty(new Uint8Array(4), 'byteLength', { get: () => runs.of('byteLength', 1e9) }),
  ],
  ['a list of four billion holes', () => holes(2 ** 32 - 1)],
  [
    'holes and one secret',
    () => {
      const list: unknown[] = [];
      list[4_000_000_000] = secret;
      return list;
    },
  ],
  ['holes under the name of a secret', () => ({ password: holes(2 ** 32 - 1) })],
  ['few holes', () => Object.assign(holes(3), { 1: secret })],
  ['members that say toJSON', (runs) => ({ a: 1, toJSON: () => runs.of('toJSON', secret) })],
  [
    'conversions',
    (runs) => ({
      [Symbol.toPrimitive]: () => runs.of('primitive', secret),
      toString: () => runs.of('toString', secret),
      valueOf: () => runs.of('valueOf', secret),
    }),
  ],
  ['symbols', () => ({ [Symbol(secret)]: secret, a: Symbol(secret) })],
  ['special names', () => JSON.parse(`{"__proto__":{"a":"${secret}"},"constructor":"${secret}","hasOwnProperty":1}`) as unknown],
  ['a name that is a secret', () => ({ [secret]: { [secret]: 1 } })],
  ['a function named like a secret', () => named(secret)],
  ['a big integer', () => ({ password: 12345678901234567890n })],
  ['numbers that are none', () => [Number.NaN, Number.POSITIVE_INFINITY, -0]],
  ['lone surrogates', () => [`\ud800${secret}`, `${secret}\udfff`, '\ud800']],
  ['a promise and weak ones', () => [Promise.resolve(secret), new WeakMap(), new WeakRef({ secret })]],
  [
    'arguments',
    function () {
      return (function (..._all: unknown[]) {
        return arguments;
      })(secret, 2);
    },
  ],
  [
    'a generator',
    () =>
      (function* () {
        yield secret;
      })(),
  ],
];

const READERS: readonly (readonly [string, (value: unknown) => unknown])[] = [
  ['redact', (value) => redactor.redact(value)],
  ['showAnything', (value) => showAnything(value, redactor)],
  ['errorType', errorType],
];

describe.each(VALUES)('%s', (_what, make) => {
  it.each(READERS)('through %s', (_reader, read) => {
    const runs = new Runs();
    const seen = read(make(runs));
    expect([...runs.counts], 'nobody else’s code runs').toEqual([]);
    expect(JSON.stringify(seen)).not.toContain(secret);
    expect(JSON.stringify(seen)).not.toContain('hunter22');
  });

  it('redacted twice is redacted once', () => {
    const { shown } = redactor.redact(make(new Runs()));
    expect(redactor.redact(shown)).toEqual({ shown, findings: [] });
  });

  it('as arguments is copied, or refused with the code', () => {
    const runs = new Runs();
    try {
      const { value } = captureArguments(make(runs));
      expect(JSON.stringify(redactor.redact(value))).not.toContain(secret);
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      expect(error.code).toBe('ARGUMENTS_INVALID');
      expect(`${error.message} ${JSON.stringify(error.details)} ${String(error.cause)}`).not.toContain(secret);
    }
    for (const [what, count] of runs.counts) {
      // A trap is somebody's code: it may run, once for each question, never twice.
      expect(what.startsWith('getter') ? 0 : 1, what).toBe(count);
    }
  });

  it('as a result is masked, passed on unread, or withheld', () => {
    const runs = new Runs();
    const value = make(runs);
    expect(() => maskResult(value, redactor)).not.toThrow();
    expect([...runs.counts]).toEqual([]);
  });
});

it('values shared so often that nobody could write them all are cut at a number of them', () => {
  const value = { list: doubled(100), b: secret };
  expect(JSON.stringify(redactor.redact(value).shown)).toContain('[too many]');
  expect(maskResult(value, redactor)).toBe(WITHHELD_RESULT);
  expect(JSON.stringify(showAnything(value, redactor)).length).toBeLessThanOrEqual(2000);
});
