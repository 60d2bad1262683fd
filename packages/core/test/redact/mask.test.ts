import { describe, expect, it } from 'vitest';
import { allowAll } from '../../src/index.ts';
import { maskResult, WITHHELD_RESULT } from '../../src/redact/mask.ts';
import { createRedactor } from '../../src/redact/redact.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

const redactor = createRedactor();
const mask = (value: unknown): unknown => maskResult(value, redactor);
const URL_TEXT = 'postgres://u:hunter22@h/';
const MASKED = 'postgres://u:[redacted:url-password]@h/';

describe('maskResult', () => {
  it('puts what is no JSON back where it was, also beside a name that is a secret', () => {
    // Names that look like numbers stand first, and the replaced one is none any more.
    const value = { 123456: new Date(5), 999999999: 'text', b: Buffer.from('x') };
    const masked = maskResult(value, createRedactor({ values: ['123456'] }));
    expect(masked).toEqual({ '[redacted:value]': new Date(5), 999999999: 'text', b: Buffer.from('x') });
  });

  it('gives back the very same value when nothing is in it', () => {
    const value = { a: [1, 'x', { b: null, date: new Date(5), bytes: Buffer.from('x'), no: undefined }], fn: () => 1 };
    expect(mask(value)).toBe(value);
    for (const each of [undefined, 5, 'text', Number.NaN, 7n, new Map([['password', 'x']])]) expect(mask(each)).toBe(each);
  });

  it('replaces secrets and keeps the rest, what is no JSON too', () => {
    const date = new Date(5);
    const map = new Map([['password', 'hunter22']]);
    const value = {
      text: URL_TEXT,
      list: [URL_TEXT, date],
      password: 'hunter22',
      token: date,
      map,
      no: undefined,
      big: 7n,
      [URL_TEXT]: map,
    };
    const masked = mask(value);
    expect(masked).toEqual({
      text: MASKED,
      list: [MASKED, date],
      password: '[redacted:key-name]',
      token: '[redacted:key-name]',
      map,
      no: undefined,
      big: 7n,
      [MASKED]: map,
    });
    expect((masked as typeof value).map).toBe(map);
    expect(value.text).toBe(URL_TEXT);
    expect(mask(masked)).toBe(masked);
  });

  it('withholds what cannot be read without running code, and runs none', () => {
    let ran = 0;
    const getter = {
      ok: 1,
      get password(): string {
        ran += 1;
        return 'hunter22';
      },
    };
    const trap = (): never => {
      ran += 1;
      throw new Error('hunter22');
    };
    const proxy = new Proxy({}, { get: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap });
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    let deep: unknown = 1;
    for (let i = 0; i < 10_000; i++) deep = [deep];
    const wide: number[] = [];
    wide.length = 4_000_000_000;
    for (const value of [getter, [getter], proxy, { proxy }, cyclic, deep, wide]) expect(mask(value)).toBe(WITHHELD_RESULT);
    expect(ran).toBe(0);
  });
});

describe('a guard that masks results', () => {
  const secret = { note: URL_TEXT, password: 'hunter22' };

  it('hands on what it also records', async () => {
    const store = memoryStore();
    const guard = guardOn(store, { policy: allowAll(), maskResults: true });
    expect(await guard.run({ tool: { name: 't' }, args: {} }, () => secret)).toEqual({ note: MASKED, password: '[redacted:key-name]' });
    expect(await guard.tool('t', () => URL_TEXT)({})).toBe(MASKED);
    await guard.close();
  });

  it('and one that does not hands on the very object', async () => {
    const guard = guardOn(memoryStore(), { policy: allowAll() });
    expect(await guard.run({ tool: { name: 't' }, args: {} }, () => secret)).toBe(secret);
  });

  it('leaves what a tool throws to the caller', async () => {
    const guard = guardOn(memoryStore(), { policy: allowAll(), maskResults: true });
    const error = new Error(URL_TEXT);
    await expect(guard.run({ tool: { name: 't' }, args: {} }, () => Promise.reject(error))).rejects.toBe(error);
  });
});
