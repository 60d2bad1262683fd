import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clip, escapeForTerminal, escapeJson, escapeLines } from '../../src/approval/terminal-text.ts';

const ATTACKS: readonly (readonly [string, string, string])[] = [
  ['an ANSI sequence', '\u001b[2J', '\\u{1b}[2J'],
  ['the one-character form of it', '\u009b2J', '\\u{9b}2J'],
  ['a title change', '\u001b]0;x\u0007', '\\u{1b}]0;x\\u{7}'],
  ['a carriage return', 'deny\rapprove', 'deny\\u{d}approve'],
  ['a newline', 'a\nb', 'a\\u{a}b'],
  ['a tab', 'a\tb', 'a\\u{9}b'],
  ['a backspace', 'rm\b\b', 'rm\\u{8}\\u{8}'],
  ['delete', '\u007f', '\\u{7f}'],
  ['a bidi override', '\u202egpj.exe', '\\u{202e}gpj.exe'],
  ['a bidi isolate', '\u2066x\u2069', '\\u{2066}x\\u{2069}'],
  ['a zero-width space', 'pay\u200bpal', 'pay\\u{200b}pal'],
  ['a zero-width joiner', 'a\u200db', 'a\\u{200d}b'],
  ['a byte order mark', '\ufeffa', '\\u{feff}a'],
  ['a soft hyphen', 'a\u00adb', 'a\\u{ad}b'],
  ['a no-break space', 'a\u00a0b', 'a\\u{a0}b'],
  ['a letter of another script', 'p\u0430ypal', 'p\\u{430}ypal'],
  ['a line separator', 'a\u2028b', 'a\\u{2028}b'],
  ['tag characters', '\u{e0041}', '\\u{e0041}'],
  ['a variation selector', 'a\ufe01', 'a\\u{fe01}'],
  ['a Hangul filler', '\u3164', '\\u{3164}'],
  ['a blank braille pattern', '\u2800', '\\u{2800}'],
  ['a lone surrogate', '\ud800', '\\u{d800}'],
  ['a private character', '\ue000', '\\u{e000}'],
  ['an unassigned one', '\u0378', '\\u{378}'],
];

describe('escapeForTerminal', () => {
  it.each(ATTACKS)('spells out %s', (_, text, escaped) => {
    expect(escapeForTerminal(text)).toBe(escaped);
  });

  it.each(['plain', 'naïve café', '日本語', 'שלום', 'emoji 🎉', 'a b', '{"path":"/etc"}', 'back\\slash'])('leaves %j as it is', (text) => {
    expect(escapeForTerminal(text)).toBe(text);
  });

  it('lets a character carry four marks and spells out the rest', () => {
    expect(escapeForTerminal(`q${'\u0301'.repeat(6)}`)).toBe(`q${'\u0301'.repeat(4)}\\u{301}\\u{301}`);
  });

  it('gives one line without controls for any text, and doing it twice equals doing it once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = escapeForTerminal(text);
        expect(escaped).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
        expect(escapeForTerminal(escaped)).toBe(escaped);
      }),
    );
  });

  it('takes time in proportion to the text', () => {
    expect(escapeForTerminal('\u0301'.repeat(200_000)).length).toBeGreaterThan(200_000);
  });
});

describe('escapeLines', () => {
  it('keeps newlines and indents what follows, so that no line passes for one of ours', () => {
    expect(escapeLines('a\ncountersign: fine\u001b[0m')).toBe('a\n  countersign: fine\\u{1b}[0m');
  });
});

describe('escapeJson', () => {
  it('spells the same value', () => {
    const value = { 'a\u202eb': ['\u200b', '\u{e0041}', '\u001b[2J', '日本'] };
    const text = escapeJson(JSON.stringify(value));
    expect(text).toBe('{"a\\u202eb":["\\u200b","\\udb40\\udc41","\\u001b[2J","日本"]}');
    expect(JSON.parse(text)).toEqual(value);
  });

  it('does so for any value, and leaves nothing a terminal acts on', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
        const json = escapeJson(JSON.stringify([value, text]));
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify([value, text])));
        expect(json).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
      }),
    );
  });
});

describe('clip', () => {
  it.each([
    ['abc', 3, 'abc'],
    ['abcd', 3, 'ab…'],
    ['🎉🎉🎉🎉', 3, '🎉🎉…'],
    ['🎉🎉🎉', 3, '🎉🎉🎉'],
    ['abc', 0, '…'],
  ])('cuts %j to %d', (text, max, expected) => {
    expect(clip(text, max)).toBe(expected);
  });
});
