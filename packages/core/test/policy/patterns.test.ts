import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { compileToolPattern, MAX_PATTERN_CHARS } from '../../src/policy/patterns.ts';

type Row = readonly [pattern: string, server: string | undefined, name: string, narrow: boolean, wide: boolean];

const ROWS: readonly Row[] = [
  // bare names
  ['refund', undefined, 'refund', true, true],
  ['refund', '', 'refund', true, true],
  ['refund', 'bank', 'refund', false, true],
  ['refund', undefined, 'Refund', false, false],
  ['refund', undefined, 'refunds', false, false],
  ['refund', undefined, 'refund ', false, false],
  ['refund', undefined, 'refund\0', false, false],
  ['refund', undefined, '', false, false],
  ['refund', undefined, 'ｒｅｆｕｎｄ', false, false],
  ['read_*', undefined, 'read_', true, true],
  ['read_*', undefined, 'read_file', true, true],
  ['read_*', undefined, 'read_a/b', false, true],
  ['read_*', undefined, 'xread_', false, false],
  // the star alone
  ['*', undefined, 'anything', true, true],
  ['*', undefined, '', true, true],
  ['*', undefined, 'a/b', false, true],
  ['*', 'fs', 'anything', false, true],
  ['*', 'fs', '', false, true],
  ['*', 'fs', '\n\u{1f4a9}/../..', false, true],
  // server and name
  ['fs/read', 'fs', 'read', true, true],
  ['fs/read', 'FS', 'read', false, false],
  ['fs/read', 'fs2', 'read', false, false],
  ['fs/read', undefined, 'read', false, false],
  ['fs/read', undefined, 'fs/read', false, true],
  ['fs/read_*', 'fs', 'read_file', true, true],
  ['fs/read_*', 'fs', 'read_a/b', false, true],
  ['fs/read_*', undefined, 'fs/read_file', false, true],
  ['fs/*', 'fs', 'x', true, true],
  ['fs/*', 'fs', '', true, true],
  ['fs/*', 'fs', 'a/b', false, true],
  ['fs/*', 'fs', '/', false, true],
  ['fs/*/*', 'fs', 'a/b', true, true],
  ['fs/*/*', 'fs', 'a', false, false],
  ['fs/*/*', 'fs', 'a/b/c', false, true],
  ['fs/a/b', 'fs', 'a/b', true, true],
  ['fs/a/b', 'fs/a', 'b', false, false],
  // any server
  ['*/x', 'fs', 'x', true, true],
  ['*/x', undefined, 'x', false, true],
  ['*/x', '', 'x', false, true],
  ['*/*', 'fs', 'x', true, true],
  ['*/*', undefined, 'x', false, true],
  ['*/*', undefined, '', false, true],
  ['prod-*/drop', 'prod-db', 'drop', true, true],
  ['prod-*/drop', 'dev-db', 'drop', false, false],
  // several wildcards, taken from the left, without retries
  ['a*b*c', undefined, 'abc', true, true],
  ['a*b*c', undefined, 'axxbyyc', true, true],
  ['a*b*c', undefined, 'acb', false, false],
  ['a*a', undefined, 'a', false, false],
  ['a*a', undefined, 'aa', true, true],
  ['*ab*ab', undefined, 'ab', false, false],
  ['*ab*ab', undefined, 'abab', true, true],
  ['a*b*b', undefined, 'ab', false, false],
  // a name that looks like a pattern is text
  ['read_file', undefined, 'read_*', false, false],
  ['delete', undefined, '*', false, false],
  ['a.c', undefined, 'abc', false, false],
  ['a.c', undefined, 'a.c', true, true],
  ['constructor', undefined, 'constructor', true, true],
  ['__proto__', 'x', '__proto__', false, true],
  ['é', undefined, 'e\u0301', false, false],
];

describe('tool patterns', () => {
  it.each(ROWS)('%s against %s %j: narrow %s, wide %s', (pattern, server, name, narrow, wide) => {
    const tool = server === undefined ? { name } : { server, name };
    expect(compileToolPattern(pattern, 'narrow', 'w').matches(tool)).toBe(narrow);
    expect(compileToolPattern(pattern, 'wide', 'w').matches(tool)).toBe(wide);
  });

  it('never reaches further in an allow rule than in a deny rule', () => {
    const patterns = [...new Set(ROWS.map((row) => row[0]))];
    const tools = ROWS.map(([, server, name]) => (server === undefined ? { name } : { server, name }));
    const escaped = patterns.flatMap((pattern) => {
      const narrow = compileToolPattern(pattern, 'narrow', 'w');
      const wide = compileToolPattern(pattern, 'wide', 'w');
      return tools.filter((tool) => narrow.matches(tool) && !wide.matches(tool));
    });
    expect(escaped).toEqual([]);
  });

  it.each([
    '',
    '/x',
    'fs/',
    '**',
    'fs/**',
    'a**b',
    'a?',
    '[ab]',
    '{a,b}',
    'a\\*',
    '!fs/x',
    'a\n',
    'a\0',
    'a\u202eb',
    'x'.repeat(MAX_PATTERN_CHARS + 1),
  ])('refuses %j', (pattern) => {
    expect(() => compileToolPattern(pattern, 'wide', 'rule "r"')).toThrow(CountersignError);
    expect(() => compileToolPattern(pattern, 'wide', 'rule "r"')).toThrow(/^rule "r": /);
  });

  it('stays fast on names made to backtrack', () => {
    const pattern = compileToolPattern(`${'a*'.repeat(100)}b`, 'wide', 'w');
    expect(pattern.matches({ name: 'a'.repeat(100_000) })).toBe(false);
  });
});
