import { describe, expect, it } from 'vitest';
import { MAX_SUDO_DEPTH, parseSudoText } from '../../src/sudoagent/text.ts';
import { hasVectors, vectorText } from '../vectors.ts';
import { canonical, chained, scenario } from './writer.ts';

const refused = (text: string): unknown => {
  try {
    parseSudoText(text);
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'accepted';
};

describe('canonical text of SudoAgent', () => {
  it('is what another implementation writes', () => {
    for (const entry of chained(scenario())) expect(parseSudoText(canonical(entry)).size).toBe(Object.keys(entry).length);
  });

  it.skipIf(!hasVectors('sudoagent-v2'))('is what the predecessor wrote', () => {
    const lines = vectorText('sudoagent-v2/small-signed.jsonl').trimEnd().split('\n');
    for (const line of lines) expect(parseSudoText(line).get('schema_version')).toMatchObject({ kind: 'string', text: '2.0' });
    expect(lines).toHaveLength(28);
  });

  it('keeps each number as the text that stood there', () => {
    const text = '{"a":1180591620717411303424,"b":-0.00000000000000000001,"c":0}';
    const members = parseSudoText(text);
    const shown = [...members.values()].map(({ kind, start, end }) => [kind, text.slice(start, end)]);
    expect(shown).toEqual([
      ['number', '1180591620717411303424'],
      ['number', '-0.00000000000000000001'],
      ['number', '0'],
    ]);
  });

  it('sorts by code points, where UTF-16 sorts otherwise', () => {
    expect(parseSudoText('{"\uff21":1,"😀":2}').size).toBe(2);
    expect(refused('{"😀":2,"\uff21":1}')).toBe('CANONICAL_INVALID');
    expect(parseSudoText('{"":1,"a":1,"a\ue000":1,"a😀":1,"aa":1}'.replace(',"aa":1', '')).size).toBe(4);
  });

  it('decodes escapes of names', () => {
    expect([...parseSudoText('{"\\u0001":1,"\\b":2,"\\"":3,"\\\\":4,"\u007f":5,"\u2028":6}').keys()]).toEqual([
      '\u0001',
      '\b',
      '"',
      '\\',
      '\u007f',
      '\u2028',
    ]);
  });

  it.each([
    '',
    ' {}',
    '{} ',
    '{}\r',
    '\ufeff{}',
    '[]',
    '1',
    '{"a":1,}',
    '{"a":1 }',
    '{ "a":1}',
    '{"a": 1}',
    '{"a":1,"a":2}',
    '{"b":1,"a":2}',
    '{"a":[1,{"b":1,"b":1}]}',
    '{"a":1e5}',
    '{"a":1E5}',
    '{"a":1.0}',
    '{"a":1.50}',
    '{"a":1.}',
    '{"a":.5}',
    '{"a":+1}',
    '{"a":01}',
    '{"a":-01}',
    '{"a":-0}',
    '{"a":-0.0}',
    '{"a":-}',
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":tru}',
    '{"a":nul}',
    '{"a"}',
    '{"a":}',
    '{a:1}',
    '{"a":"\t"}',
    '{"a":"\u0000"}',
    '{"a":"\\u0009"}',
    '{"a":"\\u001F"}',
    '{"a":"\\/"}',
    '{"a":"\\u0041"}',
    '{"a":"\\u00e9"}',
    '{"a":"\\u007f"}',
    '{"a":"\\ud83d\\ude00"}',
    '{"a":"\ud83d"}',
    '{"\ude00":1}',
    '{"a":"e\u0301"}',
    '{"e\u0301":1}',
    '{"a":"\u212b"}',
    '{"a":"x',
    '{"a":"x\\',
    '{"a":[1,2',
    '{"a":[1,,2]}',
    '{"a":[,]}',
    '{"a":[1,]}',
    '{"a":{"b":1}',
    '{"a":1}{"b":2}',
    '{"a":undefined}',
    "{'a':1}",
    '{"a":1//\n}',
  ])('refuses %j', (text) => {
    expect(refused(text)).toBe('CANONICAL_INVALID');
  });

  it('refuses what is nested too deep, without a crash', () => {
    const nested = (depth: number, open: string, close: string): string => `{"a":${open.repeat(depth)}1${close.repeat(depth)}}`;
    expect(parseSudoText(nested(MAX_SUDO_DEPTH - 1, '[', ']')).size).toBe(1);
    expect(refused(nested(MAX_SUDO_DEPTH, '[', ']'))).toBe('CANONICAL_INVALID');
    expect(refused(nested(1_000_000, '[', ']'))).toBe('CANONICAL_INVALID');
    expect(refused(nested(1_000_000, '{"a":', '}'))).toBe('CANONICAL_INVALID');
  });

  it('never quotes the text in its message', () => {
    expect(() => parseSudoText('{"secret":1,"secret":2}')).toThrow(/^sudoagent text: a duplicate key, at character 13$/);
  });
});
