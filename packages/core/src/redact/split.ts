import { isVaried, placeholder, type Sighting } from './detector.ts';
import { VALUE_KIND } from './rules.ts';
import { isNews, LONG_CHARS, type TextRules } from './scan.ts';

/** Of an item longer than twice this only so much at either end is looked at: no token is longer. */
const WINDOW_CHARS = 4096;
/** A key in PEM is worth hiding to its last line; of everything else a remainder this short says nothing. */
const MIN_REMAINDER_CHARS = 8;
const PEM_KIND = 'private-key';

/** Neighbours joined without anything between them. */
interface Joined {
  readonly text: string;
  readonly parts: readonly Part[];
}

interface Part {
  /** Which item. */
  readonly item: number;
  /** Where in the item the part starts: only of a long item is it not 0. */
  readonly from: number;
  /** Where it starts in the joined text. */
  readonly at: number;
}

/**
 * Hides what is a secret only when neighbours in a list are read together: a token sent in pieces, a key line by line. The very
 * same list when there is none. Only strings are joined, and only secrets that are known by their own form count: a name at the
 * end of one line (`password:`) and a word at the start of the next are two lines. Linear in the length of all strings.
 *
 * @param found - told the kind once for each item that held a part.
 */
export function hideSplit(items: readonly unknown[], rules: TextRules, found: (item: number, kind: string) => void): readonly unknown[] {
  if (items.length < 2 || isBare(items, rules)) return items;
  let hidden: unknown[] | undefined;
  for (const joined of joinedRuns(items)) {
    const done = new Map<number, number>();
    for (const { kind, start, end } of findSplit(joined, rules).reverse()) {
      for (const [part, from, to] of partsOf(joined, start, end)) {
        // From the last to the first, so that places further left stay where they are; overlapping ones become one.
        const least = done.get(part.item) ?? Number.POSITIVE_INFINITY;
        const last = Math.min(to, least);
        if (from >= last) continue;
        done.set(part.item, from);
        hidden ??= [...items];
        const text = hidden[part.item] as string; // runs hold strings
        hidden[part.item] = text.slice(0, from) + placeholder(kind) + text.slice(last);
        found(part.item, kind);
      }
    }
  }
  return hidden ?? items;
}

/** Most lists: neighbours that are short, and hold nothing when they are read together. */
function isBare(items: readonly unknown[], rules: TextRules): boolean {
  let joined = '';
  let parts = 0;
  for (let i = 0; i <= items.length; i++) {
    const item = items[i];
    if (typeof item === 'string') {
      joined += item;
      parts++;
      continue;
    }
    // Of what is long the finder says that it is not bare.
    if (parts > 1 && !rules.finder.isBare(joined)) return false;
    joined = '';
    parts = 0;
  }
  return true;
}

function* joinedRuns(items: readonly unknown[]): Generator<Joined> {
  let texts: string[] = [];
  let parts: Part[] = [];
  let at = 0;
  const add = (text: string, item: number, from: number): void => {
    parts.push({ item, from, at });
    texts.push(text);
    at += text.length;
  };
  const take = (): Joined => {
    const joined = { text: texts.join(''), parts };
    [texts, parts, at] = [[], [], 0];
    return joined;
  };
  for (const [i, item] of items.entries()) {
    if (typeof item !== 'string') {
      if (parts.length > 1) yield take();
      else take();
    } else if (item.length <= 2 * WINDOW_CHARS) {
      add(item, i, 0);
    } else {
      add(item.slice(0, WINDOW_CHARS), i, 0);
      yield take();
      add(item.slice(-WINDOW_CHARS), i, item.length - WINDOW_CHARS);
    }
  }
  if (parts.length > 1) yield take();
}

interface Place {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
}

