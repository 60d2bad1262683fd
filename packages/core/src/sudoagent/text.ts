/**
 * The canonical text of SudoAgent 2.0, the predecessor: JSON in one form only, which is not RFC 8785.
 *
 *     {"args":[0,-1,12345678901234567890,0.1],"kwargs":{"\r":4,"é":"naïve","Ａ":2,"😀":1}}
 *
 * Members are in order of the Unicode code points of their names (U+FF21 before U+1F600), no name twice, nothing between
 * the tokens. Names and strings are in NFC and escape only `"`, `\` and what is below U+0020, as RFC 8785 does. Numbers
 * are integers of any size and decimals in fixed point with any number of digits: no exponent, no zero at the end of a
 * fraction, no minus zero. JavaScript's numbers would lose some of these, so they stay the text that stood in the file.
 *
 * Nothing here needs to build what it reads: what lies deeper than the format's own fields is checked and stepped over.
 */
import { CountersignError } from '../errors.ts';

/** Deepest nesting; the predecessor's own recursion ends before it. */
export const MAX_SUDO_DEPTH = 512;
/** Longest entry, in bytes of UTF-8. The predecessor sets no bound; ours are never longer either. */
export const MAX_SUDO_BYTES = 16_777_216;

/** A value and where its text stands. Members are kept down to `KEPT_DEPTH`, elements never: no field of the format is deeper. */
export type SudoValue =
  | { readonly kind: 'object'; readonly start: number; readonly end: number; readonly members: SudoMembers }
  | { readonly kind: 'string'; readonly start: number; readonly end: number; readonly text: string }
  | { readonly kind: 'array' | 'number' | 'true' | 'false' | 'null'; readonly start: number; readonly end: number };

export type SudoMembers = ReadonlyMap<string, SudoValue>;

/** The entry, its blocks, and the binding inside the approval. */
const KEPT_DEPTH = 3;
const NO_MEMBERS: SudoMembers = new Map();

/**
 * Parses one object that must be in canonical form.
 *
 * @throws {CountersignError} `CANONICAL_INVALID`, with the place and never the text, which may hold secrets.
 */
