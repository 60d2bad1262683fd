/**
 * Linear time, by counting instead of by the clock: how often detectors are called, and how many characters they say they
 * read. That they read no more than they say is what the first test is about.
 */
import { describe, expect, it } from 'vitest';
import type { Detector, Sighting } from '../../src/redact/detector.ts';
import { DETECTORS } from '../../src/redact/rules.ts';
import { redactText, textRules } from '../../src/redact/scan.ts';
import { ORDINARY, secretsOf } from './corpora.ts';

/** What a detector may read beyond what it reports, on either side. */
const SLACK_CHARS = 6000;

const PIECES: readonly string[] = [
  ...new Set([
    ...DETECTORS.flatMap((detector) => detector.triggers),
    ...DETECTORS.flatMap((detector) => detector.triggers.map((trigger) => `${trigger}a1`)),
    ...secretsOf('work').flatMap(({ text }) => [text, text.slice(0, Math.ceil(text.length * 0.7)), text.slice(1)]),
    ...['a=', '&token=', '&token={', ';token=', 'eyJ.', 'eyJhbGciOiJub25l.a.', '://a:', '://u:p@', 'Cookie: a=b', '"', '\\"', '\\'],
    ...['[redacted:jwt]', '[redacted:', '?token=[redacted:jwt]', 'sk-aB3', 'Basic Og', 'a', ' ', '\n', '😀'],
  ]),
];

describe('the work of a redaction', () => {
  it('is in what detectors report: cutting the text further away changes nothing', () => {
    const pad = 'zz9 '.repeat(SLACK_CHARS / 2);
    for (const piece of [...PIECES.filter((text) => text.length < 2000), ...ORDINARY]) {
      const near = piece.repeat(Math.min(50, Math.ceil(400 / piece.length)));
      const full = pad + near + pad;
      for (const detector of DETECTORS) {
        for (const trigger of detector.triggers) {
          for (let at = full.indexOf(trigger); at !== -1; at = full.indexOf(trigger, at + 1)) {
            const sighting = detector.look(full, at, trigger);
            const from = Math.max(0, Math.min(at, sighting?.start ?? at) - SLACK_CHARS);
            const cut = full.slice(from, Math.max(at, sighting?.end ?? 0) + SLACK_CHARS);
            expect(moved(detector.look(cut, at - from, trigger), from), `${detector.kind} at ${trigger} in ${piece}`).toEqual(sighting);
          }
        }
      }
    }
  });

  it.each(PIECES)('grows with the text and no faster: %j', (piece) => {
    const [one, four] = [workOn(piece, 20_000), workOn(piece, 80_000)];
    expect(four).toBeLessThanOrEqual(4.5 * one + 20_000);
    // Rounds and detectors together: a bound on the whole, so that linear does not mean a hundred times.
    expect(four).toBeLessThanOrEqual(40 * 80_000);
  });

  it('is no multiple of the triggers of a detector, when the value behind each of them has no end', () => {
    const heads = DETECTORS.flatMap(({ kind, triggers }) => (kind === 'key-name' ? triggers.map((trigger) => `"${trigger}": [["a",`) : []));
    expect(heads.length).toBeGreaterThan(50);
    expect(workOn(heads.join('\n') + '[""],'.repeat(40_000), 200_000)).toBeLessThanOrEqual(3 * 200_000);
  });

  it('of a text without a trigger is none', () => {
    expect(workOn('die Katze ', 100_000)).toBe(0);
  });
});

function moved(sighting: Sighting | undefined, by: number): Sighting | undefined {
  return sighting === undefined ? undefined : { ...sighting, start: sighting.start + by, end: sighting.end + by };
}

/** Calls of detectors, and the characters they report to have read. */
function workOn(piece: string, length: number): number {
  let work = 0;
  const counted: readonly Detector[] = DETECTORS.map((detector) => ({
    ...detector,
    look(text, at, trigger) {
      const sighting = detector.look(text, at, trigger);
      work += 1 + (sighting === undefined ? 0 : sighting.end - at);
      return sighting;
    },
  }));
  redactText(piece.repeat(Math.ceil(length / piece.length)), textRules(counted));
  return work;
}