/** In the order of their starts. */
function findSplit({ text, parts }: Joined, rules: TextRules): Place[] {
  if (rules.finder.isBare(text)) return [];
  const places: Place[] = [];
  const next = new Map<unknown, number>();
  rules.finder.find(text, (pattern, at) => {
    const { detector, trigger } = rules.patterns[pattern] as TextRules['patterns'][number];
    if (at < Math.max(next.get(pattern) ?? 0, next.get(detector) ?? 0)) return;
    const part = parts[partAt(parts, at)] as Part;
    const seam = parts[partAt(parts, at) + 1]?.at ?? text.length;
    // An item starts a word, whatever stands before it.
    const seen = detector === undefined ? valueAt(at, trigger) : moved(detector.look(text.slice(part.at), at - part.at, trigger), part.at);
    if (seen === undefined) return;
    next.set(pattern, seen.end);
    if (seen.secret && detector !== undefined) next.set(detector, seen.end - LONG_CHARS);
    if (!seen.secret || seen.start > at || seen.start < part.at || seen.end <= seam || !isNews(text, seen.start, seen.end)) return;
    const kind = detector?.kind ?? VALUE_KIND;
    const alone = detector?.look(text.slice(part.at, seam), at - part.at, trigger);
    const end = kind === PEM_KIND ? pemEnd(text, parts, seam, seen.end) : seen.end;
    const isShownAlone = alone?.secret === true && alone.end === seam - part.at;
    if (isShownAlone && kind !== PEM_KIND && !isRemainder(text.slice(seam, end))) return;
    if (detector !== undefined && !isGenerated(kind, text.slice(seen.start, end))) return;
    places.push({ kind, start: seen.start, end });
  });
  return places.sort((a, b) => a.start - b.start);
}

function valueAt(at: number, value: string): Sighting {
  return { start: at, end: at + value.length, secret: true };
}

function moved(sighting: Sighting | undefined, by: number): Sighting | undefined {
  return sighting === undefined ? undefined : { ...sighting, start: sighting.start + by, end: sighting.end + by };
}

/**
 * Words, and prefixes of tokens, one after the other may look like a token to the eye of a detector: `sk-ant-sk-proj-glpat-`,
 * `ri` `sk-assessment-` `v2`. Generated characters have digits among them, or change case all the time.
 */
function isGenerated(kind: string, text: string): boolean {
  if (kind === 'api-key' && !(/^sk-[A-Za-z0-9]{16}/.test(text) && isVaried(text, 3, 19, 8))) return false;
  return /\d[^]*\d/.test(text) || text.split(/[a-z][A-Z]/).length > MIN_CASE_CHANGES;
}
const MIN_CASE_CHANGES = 5;

/** Behind what is a secret by itself: the rest of it, or a word, or a name. */
function isRemainder(text: string): boolean {
  return text.length >= MIN_REMAINDER_CHARS && /\d/.test(text) && /[A-Za-z]/.test(text);
}

/** A key without a last line reaches to the end of the text, which may be somebody else's: only items that look like it count. */
function pemEnd(text: string, parts: readonly Part[], seam: number, end: number): number {
  if (text.endsWith('-----', end)) return end;
  for (let i = partAt(parts, seam), at = seam; at < end; i++) {
    const until = Math.min(end, parts[i + 1]?.at ?? text.length);
    if (!/^[A-Za-z0-9+/=\r\n]*$/.test(text.slice(at, until))) return at;
    at = until;
  }
  return end;
}

/** Index of the part that holds `at`; of an empty one and its neighbour, the neighbour. */
function partAt(parts: readonly Part[], at: number): number {
  let [low, high] = [0, parts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((parts[middle] as Part).at <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** From the last to the first: a part and the piece of its item that lies between two places of the joined text. */
function* partsOf({ text, parts }: Joined, start: number, end: number): Generator<readonly [Part, number, number]> {
  for (let i = partAt(parts, end - 1); i >= 0; i--) {
    const part = parts[i] as Part;
    const until = parts[i + 1]?.at ?? text.length;
    if (until <= start) return;
    const from = Math.max(start, part.at) - part.at + part.from;
    const to = Math.min(end, until) - part.at + part.from;
    if (to > from) yield [part, from, to];
  }
}
