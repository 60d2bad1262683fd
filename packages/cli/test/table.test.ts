import { columnsOf } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { tableLines, wrap } from '../src/table.ts';
import { instant, span } from '../src/time.ts';

const COLUMNS = [{ title: 'ID' }, { title: 'NAME', minWidth: 4 }, { title: 'NOTE', minWidth: 4 }];

describe('tableLines', () => {
  it('lines columns up and ends no line in spaces', () => {
    expect(
      tableLines(COLUMNS, [
        ['1', 'a', 'x'],
        ['22', 'bbbbb', ''],
      ]),
    ).toEqual(['ID  NAME   NOTE', '1   a      x', '22  bbbbb']);
  });

  it('takes from the widest column first', () => {
    expect(tableLines(COLUMNS, [['1', 'a'.repeat(30), 'short']], 22)).toEqual(['ID  NAME         NOTE', '1   aaaaaaaaaa…  short']);
  });

  it('counts wide characters twice and marks not at all', () => {
    expect(tableLines(COLUMNS, [['1', '文字文字文字', 'e\u0301']], 17)).toEqual(['ID  NAME     NOTE', '1   文字文…  e\u0301']);
  });

  it('counts wide punctuation and compatibility forms twice too', () => {
    const [title = '', row = ''] = tableLines(COLUMNS, [['1', '「、。」￥〔', 'x']]);
    expect(columnsOf(row.slice(0, row.indexOf('x')))).toBe(columnsOf(title.slice(0, title.indexOf('NOTE'))));
    expect(columnsOf('「、。」￥〔')).toBe(12);
  });

  it('gives up when nothing may give way', () => {
    expect(tableLines(COLUMNS, [['1', 'a', 'b']], 3)[0]).toBe('ID  NAME  NOTE');
  });
});

describe('wrap', () => {
  it.each([
    ['', 10, ['']],
    ['a b', 10, ['a b']],
    ['aaa bbb ccc', 7, ['aaa bbb', 'ccc']],
    ['aaaaaaaaaa', 4, ['aaaa', 'aaaa', 'aa']],
    ['x aaaaaaaa', 4, ['x', 'aaaa', 'aaaa']],
    ['aaaa', 0, ['aa', 'aa']],
    ['文字文', 4, ['文字', '文']],
    ['e\u0301\u0301 x', 2, ['e\u0301\u0301', 'x']],
  ])('%j in %d columns', (text, columns, lines) => {
    expect(wrap(text, columns)).toEqual(lines);
  });
});

describe('times', () => {
  it.each([
    [-5, '0s'],
    [0, '0s'],
    [59_000, '59s'],
    [119_000, '1m'],
    [7_200_000, '2h'],
    [200_000_000, '2d'],
  ])('%d ms are %s', (ms, text) => {
    expect(span(ms)).toBe(text);
  });

  it('a time no date can hold stays a number', () => {
    expect(instant(Number.MAX_SAFE_INTEGER)).toBe('9007199254740991');
    expect(instant(0)).toBe('1970-01-01T00:00:00.000Z');
  });
});
