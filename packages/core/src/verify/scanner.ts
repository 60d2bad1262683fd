/**
 * Tokens of a canonical text, read one after the other from its UTF-8 bytes, which is several times faster than from a string.
 *
 * What does not stand there fails the scanner, and nothing is read from then on: whoever reads asks once, at the end. Texts come
 * from anybody: no step goes back, so that reading one takes one walk over it.
 */

import { hash } from 'node:crypto';

/** Longest text, in UTF-16 code units. */
export const MAX_SCANNED_CHARS = 8192;

const UTF8_BYTES_PER_CHAR = 3;
const WORD = 4;
/** Of a whole number within 2^53 - 1, whatever the digits are, and of a fraction that no other fraction is read as. */
const MAX_DIGITS = 15;
const [QUOTE, BACKSLASH, SPACE, MINUS, DOT, ZERO, NINE] = [0x22, 0x5c, 0x20, 0x2d, 0x2e, 0x30, 0x39];

const HEX = new Uint8Array(256);
for (const digit of '0123456789abcdef') HEX[digit.charCodeAt(0)] = 1;

/** A piece of text that is compared with what stands there: four bytes at a time, then those that are left. */
export interface Literal {
  readonly length: number;
  readonly words: Uint32Array;
  readonly rest: Uint8Array;
}

export function literal(text: string): Literal {
  const bytes = Buffer.from(text);
  const words = Uint32Array.from({ length: Math.floor(bytes.length / WORD) }, (_, i) => bytes.readUInt32LE(i * WORD));
  return { length: bytes.length, words, rest: Uint8Array.from(bytes.subarray(words.length * WORD)) };
}

/** A zero before the text: with it, the bytes are what the leaf hash of an entry is over. */
const FIRST = 1;

export class Scanner {
  /** INVARIANT: a zero stands behind the text, which no token has: nothing of a longer text before it is read. */
  private readonly bytes = Buffer.alloc(FIRST + UTF8_BYTES_PER_CHAR * MAX_SCANNED_CHARS + WORD);
  private readonly words = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  /** By length: making a view costs a tenth of what hashing one does. */
  private readonly views: Uint8Array[] = [];
  private text = '';
  private end = 0;
  private at = 0;
  private failed = false;

  /** @param text - well formed, at most `MAX_SCANNED_CHARS` long. */
  open(text: string): void {
    this.text = text;
    this.end = FIRST + this.bytes.write(text, FIRST);
    this.bytes[this.end] = 0;
    this.at = FIRST;
    this.failed = false;
  }

  /** Leaf digest of the whole text (see `leafDigest`), which need not be written out again for it. */
  leaf(): string {
    const view = (this.views[this.end] ??= this.bytes.subarray(0, this.end));
    return hash('sha256', view, 'binary');
  }

  get hasFailed(): boolean {
    return this.failed;
  }

  fail(): void {
    this.failed = true;
    this.at = this.end;
  }

  /** Steps over it if it stands here. */
  take({ length, words, rest }: Literal): boolean {
    const { at } = this;
    let from = at;
    for (let i = 0; i < words.length; i++, from += WORD) if (this.words.getUint32(from, true) !== words[i]) return false;
    for (let i = 0; i < rest.length; i++) if (this.bytes[from + i] !== rest[i]) return false;
    this.at = at + length;
    return true;
  }

  need(wanted: Literal): void {
    if (!this.take(wanted)) this.fail();
  }

  /** Bytes from here to the end. */
  get left(): number {
    return this.end - this.at;
  }

  /** What was stepped over since so many bytes were left. */
  sinceLeft(left: number): string {
    return this.slice(this.end - left, this.at);
  }

  rest(): string {
    return this.slice(this.at, this.end);
  }

  /** Steps over so many lower-case hex digits and the quote behind them. @returns where they begin. */
  skipHex(digits: number): number {
    const { bytes, at } = this;
    const end = at + digits;
    let i = at;
    while (i < end && HEX[bytes[i] as number] === 1) i++;
    if (i === end && bytes[end] === QUOTE) this.at = end + 1;
    else this.fail();
    return at;
  }

