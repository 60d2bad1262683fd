/**
 * Where the word goes on in which a secret stands. A shell joins what touches: `'it'\''s'`, `"half""half"`, `half"half"`; YAML and
 * SQL write a quote inside quotes twice. Detectors end at the quote, and the rest of the secret would stay.
 */

/** Kinds that end where their value does. All others are known by their shape, and end with it. */
const NAMED: ReadonlySet<string> = new Set([
  'authorization',
  'basic-credentials',
  'bearer-token',
  'command-password',
  'connection-key',
  'header',
  'key-name',
  'parameter',
]);

/** Looked back for the quote that opened. */
const MAX_BACK_CHARS = 256;
/** A piece in quotes that is longer is none. */
const MAX_PIECE_CHARS = 1024;

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The same range, or a wider one. Linear: a bounded number of characters around each, and those it takes are not looked at again. */
export function wholeWord(text: string, kind: string, range: Range): Range {
  if (!NAMED.has(kind)) return range;
  const { start, end } = { start: range.start, end: endInQuotes(text, range) };
  const quote = text.charAt(end);
  if (quote === '\\' && text.charAt(end + 1) === ' ')
    return { start, end: isInside(text, start, '"') || isInside(text, start, "'") ? end : joined(text, end).end };
  if (quote !== '"' && quote !== "'") return { start, end };
  if (isItem(text, start, end)) return { start, end: text.length };
  return isInside(text, start, quote) ? behindQuote(text, { start, end }, quote) : { start, end: joined(text, end).end };
}

/** A value that begins behind a quote ends at the next of that quote, whatever else stands in it. */
function endInQuotes(text: string, { start, end }: Range): number {
  const quote = text.charAt(start - 1);
  const ended = text.charAt(end);
  if ((quote !== '"' && quote !== "'") || ended === quote || ended === '\\' || text.charAt(start - 2) === '\\') return end;
  return Math.max(end, closeOf(text, end - 1, quote) ?? end);
}

function behindQuote(text: string, { start, end }: Range, quote: string): Range {
  const next = text.charAt(end + 1);
  // What nearly always stands there ends the word.
  if (!(next === '"' || next === "'" || isPlain(next) || (next === '\\' && /["']/.test(text.charAt(end + 2))))) return { start, end };
  const opened = text.charAt(start - 1) === quote;
  const more = joined(text, end + 1);
  if (more.end === end + 1) return { start, end };
  // As many quotes stay as opened: where the last piece has another, or none, the first goes too.
  if (more.last === quote) return { start, end: more.end - 1 };
  return { start: opened ? start - 1 : start, end: more.end };
}

/** What touches from `from` on. `last`: the quote of the last piece, if it is in quotes. */
function joined(text: string, from: number): { readonly end: number; readonly last: string } {
  let at = from;
  let last = '';
  for (;;) {
    const char = text.charAt(at);
    if (char === '"' || char === "'") {
      const close = closeOf(text, at, char);
      if (close === undefined) return { end: at, last };
      at = close + 1;
      last = char;
    } else if (char === '\\' && at + 1 < text.length && !isPlain(text.charAt(at + 1))) {
      at += 2;
      last = '';
    } else if (isPlain(char) || (at > from && WORD.test(char))) {
      at += 1;
      last = '';
    } else return { end: at, last };
  }
}

function closeOf(text: string, open: number, quote: string): number | undefined {
  const limit = Math.min(text.length, open + MAX_PIECE_CHARS);
  for (let at = open + 1; at < limit; at++) {
    const char = text.charAt(at);
    if (char === quote) return at;
    if (char === '\n') return undefined;
    if (char === '\\' && quote === '"') at += 1;
  }
  return undefined;
}

/** Whether a quote is open before `at`, on its line. One behind a backslash opens nothing. */
function isInside(text: string, at: number, quote: string): boolean {
  if (text.charAt(at - 1) === quote) return true;
  let count = 0;
  for (let i = at - 1; i >= Math.max(0, at - MAX_BACK_CHARS); i--) {
    const char = text.charAt(i);
    if (char === '\n') break;
    if (char === quote && text.charAt(i - 1) !== '\\') count += 1;
  }
  return count % 2 === 1;
}

/** `--password=...` or `X-Api-Key: ...` from the start: an item of a list of arguments, which is one word to its end. */
function isItem(text: string, start: number, end: number): boolean {
  return start <= MAX_FLAG_CHARS && FLAG.test(text.slice(0, start)) && !/\s/.test(text.slice(end));
}

const MAX_FLAG_CHARS = 64;
const FLAG = /^(?:--[A-Za-z][\w-]*=|[A-Za-z][\w-]*: (?:Bearer )?)$/;
const WORD = /[.%+@~^:/=!#*?-]/;

function isPlain(char: string): boolean {
  return char !== '' && /[A-Za-z0-9_$]/.test(char);
}
