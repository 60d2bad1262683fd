/**
 * Quotation in text that may be a JSON string inside JSON: at depth 1 a quote is written `\"`, at depth 2 `\\\"`, and so on.
 */

export interface Delimiter {
  /** With its backslashes. */
  readonly text: string;
  readonly character: string;
  /** How often the text was quoted. */
  readonly depth: number;
}

/** JSON in JSON in JSON: at this depth a quote has 31 backslashes. */
const MAX_DEPTH = 5;

const DELIMITER = /(\\{0,31})(["'`])/y;

/** The quote that starts at `at`, if one does. */
export function delimiterAt(text: string, at: number): Delimiter | undefined {
  const code = text.charCodeAt(at);
  if (code !== 0x22 && code !== 0x27 && code !== 0x5c && code !== 0x60) return undefined;
  DELIMITER.lastIndex = at;
  const match = DELIMITER.exec(text);
  if (match === null) return undefined;
  const [whole, slashes = '', character = ''] = match;
  const depth = Math.log2(slashes.length + 1);
  return Number.isInteger(depth) && depth <= MAX_DEPTH ? { text: whole, character, depth } : undefined;
}

/** Where the closing quote starts, its backslashes included; the end of the text when there is none. */
export function quotedEnd(text: string, from: number, quote: Delimiter): number {
  for (let at = text.indexOf(quote.character, from); at !== -1; at = text.indexOf(quote.character, at + 1)) {
    const slashes = slashesBefore(text, at, from);
    if (closes(slashes, quote.depth)) return Math.max(from, at - Math.min(slashes, quote.text.length - 1));
  }
  return text.length;
}

/** Each level of quoting takes one backslash for the quote and halves the rest; an even rest is text, and the quote closes. */
function closes(slashes: number, depth: number): boolean {
  let left = slashes;
  for (let level = 0; level < depth; level++) {
    // Not even escaped for the level outside: the text around ends here.
    if (left % 2 === 0) return true;
    left = (left - 1) / 2;
  }
  return left % 2 === 0;
}

function slashesBefore(text: string, at: number, from: number): number {
  let start = at;
  while (start > from && text.charCodeAt(start - 1) === 0x5c) start -= 1;
  return at - start;
}

/**
 * Where the object or list that starts at `start` ends; of one that was cut off, the end of the text. `undefined` where there
 * is none with anything in it worth hiding. Reads no further than it reports, or a few characters.
 */
export function jsonValueEnd(text: string, start: number, quote: Delimiter): number | undefined {
  FILLED.lastIndex = start + 1;
  const opener = text.charAt(start);
  if (opener !== '{' && opener !== '[') return undefined;
  FILLED.test(text);
  const first = FILLED.lastIndex;
  const isFilled = text.startsWith(quote.text, first) || (opener === '[' && /[[{\d]/.test(text.charAt(first)));
  if (!isFilled) return undefined;
  let open = 0;
  BRACKETS.lastIndex = start;
  for (let match = BRACKETS.exec(text); match !== null; match = BRACKETS.exec(text)) {
    const sign = match[0];
    if (sign === '"') BRACKETS.lastIndex = Math.min(text.length, quotedEnd(text, BRACKETS.lastIndex, quote) + quote.text.length);
    else if (sign === '{' || sign === '[') open += 1;
    else open -= 1;
    if (open === 0) return match.index + 1;
  }
  return text.length;
}
const FILLED = /[ \t\r\n]{0,200}/y;
const BRACKETS = /["{}[\]]/g;

/** `{"type":"string"}` says what a password is, and is none. */
export function startsSchema(text: string, start: number, quote: Delimiter): boolean {
  SCHEMA.lastIndex = start;
  const match = SCHEMA.exec(text);
  return match !== null && match[1] === quote.text;
}
const SCHEMA =
  /\{[ \t\r\n]{0,200}(\\{0,31}")(?:type|shape|\$ref|description|title|anyOf|oneOf|allOf|enum|const|format|default|required|nullable|readOnly|writeOnly|example|examples|minLength|maxLength|pattern|not)\\{0,31}"/y;
