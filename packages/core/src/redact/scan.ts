import type { CustomDetector } from './custom.ts';
import { type Detector, isPlaceholder, placeholder } from './detector.ts';
import { findEncoded, MAX_ENCODED_DEPTH, mayBeEncoded } from './encoded.ts';
import { Finder } from './finder.ts';
import { DETECTORS, ENCODED_KIND, TEXT_KIND, VALUE_KIND } from './rules.ts';
import { wholeWord } from './word-end.ts';

/**
 * Replacing a secret changes what stands next to its neighbours, which may make one of them recognisable. So a text is
 * looked at again until nothing is found; a text still not settled after this many rounds is replaced whole.
 */
const MAX_ROUNDS = 6;

/** From here on a secret is long: what hides in it would be hidden with it. */
export const LONG_CHARS = 4096;

interface Found {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  /** Position in the table, to settle which kind counts. */
  readonly rank: number;
}

/** Something to stop at: a detector's trigger, or a literal secret when there is no detector. */
interface Pattern {
  readonly detector: Detector | undefined;
  readonly trigger: string;
  readonly rank: number;
}

/** What is looked for in texts. */
export interface TextRules {
  readonly finder: Finder;
  readonly patterns: readonly Pattern[];
  readonly custom: readonly CustomDetector[];
}

/** @param values - literal secrets besides what the detectors find; none may occur in a placeholder. */
export function textRules(
  detectors: readonly Detector[] = DETECTORS,
  values: readonly string[] = [],
  custom: readonly CustomDetector[] = [],
): TextRules {
  const patterns: readonly Pattern[] = [
    ...detectors.flatMap((detector, rank) => [...new Set(detector.triggers)].map((trigger) => ({ detector, trigger, rank }))),
    ...values.map((trigger) => ({ detector: undefined, trigger, rank: detectors.length })),
  ];
  return { finder: new Finder(patterns.map(({ trigger }) => trigger)), patterns, custom };
}

const BUILT_IN = textRules();

/**
 * Replaces every secret in a text by `[redacted:kind]`; what stands around it stays. In the result nothing is found any more,
 * so doing it twice equals doing it once. Linear in the length of the text.
 *
 * @param found - told the kind of each secret.
 */
export function redactText(text: string, rules: TextRules = BUILT_IN, found?: (kind: string) => void): string {
  let current = text;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const places = findSecrets(current, rules);
    if (places.length === 0) return current;
    current = replaceAt(current, places, found);
  }
  if (findSecrets(current, rules).length > 0) {
    found?.(TEXT_KIND);
    return placeholder(TEXT_KIND);
  }
  return current;
}

function findSecrets(text: string, rules: TextRules, depth = 0): readonly Found[] {
  if (rules.custom.length === 0 && rules.finder.isBare(text) && !mayBeEncoded(text)) return NOTHING;
  const places: Found[] = [];
  let next: Uint32Array | undefined;
  rules.finder.find(text, (pattern, at) => {
    // Most strings have no trigger at all, and need no list.
    next ??= new Uint32Array(rules.patterns.length);
    if (at < (next[pattern] as number)) return;
    const { detector, trigger, rank } = rules.patterns[pattern] as Pattern;
    const sighting = detector === undefined ? { start: at, end: at + trigger.length, secret: true } : detector.look(text, at, trigger);
    if (sighting === undefined) return;
    next[pattern] = sighting.end;
    // A long secret is read once for its detector, not once for each of its triggers that stands in it.
    if (sighting.secret && sighting.end - at > LONG_CHARS) passOver(next, rules.patterns, detector, sighting.end - LONG_CHARS);
    if (sighting.secret && isNews(text, sighting.start, sighting.end)) {
      places.push({ kind: detector?.kind ?? VALUE_KIND, start: sighting.start, end: sighting.end, rank });
    }
  });
  for (const [i, custom] of rules.custom.entries()) {
    custom.find(text, (start, end) => {
      if (isNews(text, start, end)) places.push({ kind: custom.kind, start, end, rank: rules.patterns.length + i });
    });
  }
  if (depth < MAX_ENCODED_DEPTH) {
    const isSecret = (decoded: string): boolean => findSecrets(decoded, rules, depth + 1).length > 0;
    const isPlain = (segment: string): boolean => findSecrets(segment, rules, MAX_ENCODED_DEPTH).length > 0;
    findEncoded(text, { isSecret, isPlain }, (start, end) =>
      places.push({ kind: ENCODED_KIND, start, end, rank: Number.MAX_SAFE_INTEGER }),
    );
  }
  return places.sort((a, b) => a.start - b.start || a.rank - b.rank);
}

const NOTHING: readonly Found[] = [];

/** No trigger of the detector is looked at before `end`; the rest may be the start of something that reaches further. */
function passOver(next: Uint32Array, patterns: readonly Pattern[], detector: Detector | undefined, end: number): void {
  for (const [i, other] of patterns.entries()) if (other.detector === detector) next[i] = Math.max(next[i] as number, end);
}

/** A placeholder is no secret. */
export function isNews(text: string, start: number, end: number): boolean {
  return text.charAt(start) !== '[' || !isPlaceholder(text.slice(start, end));
}

/** Places in ascending order; those that overlap become one. */
function replaceAt(text: string, places: readonly Found[], found?: (kind: string) => void): string {
  let result = '';
  let done = 0;
  for (const { kind, ...range } of places) {
    if (range.start < done) {
      done = Math.max(done, range.end);
      continue;
    }
    found?.(kind);
    const { start, end } = wholeWord(text, kind, range);
    result += text.slice(done, Math.max(done, start)) + placeholder(kind);
    done = end;
  }
  return result + text.slice(done);
}
