import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { CountersignError } from '../../src/errors.ts';
import type { DetectorDefinition } from '../../src/redact/custom.ts';
import { createRedactor } from '../../src/redact/redact.ts';

const BADGE: DetectorDefinition = { kind: 'badge', pattern: 'EMP-[0-9]{6}' };

function codeOf(detectors: readonly DetectorDefinition[]): string {
  try {
    createRedactor({ detectors });
    return 'accepted';
  } catch (error) {
    return CountersignError.is(error) && error.code === 'OPTIONS_INVALID' ? error.message : String(error);
  }
}

describe('custom detectors', () => {
  it('replace what matches, under their kind', () => {
    const by = createRedactor({ detectors: [BADGE] });
    expect(by.redact({ 'EMP-000001': ['x EMP-123456, EMP-654321'] })).toEqual({
      shown: { '[redacted:badge]': ['x [redacted:badge], [redacted:badge]'] },
      findings: [
        { kind: 'badge', pointer: '' },
        { kind: 'badge', pointer: '/[redacted:badge]/0' },
      ],
    });
    expect(by.text('EMP-12345 emp-123456')).toBe('EMP-12345 emp-123456');
  });

  it('replace only their group, and look only where a keyword stands', () => {
    const by = createRedactor({ detectors: [{ kind: 'pin', pattern: 'ticket [0-9]+( pin ([0-9]{4}))?', group: 2, keywords: [' pin '] }] });
    expect(by.text('ticket 7 pin 1234, ticket 8')).toBe('ticket 7 pin [redacted:pin], ticket 8');
    expect(by.text('ticket 7 PIN 1234')).toBe('ticket 7 PIN 1234');
  });

  it('work beside the built-in ones, in any script', () => {
    const by = createRedactor({ detectors: [{ kind: 'kunde', pattern: 'Kündin №\\d+' }] });
    expect(by.text('😀 Kündin №77 postgres://u:hunter22@h/ Kündin №5')).toBe(
      '😀 [redacted:kunde] postgres://u:[redacted:url-password]@h/ [redacted:kunde]',
    );
  });

  it.each<[string, readonly DetectorDefinition[], string]>([
    ['a kind with capitals', [{ ...BADGE, kind: 'Badge' }], '.0.kind'],
    ['a kind with a bracket', [BADGE, { ...BADGE, kind: 'a]b' }], '.1.kind'],
    ['a long kind', [{ ...BADGE, kind: 'a'.repeat(41) }], '.0.kind'],
    ['an empty pattern', [{ ...BADGE, pattern: '' }], '.0.pattern'],
    ['a long pattern', [{ ...BADGE, pattern: 'a'.repeat(501) }], '.0.pattern'],
    ['a broken pattern', [{ ...BADGE, pattern: '(' }], '.0.pattern'],
    ['a lookahead', [{ ...BADGE, pattern: 'a(?=b)' }], '.0.pattern'],
    ['a lookbehind', [{ ...BADGE, pattern: '(?<=b)a' }], '.0.pattern'],
    ['a backreference', [{ ...BADGE, pattern: '(a)\\1' }], '.0.pattern'],
    ['a program too large', [{ ...BADGE, pattern: '(abcdefgh){300}' }], 'too large'],
    ['a pattern that matches nothing', [{ ...BADGE, pattern: '[0-9]*' }], 'empty text'],
    ['a pattern that matches a placeholder', [{ ...BADGE, pattern: 'redacted:[a-z]+' }], 'inside a placeholder'],
    ['a pattern that matches its own placeholder', [{ kind: 'zq-9', pattern: 'zq-[0-9]' }], 'inside a placeholder'],
    ["a pattern that matches another's placeholder", [BADGE, { kind: 'x', pattern: 'badg' }], '.1.pattern'],
    ['any character', [{ ...BADGE, pattern: '.' }], 'inside a placeholder'],
    ['a group it has not', [{ ...BADGE, group: 1 }], '.0.group'],
    ['half a group', [{ ...BADGE, pattern: '(a)(b)', group: 0.5 }], '.0.group'],
    ['an empty keyword', [{ ...BADGE, keywords: [''] }], '.0.keywords'],
    ['too many keywords', [{ ...BADGE, keywords: Array.from({ length: 21 }, (_, i) => `k${i}`) }], '.0.keywords'],
    ['too many detectors', Array.from({ length: 51 }, () => BADGE), 'at most 50'],
    ['no list', 'EMP' as unknown as DetectorDefinition[], 'list'],
  ])('refuse %s', (_name, detectors, message) => {
    expect(codeOf(detectors)).toContain(message);
  });

  it('are read from the file, and refused there with their place', () => {
    const file = (pattern: string): string =>
      `version: 1\nagent: a\npolicy: { id: p, rules: [] }\nredaction:\n  detectors:\n    - kind: badge\n      pattern: "${pattern}"\n`;
    expect(parseConfig(file('EMP-[0-9]{6}')).redaction.detectors).toEqual([{ kind: 'badge', pattern: 'EMP-[0-9]{6}' }]);
    for (const [pattern, message] of [
      ['(a', 'is no regular expression of RE2'],
      ['[a-z]+', 'inside a placeholder'],
      ['x?', 'empty text'],
    ] as const) {
      expect(() => parseConfig(file(pattern))).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID', details: { problems: 1, line: 7, column: 16 } }),
      );
      expect(() => parseConfig(file(pattern))).toThrow(message);
    }
  });

  it('are done with at the thousandth match: the rest goes as a whole', () => {
    const text = createRedactor({ detectors: [BADGE] }).text('EMP-123456 '.repeat(5000));
    expect(text).not.toContain('EMP-');
    expect(text.length).toBeLessThan(20_000);
  });

  it('redact twice what they redact once', () => {
    const detectors: readonly DetectorDefinition[] = [
      BADGE,
      { kind: 'line', pattern: 'id=(.*)', group: 1 },
      { kind: 'tail', pattern: 'AAA.{3,8}' },
      { kind: 'edge', pattern: '\\bBBB\\b' },
      { kind: 'start', pattern: '^CCC' },
    ];
    const by = createRedactor({ detectors, keys: ['note'], values: ['kämpfer'] });
    const piece = fc.constantFrom(
      'EMP-123456',
      'EMP-',
      'id=',
      'AAA',
      'BBB',
      'CCC',
      ' ',
      '\n',
      'x',
      '[redacted:badge]',
      '[redacted:tail]',
      '[',
      ']',
      'kämpfer',
      'token=',
      '"',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const once = by.text(pieces.join(''));
        expect(by.text(once)).toBe(once);
        expect(by.redact({ once }).findings).toEqual([]);
      }),
      { numRuns: 3000 },
    );
  });
});
