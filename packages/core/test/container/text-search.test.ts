import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { factsOf } from '../../src/container/facts.ts';
import { MAX_HITS, MAX_QUERY_CHARS, textSearch } from '../../src/container/text-search.ts';
import type { Json } from '../../src/index.ts';

function search(query: string, args: Json, sections?: Parameters<typeof textSearch>[1]): ReturnType<ReturnType<typeof textSearch>> {
  const record = { index: 0, text: '{"kind":"decision","agent":"Bot"}', opening: { key: '', sections: { args } } };
  return textSearch(query, sections)(factsOf(record, 'sqlite'), record.text);
}

describe('a search', () => {
  it.each([
    ['srv/q1', '/srv/Q1.csv'],
    ['STRASSE', 'Hauptstra\u00dfe'],
    ['stra\u00dfe', 'HAUPTSTRASSE'],
    ['caf\u00e9', 'CAFE\u0301'],
    ['cafe\u0301', 'CAF\u00c9'],
    ['\u039f\u0394\u039f\u03a3', '\u03bf\u03b4\u03cc\u03c2 \u03bf\u03b4\u03bf\u03c2'],
    ['\u{1f600}', 'so \u{1f600}!'],
    ['900', 900],
    ['true', true],
    ['1e+21', 1e21],
    ['.*', 'a.*b'],
  ])('for %j finds %j', (query, value) => {
    expect(search(query, { value })).toMatchObject([{ section: 'args', pointer: '/value' }]);
  });

  it.each([
    ['.*', 'anything'],
    ['q1', 'q2'],
    ['cafe', 'CAF\u00c9'],
    ['\ude00x', '\u{1f600}'],
  ])('for %j does not find %j', (query, value) => {
    if (query.isWellFormed()) expect(search(query, { value })).toEqual([]);
    else expect(() => search(query, { value })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('tells where it stands, and what stands around it', () => {
    const [hit] = search('\u00c4', { 'a/b': [{ '~': `${'x'.repeat(50)}\u{1f600}\u0130\u00e4rger${'y'.repeat(50)}` }] });
    expect(hit).toEqual({
      section: 'args',
      pointer: '/a~1b/0/~0',
      before: `${'x'.repeat(28)}\u{1f600}\u0130`,
      match: '\u00e4',
      after: `rger${'y'.repeat(26)}`,
    });
  });

  it('finds names as well, and looks only where it was told', () => {
    expect(search('secret', { secretName: 1 })).toMatchObject([{ section: 'args', pointer: '/secretName', match: 'secret' }]);
    expect(search('bot', { bot: 'bot' }, ['entry'])).toMatchObject([{ section: 'entry', pointer: '/agent' }]);
    expect(search('bot', {}, ['reason'])).toEqual([]);
  });

  it('tells a bounded number of places', () => {
    expect(
      search(
        'a',
        Array.from({ length: 100 }, () => 'a'),
      ),
    ).toHaveLength(MAX_HITS);
  });

  it('reads what is no entry as the text it is', () => {
    const facts = factsOf({ index: 0, text: 'not JSON, but SECRET' }, 'sqlite');
    expect(textSearch('secret')(facts, 'not JSON, but SECRET')).toMatchObject([{ section: 'entry', pointer: '', match: 'SECRET' }]);
  });

  it.each(['', 'x'.repeat(MAX_QUERY_CHARS + 1), '\ud800'])('refuses a query that is none (%#)', (query) => {
    expect(() => textSearch(query)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('finds every part of a text in the case it has and in any other', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(text, text, text, (before, part, after) => {
        const value = `${before}${part}${after}`;
        fc.pre([part, value].every((each) => each.isWellFormed()) && value.normalize('NFC').includes(part.normalize('NFC')));
        expect(search(part, value).length).toBeGreaterThan(0);
        if (part.toUpperCase().toLowerCase() === part.toLowerCase() && /^[ -~]+$/.test(part)) {
          expect(search(part.toUpperCase(), value).length).toBeGreaterThan(0);
        }
      }),
    );
  });
});
