import { describe, expect, it } from 'vitest';
import { FileRefusedError } from '../../src/failure.ts';
import { editJson, parseJson } from '../../src/wrap/json-edit.ts';

describe('editing JSON by path', () => {
  it.each([
    ['', ['a'], 1, '{\n  "a": 1\n}\n'],
    [
      '{}',
      ['hooks', 'PreToolUse', 0],
      { m: '*' },
      '{\n  "hooks": {\n    "PreToolUse": [\n      {\n        "m": "*"\n      }\n    ]\n  }\n}',
    ],
    ['// c\n{\n\t"a": [\n\t\t1, // one\n\t],\n\t"z": 0\n}\n', ['a', 1], 2, '// c\n{\n\t"a": [\n\t\t1,\n\t\t2, // one\n\t],\n\t"z": 0\n}\n'],
    [
      '{\r\n    "a": 1, /* k */\r\n    "b": 2\r\n}',
      ['b'],
      { c: 3 },
      '{\r\n    "a": 1, /* k */\r\n    "b": {\r\n        "c": 3\r\n    }\r\n}',
    ],
    ['{ "a": [1, 2], "b": 3 }', ['a', 0], undefined, '{ "a": [2], "b": 3 }'],
    ['{ "a": [1], /* of b */ "b": 3, }', ['b'], undefined, '{ "a": [1], }'],
  ] as const)('%j at %j', (text, path, value, wanted) => {
    const edited = editJson(text, [...path], value);
    expect(edited).toBe(wanted);
    parseJson(edited, 'f');
  });
});

describe('a text that is refused, with where', () => {
  it.each([
    ['{\n  "a": ,\n}', /line 2, column 8/],
    ['{"a": 1', /line 1, column 8: CloseBraceExpected/],
    ['', /ValueExpected/],
    ['{} {}', /EndOfFileExpected/],
    ['['.repeat(1_000_000), /nested too deeply|CloseBracketExpected/],
  ])('%#', (text, why) => {
    expect(() => parseJson(text, 'f.json')).toThrow(why);
    expect(() => parseJson(text, 'f.json')).toThrow(FileRefusedError);
  });
});
