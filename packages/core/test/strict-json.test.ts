import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { strictJson } from '../src/strict-json.ts';

const read = (text: string): unknown => strictJson(Buffer.from(text));

describe('JSON that everybody reads alike', () => {
  it('is every JSON value that names no member twice', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        fc.pre(!text.includes('"__proto__"'));
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
        fc.pre(![name, one, other].some((each) => each.includes('__proto__')));
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
    ['a name that some drop', '{"a":{"__proto__":{"b":1}}}'],
    ['a name that some drop, spelled otherwise', '{"\\u005f_proto__":1}'],
    ['a number that no double holds', '{"to":12345678901234567890}'],
    ['a number that is infinite once it is read', '[1e999]'],
    ['a number with a digit too many, behind a minus', '[-0.1234567890123456789]'],
    ['more levels than 64', `${'['.repeat(65)}${']'.repeat(65)}`],
  ])('is not %s', (_, text) => {
    expect(read(text)).toBeUndefined();
  });

  it('is not bytes that are no UTF-8', () => {
    expect(strictJson(Buffer.of(0x22, 0xff, 0x22))).toBeUndefined();
    expect(strictJson(Buffer.of(0x22, 0xed, 0xa0, 0x80, 0x22))).toBeUndefined();
  });

  it('may hold digits of any number in a text, and numbers however they are written', () => {
    expect(read('["12345678901234567890", 1.0, 1E+2, -0, 9007199254740992]')).toEqual({
      value: ['12345678901234567890', 1, 100, -0, 9007199254740992],
    });
  });

  it('may have 64 levels', () => {
    expect(read(`${'['.repeat(64)}${']'.repeat(64)}`)).toBeDefined();
  });
});
