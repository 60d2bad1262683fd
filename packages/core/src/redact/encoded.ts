/**
 * Secrets that were encoded once more: text in base64 (also twice), in hex, percent-encoded parts of URLs, `\uXXXX` and `\xXX`
 * escapes. The encoded run is replaced as a whole, for what stands around the secret in it is as unreadable as the secret.
 */

/** A run shorter than this holds no secret worth the name. */
const MIN_RUN_CHARS = 32;
/** How often base64 may have been applied. Each level is a third shorter, so all of them together stay linear. */
export const MAX_ENCODED_DEPTH = 2;
const MAX_SEGMENT_CHARS = 8192;

const RUN_CODES = Uint8Array.from({ length: 128 }, (_, code) => (/[A-Za-z0-9+/_-]/.test(String.fromCharCode(code)) ? 1 : 0));

interface Judge {
  /** Whether a decoded text holds a secret. */
  isSecret(decoded: string): boolean;
  /** Whether an encoded one can be seen to hold one as it is: then only that is replaced, under its own kind. */
  isPlain(segment: string): boolean;
}

/** Cheap, for short texts: false where `findEncoded` would look at nothing. */
export function mayBeEncoded(text: string): boolean {
  if (text.includes('%') || text.includes('\\')) return true;
  for (let at = MIN_RUN_CHARS - 1; at < text.length; at += MIN_RUN_CHARS) {
    if (RUN_CODES[text.charCodeAt(at)] !== 1) continue;
    let start = at;
    while (start > 0 && RUN_CODES[text.charCodeAt(start - 1)] === 1) start -= 1;
    let end = at + 1;
    while (end < text.length && RUN_CODES[text.charCodeAt(end)] === 1) end += 1;
    if (end - start >= MIN_RUN_CHARS) return true;
  }
  return false;
}

export function findEncoded(text: string, judge: Judge, found: (start: number, end: number) => void): void {
  findBase64(text, judge, found);
  if (text.includes('%')) findSegments(text, PERCENT_SEGMENT, percentDecoded, judge, found);
  if (text.includes('\\u00') || text.includes('\\x')) findSegments(text, ESCAPED_SEGMENT, unescaped, judge, found);
}

function findBase64(text: string, judge: Judge, found: (start: number, end: number) => void): void {
  let done = 0;
  // Every run long enough covers one of these places, so most of the text is never looked at.
  for (let at = MIN_RUN_CHARS - 1; at < text.length; at += MIN_RUN_CHARS) {
    if (at < done || RUN_CODES[text.charCodeAt(at)] !== 1) continue;
    let start = at;
    while (start > done && RUN_CODES[text.charCodeAt(start - 1)] === 1) start -= 1;
    let end = at + 1;
    while (end < text.length && RUN_CODES[text.charCodeAt(end)] === 1) end += 1;
    done = end;
    if (end - start < MIN_RUN_CHARS) continue;
    const hex = hexText(text, start, end);
    if (hex !== undefined) {
      if (judge.isSecret(hex)) found(start, end);
      continue;
    }
    if (!isText(Buffer.from(text.slice(start, start + MIN_RUN_CHARS), 'base64'))) continue;
    while (end - done < 2 && text.charAt(end) === '=') end += 1;
    if (judge.isSecret(Buffer.from(text.slice(start, end), 'base64').toString('utf8'))) found(start, end);
  }
}

/** A run that is hex from end to end, `0x` aside, and text when decoded; undefined for anything else. */
function hexText(text: string, start: number, end: number): string | undefined {
  const from = text.startsWith('0x', start) ? start + 2 : start;
  // Most runs show in their first characters that they are no hex, and most digests that they are no text.
  const head = text.slice(from, from + MIN_RUN_CHARS - 2);
  if (!HEX.test(head) || !isText(Buffer.from(head, 'hex'))) return undefined;
  const whole = text.slice(from, end);
  return HEX.test(whole) && whole.length % 2 === 0 ? Buffer.from(whole, 'hex').toString('utf8') : undefined;
}
const HEX = /^[0-9a-fA-F]+$/;

/** Images, digests and keys decode to anything but text: a few bytes settle it. */
function isText(bytes: Buffer): boolean {
  return bytes.every(
    (byte) =>
      (byte >= 0x20 && byte < 0x7f) || byte >= 0xc2 || byte === 0x0a || byte === 0x0d || byte === 0x09 || (byte >= 0x80 && byte < 0xc0),
  );
}

function findSegments(
  text: string,
  pattern: RegExp,
  decode: (segment: string) => string,
  judge: Judge,
  found: (start: number, end: number) => void,
): void {
  for (const { 0: segment, index } of text.matchAll(pattern)) {
    if (segment.length > MAX_SEGMENT_CHARS) continue;
    const decoded = decode(segment);
    if (decoded !== segment && !judge.isPlain(segment) && judge.isSecret(decoded)) found(index, index + segment.length);
  }
}

/** Between the marks that a URL or a form has outside of its values. */
const PERCENT_SEGMENT = /[A-Za-z0-9%._~+-]{8,}/g;
const ESCAPED_SEGMENT = /(?:[A-Za-z0-9._~+/:@-]|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}){8,}/g;

function percentDecoded(segment: string): string {
  return segment.replace(/%([0-7][0-9a-fA-F])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function unescaped(segment: string): string {
  return segment.replace(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))/g, (_, wide?: string, narrow?: string) =>
    String.fromCharCode(Number.parseInt(wide ?? narrow ?? '', 16)),
  );
}
