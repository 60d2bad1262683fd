/** A place a detector looked at. With `secret: false` nothing is there and the search goes on at `end`. */
export interface Sighting {
  readonly start: number;
  readonly end: number;
  readonly secret: boolean;
}

/**
 * Recognises one shape of secret inside a string.
 *
 * Strings come from agents, tools and servers, so a detector stays linear on any of them: it is called only where a trigger
 * stands, reads a bounded number of characters, or reads an unbounded run and reports its end, so that no character is read
 * over and over. Runs are found with `runEnd`; other patterns are sticky, without a quantifier inside another.
 */
export interface Detector {
  /** Goes into `[redacted:kind]`: lower-case letters, digits and hyphens, at most 40. */
  readonly kind: string;
  /** The detector looks only where one of these stands, case-sensitively. The rarer, the cheaper. */
  readonly triggers: readonly string[];
  /** Looks at the trigger standing at `at`. `undefined`: nothing here, and only a bounded number of characters was read. */
  look(text: string, at: number, trigger: string): Sighting | undefined;
}

const PLACEHOLDER = /\[redacted:[a-z0-9-]{1,40}\]/y;

export function placeholder(kind: string): string {
  return `[redacted:${kind}]`;
}

/** Where the placeholder that starts at `from` ends; `from` itself when there is none. */
export function placeholderEnd(text: string, from: number): number {
  PLACEHOLDER.lastIndex = from;
  return PLACEHOLDER.test(text) ? PLACEHOLDER.lastIndex : from;
}

export function isPlaceholder(text: string): boolean {
  return text.startsWith('[') && placeholderEnd(text, 0) === text.length;
}

/** A pattern for `runEnd` that stops at the first character outside `characters` (the inside of a character class). */
export function outside(characters: string): RegExp {
  return new RegExp(`[^${characters}]`, 'g');
}

/** Index of the first match of `stop` at or after `from`. A search, not a greedy match: it needs no stack on 4 MB runs. */
export function runEnd(stop: RegExp, text: string, from: number): number {
  stop.lastIndex = from;
  return stop.test(text) ? stop.lastIndex - 1 : text.length;
}

/** The run of letters, digits, `_`, `-` and `extra` that ends before `at`; of a longer one the last `MAX_NAME_CHARS`. */
export function nameBefore(text: string, at: number, extra = ''): string {
  const least = Math.max(0, at - MAX_NAME_CHARS);
  let start = at;
  while (start > least && (isNameCode(text.charCodeAt(start - 1)) || (extra !== '' && extra.includes(text.charAt(start - 1))))) start -= 1;
  return text.slice(start, at);
}

const MAX_NAME_CHARS = 64;

const NAME_CODES = Uint8Array.from({ length: 128 }, (_, code) => (/[A-Za-z0-9_-]/.test(String.fromCharCode(code)) ? 1 : 0));

/** A letter, a digit, `_` or `-`. Called for every character of some texts, so no pattern. */
export function isNameCode(code: number): boolean {
  return NAME_CODES[code] === 1;
}

/**
 * True where a word starts: after nothing, after a character that joins no word, or after an escape whose last letter is none:
 * a literal `\n`, `\x3d`, `\u003d`, `%3D`, or a colour of a terminal.
 */
export function startsWord(text: string, at: number): boolean {
  if (at === 0) return true;
  if (!isNameCode(text.charCodeAt(at - 1))) return true;
  return ESCAPE_END.test(text.slice(Math.max(0, at - MAX_ESCAPE_CHARS), at));
}

const ESCAPE_END = /(?:\\[nrtbfv0]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2}|\u001b\[[0-9;]{0,8}m)$/;
const MAX_ESCAPE_CHARS = 12;

/**
 * True when the characters from `start` to `end` are at least `wanted` different ones. Written in place of an entropy
 * measure because it stays true when text is added: a real key cannot be hidden in a longer dull run.
 */
export function isVaried(text: string, start: number, end: number, wanted: number): boolean {
  const seen = new Set<number>();
  for (let i = start; i < end && seen.size < wanted; i++) seen.add(text.charCodeAt(i));
  return seen.size >= wanted;
}

/** A value written in code or documentation that stands for a secret: `${TOKEN}`, `{token}`, `$TOKEN`, `%s`, `***`, `xxx`, `your-key`. */
export function isReference(value: string): boolean {
  return (
    value.length <= 200 &&
    /^(?:\{|\$[{(]|\$[A-Z_][A-Z0-9_]*$|%[sdv]$|%\(|\*+$|\.+$|x{3,}$|X{3,}$|your[-_][-_a-z]+$|YOUR[-_][-_A-Z]+$)/.test(value)
  );
}
