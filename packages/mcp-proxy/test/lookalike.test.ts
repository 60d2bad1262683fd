import { describe, expect, it } from 'vitest';
import { lookalike } from '../src/lookalike.ts';

const NAMES: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'name', 'arguments', 'tools/call', 'kind']);

describe('lookalike', () => {
  it.each([
    ['Method', 'method'],
    ['METHOD', 'method'],
    ['ID', 'id'],
    ['\u0131d', 'id'],
    ['\u0130D', 'id'],
    ['param\u017f', 'params'],
    ['\u212aind', 'kind'],
    ['\uff4eame', 'name'],
    ['na\u200bme', 'name'],
    ['na\u00adme', 'name'],
    ['\ufeffname', 'name'],
    ['name ', 'name'],
    ['\tname', 'name'],
    ['na\u0000me', 'name'],
    ['náme', 'name'],
    ['name\u0301', 'name'],
    ['\u{1d4c3}ame', 'name'],
    ['Tools/Call', 'tools/call'],
    ['tools\uff0fcall', 'tools/call'],
  ])('%j is %s', (text, name) => {
    expect(lookalike(text, NAMES)).toBe(name);
  });

  it('does not look at names far too long for one', () => {
    expect(lookalike(`n${'\u200b'.repeat(1_000_000)}ame`, NAMES)).toBeUndefined();
  });

  it.each(['method', 'id', 'names', 'meth', '', '_meta', 'Other', 'task', 'constructor', '__proto__'])('%j is itself', (text) => {
    expect(lookalike(text, NAMES)).toBeUndefined();
  });
});
