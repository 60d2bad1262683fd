import { expect, it } from 'vitest';
import { plainJson } from '../src/plain-json.ts';

it.each<[string, unknown, unknown]>([
  ['a text', '/tmp/\ud800x', '/tmp/\ufffdx'],
  ['the end of a text', 'x\udfff', 'x\ufffd'],
  ['halves the wrong way round', '\ude00\ud83d', '\ufffd\ufffd'],
  ['a name', { 'a\udbff': 1 }, { 'a\ufffd': 1 }],
  ['a list in a list', [['\udc00']], [['\ufffd']]],
  ['two behind each other', '\ud800\ud800', '\ufffd\ufffd'],
  ['one behind a backslash', '\\\ud800', '\\\ufffd'],
])('a surrogate alone in %s is replaced', (_, given, expected) => {
  expect(plainJson(given)).toEqual(expected);
});

it.each([['\ud83d\ude00 whole'], ['\\ud800 spelled'], ['\\\\ud800'], ['\\\\\\ud8ff'], ['\u0000"\\']])('%j stays as it is', (text) => {
  expect(plainJson(text)).toBe(text);
});

it('has no members that are undefined, and no numbers that JSON has not', () => {
  expect(plainJson({ a: undefined, b: Number.NaN, c: [undefined] })).toEqual({ b: null, c: [null] });
});
