import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changeLines } from '../../src/approval/change-lines.ts';
import { commonEnds } from '../../src/approval/changes.ts';
import type { Json } from '../../src/call.ts';

const LIMITS = { maxLines: 20, maxValueChars: 80, whole: 'see there' };
const lines = (from: Json, to: Json): readonly string[] => changeLines(from, to, LIMITS);

describe('changeLines', () => {
  it('shows short values whole', () => {
    expect(lines({ a: 1, b: 'x', c: null }, { a: 2, b: 'x', d: [1] })).toEqual(['~ /a: 1 -> 2', '- /c: null', '+ /d: [1]']);
  });

  it('of long texts shows where they differ, and says that and where they are cut', () => {
    const start = 'x'.repeat(8100);
    expect(lines({ to: `${start}ann, and more` }, { to: `${start}bob, and more` })).toEqual([
      `~ /to: …${'x'.repeat(16)}ann, and more" -> …${'x'.repeat(16)}bob, and more" (cut: of 8113 and 8113 characters, which differ from number 8101 on; see there)`,
    ]);
    const [line] = lines({ to: `${start}a${start}` }, { to: `${start}b${start}` });
    expect(line).toMatch(/…x{16}ax{63}… -> …x{16}bx{63}… \(cut: /);
  });

  it('of what was added or taken out says how long it is', () => {
    expect(lines({}, { a: 'y'.repeat(200) })).toEqual([`+ /a: "${'y'.repeat(79)}… (cut: 200 characters; see there)`]);
    expect(lines({ a: 'y'.repeat(200) }, {})[0]).toContain('(cut: 200 characters; see there)');
  });

  it('says so when a name is cut, and when there are more', () => {
    expect(lines({}, { ['k'.repeat(400)]: 1 })[0]).toContain('(cut: the name has 401 characters; see there)');
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]));
    expect(lines({}, many).at(-1)).toBe('… 280 more changes not shown: see there');
  });

  it('does not show minus zero as the zero it is not', () => {
    expect(lines({ a: 0 }, { a: -0 })).toEqual(['~ /a: 0 -> -0']);
  });

  it('never shows two values that differ as the same', () => {
    const unit = fc.constantFrom('a', 'b', '\u202e', '\n', '🎉', '"', '\\', '\ud83c', '\udf89');
    const text = fc.string({ unit, maxLength: 200 });
    fc.assert(
      fc.property(text, text, text, text, (start, one, other, end) => {
        fc.pre(one !== other);
        const [line = ''] = lines([start + one + end], [start + other + end]);
        const [, was, is] = /^~ \/0: (.*) -> (.*?)(?: \(cut: .*\))?$/s.exec(line) ?? [];
        expect(was).toBeDefined();
        expect(was).not.toBe(is);
      }),
    );
  });
});

describe('commonEnds', () => {
  it.each([
    ['', '', 0, 0],
    ['abc', 'abc', 3, 0],
    ['abXcd', 'abYYcd', 2, 2],
    ['aaa', 'aaaa', 3, 0],
    ['🎉', '🎊', 0, 0],
    ['x🎉', 'x🎊', 1, 0],
  ])('of %j and %j', (one, other, start, end) => {
    expect(commonEnds(one, other)).toEqual({ start, end });
  });

  it('gives ends that both have, do not overlap, and split no character', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '🎉', '🎊', '\ud83c', '\udf89') });
    fc.assert(
      fc.property(text, text, (one, other) => {
        const { start, end } = commonEnds(one, other);
        expect(start + end).toBeLessThanOrEqual(Math.min(one.length, other.length));
        expect(one.slice(0, start)).toBe(other.slice(0, start));
        expect(one.slice(one.length - end)).toBe(other.slice(other.length - end));
        if (one.isWellFormed() && other.isWellFormed()) {
          expect(one.slice(0, start).isWellFormed()).toBe(true);
          expect(one.slice(one.length - end).isWellFormed()).toBe(true);
        }
      }),
    );
  });
});
