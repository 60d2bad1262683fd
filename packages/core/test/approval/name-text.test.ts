import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameText } from '../../src/approval/terminal-text.ts';

describe('nameText', () => {
  it.each([
    ['pay', 'pay'],
    ['ключ от дома', 'ключ от дома'],
    ['pay ', 'pay\\u{20}'],
    [' pay', '\\u{20}pay'],
    ['delete  all', 'delete \\u{20}all'],
    ['   ', '\\u{20}\\u{20}\\u{20}'],
    ['pay\u202e', 'pay\\u{202e}'],
    ['pay\\u{202e}', 'pay\\u{5c}u{202e}'],
    ['C:\\users', 'C:\\users'],
  ])('shows %j as %s', (text, shown) => {
    expect(nameText(text, 100, 'there')).toBe(shown);
  });

  it('says that a long name is cut, how long it is, and where all of it can be read', () => {
    expect(nameText('x'.repeat(300), 20, 'see there')).toBe(`${'x'.repeat(19)}… (cut: 300 characters; see there)`);
  });

  it('shows no two names alike', () => {
    const name = fc.string({
      unit: fc.constantFrom('a', 'а', ' ', '\u00a0', '\u202e', '\\', '\\u{', '202e}', '20}', '5c}', '\u0301', 'é'),
    });
    fc.assert(
      fc.property(name, name, (one, other) => {
        fc.pre(one !== other);
        expect(nameText(one, 1_000, '')).not.toBe(nameText(other, 1_000, ''));
        expect(nameText(one, 1_000, '')).not.toMatch(/ {2}|^ | $/);
      }),
      { numRuns: 2_000 },
    );
  });
});
