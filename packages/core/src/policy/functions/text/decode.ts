/**
 * What a text holds besides what it shows: base64, hex, percent escapes, `\u0068`, `\x68`, `&#104;`, one inside the other.
 *
 * Who controls the text: the agent. Every layer is searched in linear time, every piece that a layer gives is shorter than what it
 * came from or as long, and there are at most `MAX_LAYERS`. Encodings that nobody's tools undo on their own (base32, rot13, ciphers)
 * are not undone here.
 */
import { ConditionFault } from '../../condition-value.ts';
import { CHARS_PER_STEP, spend } from '../../evaluation.ts';

/** How often a text may be encoded. What is encoded more often was not encoded to be sent, but to be hidden. */
export const MAX_LAYERS = 5;
/** Shorter runs hold no address and no command: `http://1.2` has 14 characters in base64. */
const MIN_BASE64_CHARS = 12;
const MIN_HEX_CHARS = 16;

/**
 * The pieces that were encoded, outermost first, without the text itself.
 *
 * @throws {ConditionFault} for more than `MAX_LAYERS` layers, and when the condition's work is used up.
 */
export function decodedPieces(text: string): readonly string[] {
  const found = new Set<string>();
  let layer: readonly string[] = [text];
  for (let depth = 0; layer.length > 0; depth++) {
    const next: string[] = [];
    for (const piece of layer) {
      spend(piece.length / CHARS_PER_STEP);
      for (const inner of [...escapedTokens(piece), ...base64Texts(piece), ...hexTexts(piece)]) {
        if (inner === text || found.has(inner)) continue;
        if (depth === MAX_LAYERS) throw new ConditionFault(`a text is encoded more than ${MAX_LAYERS} times over`);
        found.add(inner);
        next.push(inner);
      }
    }
    layer = next;
  }
  return [...found];
}

const ESCAPE = /%[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]{1,6}\}|\\x[0-9a-fA-F]{2}|&#(?:[0-9]{1,7}|x[0-9a-fA-F]{1,6});/g;
const TOKEN_END = /[\s<>"]/;

/** Words that hold an escape, with all of them undone. */
function* escapedTokens(text: string): Generator<string> {
  let done = 0;
  const escape = new RegExp(ESCAPE);
  for (let match = escape.exec(text); match !== null; match = escape.exec(text)) {
    let start = match.index;
    while (start > done && !TOKEN_END.test(text.charAt(start - 1))) start -= 1;
    done = escape.lastIndex;
    while (done < text.length && !TOKEN_END.test(text.charAt(done))) done += 1;
    escape.lastIndex = done;
    const token = text.slice(start, done);
    const plain = unescaped(token);
    if (plain !== token) yield plain;
  }
}

function unescaped(token: string): string {
  const percent = token.replaceAll(/(?:%[0-9a-fA-F]{2})+/g, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'));
  return percent.replaceAll(ESCAPE, (escape) => {
    const decimal = /^&#(\d+);$/.exec(escape)?.[1];
    const code = decimal === undefined ? Number.parseInt(/[0-9a-fA-F]+(?=[;}]?$)/.exec(escape)?.[0] ?? '', 16) : Number(decimal);
    return code <= 0x10_ff_ff ? String.fromCodePoint(code) : escape;
  });
}

const RUN_CODES = Uint8Array.from({ length: 128 }, (_, code) => (/[A-Za-z0-9+/_-]/.test(String.fromCharCode(code)) ? 1 : 0));

/** Stretches of characters of base64, which hex is made of as well. Most of an ordinary text is never looked at. */
function* runsOf(text: string): Generator<{ readonly run: string; readonly index: number }> {
  let done = 0;
  // Every run long enough covers one of these places.
  for (let at = MIN_BASE64_CHARS - 1; at < text.length; at += MIN_BASE64_CHARS) {
    if (at < done || RUN_CODES[text.charCodeAt(at)] !== 1) continue;
    let start = at;
    while (start > done && RUN_CODES[text.charCodeAt(start - 1)] === 1) start -= 1;
    let end = at + 1;
    while (end < text.length && RUN_CODES[text.charCodeAt(end)] === 1) end += 1;
    done = end;
    if (end - start >= MIN_BASE64_CHARS) yield { run: text.slice(start, end), index: start };
  }
}

/** Runs on lines of their own that follow each other are one text, as encoders break lines. */
function* base64Texts(text: string): Generator<string> {
  let joined = '';
  let end = -1;
  for (const { run, index } of runsOf(text)) {
    const decoded = base64Text(run);
    const follows = end >= 0 && index - end <= 4 && /^={0,2}\r?\n$/.test(text.slice(end, index));
    if (joined !== '' && !(follows && decoded !== undefined)) {
      yield joined;
      joined = '';
    }
    end = index + run.length;
    if (decoded !== undefined) joined += decoded;
    // A slash is a character of base64, and what separates segments of a path.
    else if (run.includes('/')) {
      for (const segment of run.split('/')) {
        const inner = segment.length >= MIN_BASE64_CHARS ? base64Text(segment) : undefined;
        if (inner !== undefined) yield inner;
      }
    }
  }
  if (joined !== '') yield joined;
}

function base64Text(run: string): string | undefined {
  // Digests, keys and images are no text from the first bytes on.
  if (run.length > 64 && readable(Buffer.from(run.slice(0, 32), 'base64'), true) === undefined) return undefined;
  return readable(Buffer.from(run, 'base64'), false);
}

const HEX_RUN = new RegExp(`(?:[0-9a-fA-F]{2}){${MIN_HEX_CHARS / 2},}`, 'g');
const SPACED_HEX_RUN = new RegExp(`(?:[0-9a-fA-F]{2}[ :,]){${MIN_HEX_CHARS / 2 - 1},}[0-9a-fA-F]{2}`, 'g');

function* hexTexts(text: string): Generator<string> {
  for (const { run } of runsOf(text)) {
    for (const [digits] of run.length < MIN_HEX_CHARS ? [] : run.matchAll(HEX_RUN)) {
      const decoded = readable(Buffer.from(digits, 'hex'), false);
      if (decoded !== undefined) yield decoded;
    }
  }
  for (const [run] of text.matchAll(SPACED_HEX_RUN)) {
    const decoded = readable(Buffer.from(run.replaceAll(/[ :,]/g, ''), 'hex'), false);
    if (decoded !== undefined) yield decoded;
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** The bytes as text, UTF-8 or (as PowerShell wants it) UTF-16; undefined when they are none. */
function readable(bytes: Buffer, isCut: boolean): string | undefined {
  if (bytes.length >= 8 && bytes.every((byte, index) => index % 2 === 0 || byte === 0)) {
    const wide = bytes.toString('utf16le');
    return isPrintable(wide) ? wide : undefined;
  }
  let text: string;
  try {
    text = UTF8.decode(bytes, { stream: false });
  } catch {
    if (!isCut) return undefined;
    text = bytes.toString('latin1');
  }
  return isPrintable(text) ? text : undefined;
}

function isPrintable(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what makes it no text
  return text !== '' && !/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text);
}
