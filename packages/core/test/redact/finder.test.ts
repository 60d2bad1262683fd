import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Finder } from '../../src/redact/finder.ts';
import { DETECTORS } from '../../src/redact/rules.ts';

function found(patterns: readonly string[], text: string): readonly string[] {
  const places: string[] = [];
  new Finder(patterns).find(text, (pattern, at) => places.push(`${at} ${pattern}`));
  return places.toSorted();
}

/** What `Finder` must give, looked for one by one. */
function expected(patterns: readonly string[], text: string): readonly string[] {
  const places: string[] = [];
  for (const [pattern, wanted] of patterns.entries()) {
    for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, at + 1)) places.push(`${at} ${pattern}`);
  }
  return places.toSorted();
}

describe('Finder', () => {
  // 'ō' and '䁁' have the low bytes of 'M' and 'A'; a pair is two characters, so short alphabets try every place.
  const character = fc.constantFrom(...'aabAM=-:\u0000\u00ff', 'ō', '䁁', '😀'.charAt(0), '😀'.charAt(1));
  const pattern = fc.string({ unit: character, minLength: 1, maxLength: 6 });

  it('finds what a search for each pattern finds, in short texts', () => {
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 8 }), fc.string({ unit: character, maxLength: 40 }), (patterns, text) => {
        expect(found(patterns, text)).toEqual(expected(patterns, text));
        // Short enough to be told at a glance.
        expect(new Finder(patterns).isBare(text)).toBe(expected(patterns, text).length === 0);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes no long text for a bare one: that is not looked at twice', () => {
    const finder = new Finder(['ab']);
    expect([finder.isBare(''), finder.isBare('x'.repeat(192)), finder.isBare('x'.repeat(193))]).toEqual([true, true, false]);
  });

  it('and in long ones, over the edges of its pieces', () => {
    fc.assert(
      fc.property(
        fc.array(pattern, { maxLength: 8 }),
        fc.string({ unit: character, maxLength: 40 }),
        fc.nat({ max: 50 }),
        (patterns, text, shift) => {
          const long = `${'x'.repeat(32_740 + shift)}${text}${'y'.repeat(32_700)}${text}`;
          expect(found(patterns, long)).toEqual(expected(patterns, long));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('with every trigger there is, at both parities', () => {
    const triggers = DETECTORS.flatMap((detector) => detector.triggers);
    for (const before of ['', 'x', 'y'.repeat(400), 'y'.repeat(401)]) {
      const text = before + triggers.join(' ');
      expect(found(triggers, text)).toEqual(expected(triggers, text));
    }
  });

  it('may be asked again while it answers', () => {
    const finder = new Finder(['ab', 'c']);
    const text = `${'x'.repeat(300)}ab${'x'.repeat(40_000)}c`;
    const seen: number[] = [];
    finder.find(text, (_pattern, at) => {
      seen.push(at);
      finder.find('c'.repeat(70_000), () => {});
    });
    expect(seen).toEqual([300, 40_302]);
  });
});
