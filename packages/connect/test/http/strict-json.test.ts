import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { strictJson } from '../../src/http/strict-json.ts';

const read = (text: string): unknown => strictJson(Buffer.from(text));

describe('JSON that everybody reads alike', () => {
  it('is every JSON value that names no member twice', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(read(text)).toEqual({ value: JSON.parse(text) });
      }),
    );
  });

  it('never names a member twice, wherever it stands and however it is spelled', () => {
    const spelled = fc.constantFrom(
      (name: string) => JSON.stringify(name),
      (name: string) =>
        `"${Array.from({ length: name.length }, (_, i) => `\\u${name.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`,
    );
    fc.assert(
      fc.property(fc.string(), fc.json({ maxDepth: 2 }), fc.json({ maxDepth: 2 }), spelled, spelled, (name, one, other, first, second) => {
        const twice = `{${first(name)}:${one},"x${name.length}y":[],${second(name)}:${other}}`;
        for (const text of [twice, `[${twice}]`, `{"a":{"b":${twice}}}`]) expect(read(text)).toBeUndefined();
        // The same names in different objects are fine.
        expect(read(`[{${first(name)}:${one}},{${second(name)}:${other}}]`)).toBeDefined();
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['half an object', '{"a":'],
    ['two values', '{} {}'],
    ['a comma too many', '[1,]'],
    ['a comment', '{/**/}'],
    ['single quotes', "{'a':1}"],
    ['NaN', 'NaN'],
    ['a byte order mark', '\ufeff{}'],
    ['more levels than 64', `${'['.repeat(65)}${']'.repeat(65)}`],
  ])('is not %s', (_, text) => {
    expect(read(text)).toBeUndefined();
  });

  it('is not bytes that are no UTF-8', () => {
    expect(strictJson(Buffer.of(0x22, 0xff, 0x22))).toBeUndefined();
    expect(strictJson(Buffer.of(0x22, 0xed, 0xa0, 0x80, 0x22))).toBeUndefined();
  });

  it('may have 64 levels', () => {
    expect(read(`${'['.repeat(64)}${']'.repeat(64)}`)).toBeDefined();
  });
});