  /** The same. @returns them, as a view that keeps the whole text in memory. */
  hex(digits: number): string {
    const from = this.skipHex(digits);
    return this.slice(from, from + digits);
  }

  /** Digits that were stepped over, as a string that keeps nothing else in memory. */
  copy(from: number, digits: number): string {
    return this.bytes.toString('latin1', from, from + digits);
  }

  /** Steps over a string without escapes, from behind its first quote to behind its last. */
  skipString(): void {
    const { bytes } = this;
    let i = this.at;
    for (let byte = bytes[i] as number; byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH; byte = bytes[i] as number) i++;
    if (bytes[i] !== QUOTE) return this.fail();
    this.at = i + 1;
  }

  /** The same of one that is not empty. */
  skipText(): void {
    if (this.bytes[this.at] === QUOTE) this.fail();
    else this.skipString();
  }

  /** The same, of a name that is mostly the one before it. */
  name(known: Names): string {
    const { last } = known;
    if (last !== undefined && this.take(last.quoted)) return last.text;
    const from = this.at;
    this.skipText();
    return this.failed ? '' : known.own(this.slice(from, this.at - 1));
  }

  /** A whole number from 0 on, in its one form. */
  count(): number {
    const { bytes, at } = this;
    let value = 0;
    let i = at;
    for (let byte = bytes[i] as number; byte >= ZERO && byte <= NINE && i - at <= MAX_DIGITS; byte = bytes[++i] as number)
      value = value * 10 + (byte - ZERO);
    if (i === at || i - at > MAX_DIGITS || (bytes[at] === ZERO && i - at > 1)) this.fail();
    else this.at = i;
    return value;
  }

  positive(): number {
    const value = this.count();
    if (value === 0) this.fail();
    return value;
  }

  integer(): number {
    if (this.bytes[this.at] !== MINUS) return this.count();
    this.at++;
    return -this.positive();
  }

  /** A number from 0 on without an exponent, in the form this language writes, which is the canonical one. */
  skipDecimal(): void {
    const { bytes, at } = this;
    const point = this.digitsFrom(at);
    const end = bytes[point] === DOT ? this.digitsFrom(point + 1) : point;
    if (point === at || end === point + 1) return this.fail();
    // Few digits, none of them in vain, and not so small that an exponent is written: there is no other form.
    const isShort = end - at <= MAX_DIGITS && (end === point || bytes[end - 1] !== ZERO);
    const isUsual = isShort && (bytes[at] !== ZERO || (point === at + 1 && bytes[point + 1] !== ZERO));
    if (!isUsual) {
      const written = bytes.toString('latin1', at, end);
      if (String(Number(written)) !== written) return this.fail();
    }
    this.at = end;
  }

  private digitsFrom(at: number): number {
    const { bytes } = this;
    let i = at;
    for (let byte = bytes[i] as number; byte >= ZERO && byte <= NINE; byte = bytes[i] as number) i++;
    return i;
  }

  /** A view on the text. */
  slice(from: number, to: number): string {
    // Where each character is one byte, a view costs less than a copy.
    return this.end - FIRST === this.text.length ? this.text.slice(from - FIRST, to - FIRST) : this.bytes.toString('utf8', from, to);
  }
}

interface Name {
  readonly text: string;
  /** With the quote behind it. */
  readonly quoted: Literal;
}

/** Different names remembered; a ledger with more starts over, which costs time and nothing else. */
const MAX_NAMES = 4096;

/** Names of one sort, held once: maps find them by identity, and none of them keeps the text it was cut from. */
export class Names {
  private readonly known = new Map<string, Name>();
  last: Name | undefined;

  /** An equal string of its own. */
  own(text: string): string {
    let name = this.known.get(text);
    if (name === undefined) {
      if (this.known.size >= MAX_NAMES) this.known.clear();
      const copy = Buffer.from(text).toString();
      name = { text: copy, quoted: literal(`${copy}"`) };
      this.known.set(copy, name);
    }
    this.last = name;
    return name.text;
  }
}
