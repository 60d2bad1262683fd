/**
 * Where values stand in a JSON text, and how to put others in their place with every other byte as it was. For texts that are
 * known to be valid and to repeat no key (`scanJson`): it looks for structure and checks nothing.
 */

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Text to stand in place of a span; an empty span is an insertion. */
export interface Edit extends Span {
  readonly text: string;
}

const SPACE = /[ \t\r\n]*/y;
const SCALAR_END = /[\s,\]}]|$/g;
const MARK = /["[\]{}]/g;

/** The value at a path of keys; undefined when there is none. */
export function spanAt(text: string, path: readonly string[], whole: Span = wholeOf(text)): Span | undefined {
  let span: Span | undefined = whole;
  for (const key of path) {
    span = members(text, span).get(key);
    if (span === undefined) return undefined;
  }
  return span;
}

/** The values of an object, by key; empty for what is none. */
export function members(text: string, object: Span): ReadonlyMap<string, Span> {
  const found = new Map<string, Span>();
  if (text.charAt(object.start) !== '{') return found;
  let at = space(text, object.start + 1);
  while (text.charAt(at) === '"') {
    const keyEnd = stringEnd(text, at);
    const key: unknown = JSON.parse(text.slice(at, keyEnd));
    const start = space(text, space(text, keyEnd) + 1); // behind the colon
    const end = valueEnd(text, start);
    found.set(String(key), { start, end });
    at = space(text, space(text, end) + 1); // behind the comma
  }
  return found;
}

/** The values of an array; empty for what is none. */
export function elements(text: string, array: Span): readonly Span[] {
  const found: Span[] = [];
  if (text.charAt(array.start) !== '[') return found;
  let at = space(text, array.start + 1);
  while (text.charAt(at) !== ']') {
    const end = valueEnd(text, at);
    found.push({ start: at, end });
    at = space(text, end);
    if (text.charAt(at) === ',') at = space(text, at + 1);
  }
  return found;
}

/** @param edits - spans that do not overlap. */
export function edited(text: string, edits: readonly Edit[]): string {
  let result = '';
  let done = 0;
  for (const { start, end, text: put } of [...edits].sort((left, right) => left.start - right.start)) {
    result += text.slice(done, start) + put;
    done = end;
  }
  return result + text.slice(done);
}

/** A member in front of the others of an object. The key must not be there yet. */
export function insertion(text: string, object: Span, key: string, valueJson: string): Edit {
  const at = object.start + 1;
  const isEmpty = text.charAt(space(text, at)) === '}';
  return { start: at, end: at, text: `${JSON.stringify(key)}:${valueJson}${isEmpty ? '' : ','}` };
}

export function wholeOf(text: string): Span {
  const start = space(text, 0);
  return { start, end: valueEnd(text, start) };
}

function space(text: string, at: number): number {
  SPACE.lastIndex = at;
  SPACE.test(text);
  return SPACE.lastIndex;
}

function valueEnd(text: string, start: number): number {
  const opening = text.charAt(start);
  if (opening === '"') return stringEnd(text, start);
  if (opening !== '{' && opening !== '[') {
    SCALAR_END.lastIndex = start;
    return SCALAR_END.exec(text)?.index ?? text.length;
  }
  let open = 0;
  let at = start;
  do {
    MARK.lastIndex = at;
    at = MARK.exec(text)?.index ?? text.length;
    const mark = text.charAt(at);
    if (mark === '"') at = stringEnd(text, at);
    else {
      open += mark === '{' || mark === '[' ? 1 : -1;
      at += 1;
    }
  } while (open > 0 && at < text.length);
  return at;
}

function stringEnd(text: string, start: number): number {
  let end = start;
  do end = text.indexOf('"', end + 1);
  while (end !== -1 && isEscaped(text, end));
  return end === -1 ? text.length : end + 1;
}

/** A quote behind an odd number of backslashes does not end its string. */
function isEscaped(text: string, quote: number): boolean {
  let start = quote;
  while (text.charCodeAt(start - 1) === 0x5c) start -= 1;
  return (quote - start) % 2 === 1;
}