export function parseSudoText(text: string): SudoMembers {
  // Three bytes of UTF-8 for one UTF-16 unit at most: what is longer in units is longer in bytes.
  if (text.length > MAX_SUDO_BYTES) throw invalid(`longer than ${MAX_SUDO_BYTES} bytes`, 0);
  return new Parser(text).parse();
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const FIRST_PRINTABLE = 0x20;
/** Below it no character combines with another: every string is in NFC. */
const FIRST_COMBINING = 0x300;
const BYTE_ORDER_MARK = 0xfeff;

/** An escape, a control character or one beyond ASCII: a string without any ends at the next quote. */
const ODD = /[^\x20-\x5b\x5d-\x7f]/g;

class Parser {
  private readonly text: string;
  /** Place of the next odd character, of those at or behind the string that is read. */
  private odd: number;
  private at = 0;

  constructor(text: string) {
    this.text = text;
    this.odd = nextOdd(text, 0);
  }

  parse(): SudoMembers {
    const { text } = this;
    if (text.charCodeAt(0) === BYTE_ORDER_MARK) throw invalid('a byte order mark', 0);
    if (this.odd < text.length && !text.isWellFormed()) throw invalid('a lone surrogate', 0);
    if (text.charCodeAt(0) !== OPEN_BRACE) throw invalid('no object', 0);
    const members = this.object(1);
    if (this.at !== text.length) throw invalid('something follows the object', this.at);
    return members;
  }

  private value(depth: number): SudoValue {
    const start = this.at;
    const code = this.text.charCodeAt(start);
    switch (code) {
      case QUOTE: {
        const text = this.string();
        return { kind: 'string', start, end: this.at, text };
      }
      case OPEN_BRACE: {
        const members = this.object(depth + 1);
        return { kind: 'object', start, end: this.at, members };
      }
      case OPEN_BRACKET:
        this.array(depth + 1);
        return { kind: 'array', start, end: this.at };
      case 0x74:
        return this.word('true');
      case 0x66:
        return this.word('false');
      case 0x6e:
        return this.word('null');
      default:
        this.number();
        return { kind: 'number', start, end: this.at };
    }
  }

  private object(depth: number): SudoMembers {
    this.checkDepth(depth);
    const { text } = this;
    this.at++;
    if (text.charCodeAt(this.at) === CLOSE_BRACE) {
      this.at++;
      return NO_MEMBERS;
    }
    const members = depth <= KEPT_DEPTH ? new Map<string, SudoValue>() : undefined;
    let last: string | undefined;
    for (;;) {
      const place = this.at;
      if (text.charCodeAt(place) !== QUOTE) throw invalid('no name of a member', place);
      const name = this.string();
      if (last !== undefined && !isBefore(last, name)) throw invalid(last === name ? 'a duplicate key' : 'keys out of order', place);
      last = name;
      if (text.charCodeAt(this.at) !== COLON) throw invalid('no colon after a name', this.at);
      this.at++;
      const value = this.value(depth);
      members?.set(name, value);
      const code = text.charCodeAt(this.at);
      if (code !== COMMA && code !== CLOSE_BRACE) throw invalid('neither comma nor end of an object', this.at);
      this.at++;
      if (code === CLOSE_BRACE) return members ?? NO_MEMBERS;
    }
  }

  private array(depth: number): void {
    this.checkDepth(depth);
    const { text } = this;
    this.at++;
    if (text.charCodeAt(this.at) === CLOSE_BRACKET) {
      this.at++;
      return;
    }
    for (;;) {
      this.value(depth);
      const code = text.charCodeAt(this.at);
      if (code !== COMMA && code !== CLOSE_BRACKET) throw invalid('neither comma nor end of an array', this.at);
      this.at++;
      if (code === CLOSE_BRACKET) return;
    }
  }

  private checkDepth(depth: number): void {
    if (depth > MAX_SUDO_DEPTH) throw invalid(`nested deeper than ${MAX_SUDO_DEPTH} levels`, this.at);
  }

  private word(word: 'true' | 'false' | 'null'): SudoValue {
    const start = this.at;
    if (!this.text.startsWith(word, start)) throw invalid('no value', start);
    this.at = start + word.length;
    return { kind: word, start, end: this.at };
  }

  private string(): string {
    const { text } = this;
    const start = this.at + 1;
    const end = text.indexOf('"', start);
    if (end < 0) throw invalid('a string without end', start);
    // Only strings can hold one, so what lies before this one has been read.
    if (this.odd < start) this.odd = nextOdd(text, start);
    if (this.odd < end) return this.anyString(start);
    this.at = end + 1;
    return text.slice(start, end);
  }

  private anyString(start: number): string {
    const { text } = this;
    let highest = FIRST_PRINTABLE;
    let decoded = '';
    let from = start;
    let at = start;
    for (; ; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        const escape = this.escape(at);
        decoded += text.slice(from, at) + escape.meaning;
        at += escape.length - 1;
        from = at + 1;
      } else if (code > highest) {
        highest = code;
      } else if (!(code >= FIRST_PRINTABLE)) {
        // NaN: the text ended.
        throw invalid(code < FIRST_PRINTABLE ? 'a control character that is not escaped' : 'a string without end', at);
      }
    }
    this.at = at + 1;
    const value = decoded + text.slice(from, at);
    if (highest >= FIRST_COMBINING && value.normalize('NFC') !== value) throw invalid('a string that is not in NFC', start);
    return value;
  }

  /** The one escape a character has; those that need none have none. */
  private escape(at: number): { readonly meaning: string; readonly length: number } {
    const { text } = this;
    const short = SHORT_ESCAPES.get(text.slice(at, at + 2));
    if (short !== undefined) return { meaning: short, length: 2 };
    const long = text.slice(at, at + 6);
    if (!LONG_ESCAPE.test(long)) throw invalid('an escape that is not the one of its character', at);
    const meaning = String.fromCharCode(Number.parseInt(long.slice(2), 16));
    if (HAS_SHORT_ESCAPE.has(meaning)) throw invalid('an escape that is not the one of its character', at);
    return { meaning, length: 6 };
  }

  private number(): void {
    const { text } = this;
    const start = this.at;
    let at = start;
    const isNegative = text.charCodeAt(at) === MINUS;
    if (isNegative) at++;
    const first = text.charCodeAt(at);
    if (!isDigit(first)) throw invalid('no value', start);
    at++;
    if (first !== ZERO) while (isDigit(text.charCodeAt(at))) at++;
    if (text.charCodeAt(at) === POINT) {
      const fraction = ++at;
      while (isDigit(text.charCodeAt(at))) at++;
      if (at === fraction || text.charCodeAt(at - 1) === ZERO) throw invalid('a fraction that is empty or ends in zero', start);
    } else if (isNegative && first === ZERO) {
      throw invalid('a minus zero', start);
    }
    this.at = at;
    const next = text.charCodeAt(at);
    if (isDigit(next)) throw invalid('a number with a leading zero', start);
    // `e` and `E`.
    if ((next | 0x20) === 0x65) throw invalid('a number with an exponent', start);
  }
}

function nextOdd(text: string, from: number): number {
  ODD.lastIndex = from;
  return ODD.test(text) ? ODD.lastIndex - 1 : text.length;
}

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\"', '"'],
  ['\\\\', '\\'],
  ['\\b', '\b'],
  ['\\f', '\f'],
  ['\\n', '\n'],
  ['\\r', '\r'],
  ['\\t', '\t'],
]);
const HAS_SHORT_ESCAPE: ReadonlySet<string> = new Set(SHORT_ESCAPES.values());
const LONG_ESCAPE = /^\\u00[01][0-9a-f]$/;

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}

/** Order of code points. UTF-16 units give the same but for surrogates, which stand for what is above every other unit. */
function isBefore(one: string, other: string): boolean {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index++) {
    const a = one.charCodeAt(index);
    const b = other.charCodeAt(index);
    if (a !== b) return rank(a) < rank(b);
  }
  return one.length < other.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function invalid(what: string, at: number): CountersignError {
  return new CountersignError('CANONICAL_INVALID', `sudoagent text: ${what}, at character ${at + 1}`);
}
