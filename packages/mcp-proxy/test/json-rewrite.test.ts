import { createRedactor } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REMOVED, rewriteJson } from '../src/json-rewrite.ts';

const redactor = createRedactor({ values: ['246813579'] });

function masked(text: string): string {
  const before: unknown = JSON.parse(text);
  return rewriteJson(text, before, redactor.redact(before).shown);
}

describe('a masked JSON text', () => {
  it.each<[string, string, string]>([
    ['the string concerned', '{"a":"x", "password" :"hunter22"}', '{"a":"x", "password" :"[redacted:key-name]"}'],
    ['a part of it', '["see postgres://u:hunter22@h/"]', '["see postgres://u:[redacted:url-password]@h/"]'],
    ['one written with escapes', '{"\\u0070assword":"hunte\\u0072\\u00322\\"\\\\"}', '{"\\u0070assword":"[redacted:key-name]"}'],
    ['a number', '{"n":1.50,"api_token":12345678901234567890}', '{"n":1.50,"api_token":"[redacted:key-name]"}'],
    [
      'an object and a list',
      '{ "credentials": {"a":[1, {"b":"}]"}]} ,"tokens":["x]","y\\""] }',
      '{ "credentials": "[redacted:key-name]" ,"tokens":["x]","y\\""] }',
    ],
    ['the name of a member', '{"postgres://u:hunter22@h/": 1.0 , "b":{}}', '{"postgres://u:[redacted:url-password]@h/": 1.0 , "b":{}}'],
    [
      'names that look like numbers',
      '{"x":1.0,"246813579":2.0,"7":3.0,"999999999":4.0}',
      '{"x":1.0,"[redacted:value]":2.0,"7":3.0,"999999999":4.0}',
    ],
    ['the whole text', '  "postgres://u:hunter22@h/" ', '  "postgres://u:[redacted:url-password]@h/" '],
    [
      'empty containers beside it',
      '[ [ ] , { } ,[[]],{"a":{ }} ,{"password":"hunter22"}]',
      '[ [ ] , { } ,[[]],{"a":{ }} ,{"password":"[redacted:key-name]"}]',
    ],
    ['words beside it', '[true ,false,null, {"secret":"hunter22"},true]', '[true ,false,null, {"secret":"[redacted:key-name]"},true]'],
    [
      'special names',
      '{"__proto__":{"password":"hunter22"},"constructor":1.0}',
      '{"__proto__":{"password":"[redacted:key-name]"},"constructor":1.0}',
    ],
  ])('changes %s', (_what, text, expected) => {
    expect(masked(text)).toBe(expected);
  });

  it.each([
    '12345678901234567890',
    '[0.1000000000000000055511151231257827, 1e400, -0, -0.0, 1E+2, 9007199254740993]',
    '{"\\u0061":"\\/\\u002f\\ud83d\\ude00\\t","b" :\t[ ],"10":1,"9":2,"":""}',
    '"\\ud800 lone"',
    '"\\\\"',
    '["\\\\\\"", "\\"]" , "{"]',
    ' {"a" : {"b":[{"c":null} , true]}}\t',
    '{}',
    ' [ ] ',
  ])('of which nothing is masked is the same: %s', (text) => {
    expect(masked(text)).toBe(text);
    expect(rewriteJson(text, JSON.parse(text), structuredClone(JSON.parse(text)))).toBe(text);
  });

  it('means what it was to mean, whatever it was', () => {
    const value = fc.jsonValue({ maxDepth: 4 });
    fc.assert(
      fc.property(value, value, fc.nat(3), (before, after, indent) => {
        const text = JSON.stringify(before, null, indent);
        expect(JSON.parse(rewriteJson(text, JSON.parse(text), after))).toEqual(JSON.parse(JSON.stringify(after)));
      }),
      { numRuns: 2000 },
    );
  });

  it('of strings that end in backslashes, and of deep ones, is found to its end', () => {
    const deep = `${'['.repeat(190)}{"password":"hunter22"}${']'.repeat(190)}`;
    const before: unknown = JSON.parse(deep);
    const after: unknown = JSON.parse(deep.replace('hunter22', 'x'));
    expect(rewriteJson(deep, before, after)).toBe(deep.replace('hunter22', 'x'));
    const long = `["${'\\\\'.repeat(500_000)}","${'\\"'.repeat(500_000)}",{"password":"hunter22"}]`;
    expect(masked(long)).toBe(long.replace('hunter22', '[redacted:key-name]'));
  });
});

describe('a list that loses items', () => {
  it.each<[string, string, readonly number[]]>([
    ['[ 1 , 2.0,\t3 ]', '[ 1 , 2.0,\t3 ]', []],
    ['[ 1 , 2.0,\t3 ]', '[ 2.0,\t3 ]', [0]],
    ['[ 1 , 2.0,\t3 ]', '[ 1,\t3 ]', [1]],
    ['[ 1 , 2.0,\t3 ]', '[ 1 , 2.0 ]', [2]],
    ['[ 1 , 2.0,\t3 ]', '[ 3 ]', [0, 1]],
    ['[ 1 , 2.0,\t3 ]', '[ 2.0 ]', [0, 2]],
    ['[ 1 , 2.0,\t3 ]', '[ 1 ]', [1, 2]],
    ['[ 1 , 2.0,\t3 ]', '[  ]', [0, 1, 2]],
    ['["]", {"a":"],[" , "b":[1,2]},[[]]]', '["]",[[]]]', [1]],
    ['["\\\\",",\\"]","x"]', '["\\\\","x"]', [1]],
  ])('%s becomes %s', (text, expected, removed) => {
    const before = JSON.parse(text) as unknown[];
    const after = before.map((item, i) => (removed.includes(i) ? REMOVED : item));
    expect(rewriteJson(text, before, after)).toBe(expected);
    const inside = `{ "tools" :${text}, "n":1.0 }`;
    expect(rewriteJson(inside, { tools: before, n: 1 }, { tools: after, n: 1 })).toBe(`{ "tools" :${expected}, "n":1.0 }`);
  });

  it('has the others as they were, and what was replaced in them', () => {
    const list = fc.array(fc.tuple(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('keep', 'remove', 'replace')), { maxLength: 8 });
    fc.assert(
      fc.property(list, fc.nat(3), (items, indent) => {
        const text = JSON.stringify(
          items.map(([item]) => item),
          null,
          indent,
        );
        const before = JSON.parse(text) as unknown[];
        const after = before.map((item, i) => (items[i]?.[1] === 'keep' ? item : items[i]?.[1] === 'remove' ? REMOVED : 'new'));
        expect(JSON.parse(rewriteJson(text, before, after))).toEqual(after.filter((item) => item !== REMOVED));
      }),
      { numRuns: 1000 },
    );
  });
});
