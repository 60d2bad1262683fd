import { isPlaceholder, placeholder } from './detector.ts';
import { DETECTORS, TEXT_KIND, VALUE_KIND } from './rules.ts';

/**
 * Replacing a secret changes what stands next to its neighbours, which may make one of them recognisable. So a text is
 * looked at again until nothing is found; a text still not settled after this many rounds is replaced whole.
 */
const MAX_ROUNDS = 6;

interface Found {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  /** Position in the table, to settle which kind counts. */
  readonly rank: number;
}

/**
 * Replaces every secret in a text by `[redacted:kind]`; what stands around it stays. In the result nothing is found any more,
 * so doing it twice equals doing it once. Linear in the length of the text.
 *
 * @param values - literal secrets besides the built-in shapes; none may occur in a placeholder.
 * @param found - told the kind of each secret.
 */
export function redactText(text: string, values: readonly string[] = [], found?: (kind: string) => void): string {
  let current = text;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (!mayHoldSecret(current, values)) return current;
    const places = findSecrets(current, values);
    if (places.length === 0) return current;
    current = replaceAt(current, places, found);
  }
  if (mayHoldSecret(current, values) && findSecrets(current, values).length > 0) {
    found?.(TEXT_KIND);
    return placeholder(TEXT_KIND);
  }
  return current;
}

/** Most strings have no trigger at all, and are done after this one search. */
const ANY_TRIGGER = new RegExp(
  [...new Set(DETECTORS.flatMap((detector) => detector.triggers))]
    .map((trigger) => trigger.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'))
    .join('|'),
);

function mayHoldSecret(text: string, values: readonly string[]): boolean {
  return ANY_TRIGGER.test(text) || values.some((value) => text.includes(value));
}

function findSecrets(text: string, values: readonly string[]): Found[] {
  const places: Found[] = [];
  for (const [rank, detector] of DETECTORS.entries()) {
    for (const trigger of detector.triggers) {
      let at = text.indexOf(trigger);
      while (at !== -1) {
        const sighting = detector.look(text, at, trigger);
        if (sighting?.secret === true && isNews(text, sighting.start, sighting.end)) {
          places.push({ kind: detector.kind, start: sighting.start, end: sighting.end, rank });
        }
        at = text.indexOf(trigger, Math.max(at + 1, sighting?.end ?? 0));
      }
    }
  }
  for (const value of values) {
    for (let at = text.indexOf(value); at !== -1; at = text.indexOf(value, at + value.length)) {
      places.push({ kind: VALUE_KIND, start: at, end: at + value.length, rank: DETECTORS.length });
    }
  }
  return places.toSorted((a, b) => a.start - b.start || a.rank - b.rank);
}

function isNews(text: string, start: number, end: number): boolean {
  return text.charAt(start) !== '[' || !isPlaceholder(text.slice(start, end));
}

/** Places in ascending order; those that overlap become one. */
function replaceAt(text: string, places: readonly Found[], found?: (kind: string) => void): string {
  let result = '';
  let done = 0;
  for (const { kind, start, end } of places) {
    if (start >= done) {
      found?.(kind);
      result += text.slice(done, start) + placeholder(kind);
    }
    done = Math.max(done, end);
  }
  return result + text.slice(done);
}
