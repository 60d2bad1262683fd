/**
 * Searching for a text in what a record says: a substring, in any case, no pattern language.
 *
 * Text is compared in Unicode normal form C, code point by code point, folded by upper and then lower case, so that `É`
 * meets `é` however either was typed, and `ß` meets `SS`. No locale is involved. Numbers and booleans are compared as
 * JSON writes them.
 */
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import type { RecordFacts } from './record-facts.ts';

export const MAX_QUERY_CHARS = 1000;
/** Places told of one record. */
export const MAX_HITS = 5;
/** Code points shown before and after. */
const CONTEXT_CHARS = 30;

/** Where a text can be searched for: `entry` is the entry itself, the others its clear text. */
export const SEARCH_SECTIONS = ['entry', 'args', 'reason', 'facts', 'message', 'result', 'error', 'activity', 'details'] as const;
export type SearchSection = (typeof SEARCH_SECTIONS)[number];

/** One value or name that holds the text, at its first occurrence there. Nothing in it is escaped. */
export interface TextHit {
  readonly section: SearchSection;
  /** RFC 6901, into the section; empty for the section itself, and for a record that is no JSON. */
  readonly pointer: string;
  readonly before: string;
  readonly match: string;
  readonly after: string;
}

/**
 * @param query - 1 to `MAX_QUERY_CHARS` characters.
 * @param sections - where to look; absent = everywhere.
 * @returns the first `MAX_HITS` places of a record.
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function textSearch(
  query: string,
  sections: readonly SearchSection[] = SEARCH_SECTIONS,
): (facts: RecordFacts, text: string) => readonly TextHit[] {
  if (query === '' || query.length > MAX_QUERY_CHARS || !query.isWellFormed()) {
    throw new CountersignError('OPTIONS_INVALID', `a query has 1 to ${MAX_QUERY_CHARS} characters`);
  }
  const needle = fold(query.normalize('NFC'));
  return (facts, text) => {
    const hits: TextHit[] = [];
    for (const section of sections) {
      const value = section === 'entry' ? (facts.body ?? text) : facts.shown.get(section);
      if (value !== undefined) collect(value, [], (path, found) => take(section, path, found));
    }
    return hits;

    function take(section: SearchSection, path: readonly (string | number)[], value: string): boolean {
      const hit = find(value, needle);
      if (hit !== undefined) hits.push({ section, pointer: pointerOf(path), ...hit });
      return hits.length < MAX_HITS;
    }
  };
}

type Path = (string | number)[];

/**
 * Every name and value. Nearly none is a hit, and only of one is a pointer made.
 *
 * @param path - names and positions that lead here; as it was when this returns.
 * @returns false once nobody wants more. INVARIANT: facts are bounded in depth.
 */
function collect(value: Json, path: Path, take: (path: Path, text: string) => boolean): boolean {
  if (typeof value === 'string') return take(path, value);
  if (typeof value !== 'object' || value === null) return take(path, String(value));
  const names = Array.isArray(value) ? undefined : Object.keys(value);
  const items = Array.isArray(value) ? (value as readonly Json[]) : Object.values(value);
  for (let i = 0; i < items.length; i++) {
    const name = names?.[i];
    path.push(name ?? i);
    const goesOn = (name === undefined || take(path, name)) && collect(items[i] as Json, path, take);
    path.pop();
    if (!goesOn) return false;
  }
  return true;
}

function pointerOf(path: readonly (string | number)[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function find(value: string, needle: string): Pick<TextHit, 'before' | 'match' | 'after'> | undefined {
  const isPlain = isAscii(value);
  const text = isPlain ? value : value.normalize('NFC');
  const folded = isPlain ? text.toLowerCase() : fold(text);
  const at = folded.indexOf(needle);
  if (at < 0) return undefined;
  const [from, to] = isPlain ? [at, at + needle.length] : places(text, at, at + needle.length);
  return {
    before: Array.from(text.slice(Math.max(0, from - 2 * CONTEXT_CHARS), from))
      .slice(-CONTEXT_CHARS)
      .join(''),
    match: text.slice(from, to),
    after: Array.from(text.slice(to, to + 2 * CONTEXT_CHARS))
      .slice(0, CONTEXT_CHARS)
      .join(''),
  };
}

/** From positions in the folded text to those of the characters they came from. */
function places(text: string, from: number, to: number): readonly [number, number] {
  let folded = 0;
  let start = 0;
  let at = 0;
  for (const character of text) {
    if (folded >= to) break;
    if (folded <= from) start = at;
    folded += foldCharacter(character).length;
    at += character.length;
  }
  return [start, at];
}

function fold(text: string): string {
  if (isAscii(text)) return text.toLowerCase();
  let folded = '';
  for (const character of text) folded += foldCharacter(character);
  return folded;
}

/** One by one: the case of a whole text depends on what stands around a letter (final sigma). */
function foldCharacter(character: string): string {
  return character.toUpperCase().toLowerCase();
}

function isAscii(text: string): boolean {
  return /^[\u0000-\u007f]*$/.test(text);
}
