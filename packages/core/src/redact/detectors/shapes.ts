/** The few forms that credentials of vendors have; a kind is one line of them in a table. */
import { type Detector, isVaried, outside, runEnd, startsWord } from '../detector.ts';

/** Different characters a key has at least; `ghp_xxxxxxxx` in a manual has fewer. */
export const VARIED = 8;

/** `word`: a prefix of two or three letters, or one that is also a word, counts only where a word starts. */
export type Place = 'anywhere' | 'word';

/**
 * A prefix, then at least `least` characters of a class. The whole run is the secret, whatever its length: a token of a newer,
 * longer format is one as well, and nobody hides a token by writing a letter behind it.
 */
export function runToken(
  kind: string,
  triggers: readonly string[],
  characters: string,
  least: number,
  place: Place = 'anywhere',
): Detector {
  const stop = outside(characters);
  return {
    kind,
    triggers,
    look(text, at, trigger) {
      if (place === 'word' && !startsWord(text, at)) return undefined;
      const body = at + trigger.length;
      const end = runEnd(stop, text, body);
      return end - body < least ? undefined : { start: at, end, secret: isVaried(text, body, end, VARIED) };
    },
  };
}

/**
 * A prefix, then parts of fixed lengths. `tail` is sticky and bounded, and stands behind the trigger; letters and digits that
 * follow it belong to the secret.
 */
export function shapedToken(kind: string, triggers: readonly string[], tail: RegExp, place: Place = 'anywhere'): Detector {
  return {
    kind,
    triggers,
    look(text, at, trigger) {
      if (place === 'word' && !startsWord(text, at)) return undefined;
      const body = at + trigger.length;
      tail.lastIndex = body;
      if (!tail.test(text)) return undefined;
      const end = runEnd(WORD_STOP, text, tail.lastIndex);
      return { start: at, end, secret: isVaried(text, body, end, VARIED) };
    },
  };
}
const WORD_STOP = outside('A-Za-z0-9_');

/**
 * A mark in the middle or at the end, behind `before` (ends in `$`) and in front of `after` (sticky). Both are bounded;
 * `MAX_BEFORE` characters are looked at.
 */
export function markedToken(kind: string, marks: readonly string[], before: RegExp, after: RegExp): Detector {
  return {
    kind,
    triggers: marks,
    look(text, at, mark) {
      after.lastIndex = at + mark.length;
      if (!after.test(text)) return undefined;
      const end = runEnd(WORD_STOP, text, after.lastIndex);
      const head = before.exec(text.slice(Math.max(0, at - MAX_BEFORE), at));
      if (head === null) return { start: at, end, secret: false };
      const start = at - head[0].length;
      return { start, end, secret: isVaried(text, start, end, VARIED) };
    },
  };
}
const MAX_BEFORE = 64;

/** A prefix that says too little by itself: the vendor must be named within `CONTEXT_CHARS` characters. */
export function nearToken(kind: string, triggers: readonly string[], tail: RegExp, vendor: RegExp): Detector {
  const token = shapedToken(kind, triggers, tail, 'word');
  return {
    kind,
    triggers,
    look(text, at, trigger) {
      const sighting = token.look(text, at, trigger);
      if (sighting?.secret !== true) return sighting;
      const before = text.slice(Math.max(0, at - CONTEXT_CHARS), at);
      const after = text.slice(sighting.end, sighting.end + CONTEXT_CHARS);
      return { ...sighting, secret: vendor.test(before) || vendor.test(after) };
    },
  };
}
const CONTEXT_CHARS = 100;

/**
 * A value without any mark of its own, known by the vendor's documented name for it: `DD_API_KEY=...`, `"DD_API_KEY": "..."`,
 * `dd-api-key: ...`. The name stays readable.
 */
export function namedToken(kind: string, names: readonly string[], characters: string, least: number): Detector {
  const stop = outside(characters);
  return {
    kind,
    triggers: names,
    look(text, at, name) {
      ASSIGNED.lastIndex = at + name.length;
      if (!ASSIGNED.test(text)) return undefined;
      const start = ASSIGNED.lastIndex;
      const end = runEnd(stop, text, start);
      if (end - start < least) return undefined;
      return { start, end, secret: isVaried(text, start, end, VARIED) && MIXED.test(text.slice(start, end)) };
    },
  };
}
const ASSIGNED = /["'\\\]]{0,3}\s{0,3}(?::=|=>|[:=,])\s{0,3}[\\"'`]{0,3}/y;
/** No name of a variable or a word: those stand behind such a name too, where it is declared. */
const MIXED = /\d|[a-z][A-Z]{2}/;
