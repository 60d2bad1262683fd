/**
 * One line of an export, taken apart without writing anything anew: the entry is the very text that stands in the line.
 *
 *     {"index":0,"leaf":"d859...","entry":{"at":...},"opening":{"key":"0000...","sections":{"args":{...}}}}
 *
 * Members stand in this order, each at most once, without spaces between them; whatever else a line holds, another reader
 * might read as something else, so it is refused. Instead of `entry` there is `text`, a JSON string, when what was stored
 * is not one line of JSON.
 */
import { isShallow } from '../container/stored-json.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { isHash } from '../ledger/merkle.ts';

export interface ExportLine {
  /** 0-based position, as the line says. */
  readonly index: number;
  /** Undefined when it is no leaf hash. */
  readonly leaf: string | undefined;
  readonly body: string;
  readonly opening: { readonly key: string | undefined; readonly sections: string } | undefined;
}

const START = /^\{"index":(0|[1-9][0-9]{0,15}),"leaf":"([^"\\]{0,64})","(entry|text)":/;
const OPENING_START = /^,"opening":\{"key":"([^"\\]{0,64})","sections":/;
const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** @returns undefined when the line does not have that form. */
export function parseExportLine(line: string): ExportLine | undefined {
  const [start, digits = '', leaf, member] = START.exec(line) ?? [];
  const index = Number(digits);
  if (start === undefined || !Number.isSafeInteger(index)) return undefined;
  const entryEnd = valueEnd(line, start.length);
  if (entryEnd === undefined) return undefined;
  const stored = line.slice(start.length, entryEnd);
  const body = member === 'entry' ? (stored.startsWith('{') ? stored : undefined) : stringOf(stored);
  if (body === undefined) return undefined;
  const common = { index, leaf: isHash(leaf) ? leaf : undefined, body };
  if (line.length === entryEnd + 1 && line.endsWith('}')) return { ...common, opening: undefined };

  // Only as far as its own start: a regular expression over the rest would see the clear text.
  const [openingStart, key] = OPENING_START.exec(line.slice(entryEnd, entryEnd + MAX_OPENING_START)) ?? [];
  if (openingStart === undefined) return undefined;
  const sectionsStart = entryEnd + openingStart.length;
  const sectionsEnd = valueEnd(line, sectionsStart);
  if (sectionsEnd === undefined || line.slice(sectionsEnd) !== '}}') return undefined;
  return { ...common, opening: { key, sections: canonicalSections(line.slice(sectionsStart, sectionsEnd)) } };
}

const MAX_OPENING_START = 128;

/** Where the object or string that begins there ends. Only brackets and quotes are looked at: whoever takes it parses it. */
function valueEnd(text: string, start: number): number | undefined {
  if (text.charCodeAt(start) === QUOTE) return stringEnd(text, start);
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth--;
      if (depth === 0) return at + 1;
    } else if (code === QUOTE) {
      const end = stringEnd(text, at);
      if (end === undefined) return undefined;
      at = end - 1;
    }
    if (depth === 0) return undefined;
  }
  return undefined;
}

function stringEnd(text: string, start: number): number | undefined {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((end - before) % 2 === 1) return end + 1;
  }
  return undefined;
}

function stringOf(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A name that JavaScript takes for an index. */
const INDEX_NAME = /"(?:0|[1-9][0-9]{0,9})":/;

/**
 * Exports of version 0.1 wrote names that look like numbers first. Such a text is put in order, if it is what JavaScript
 * writes: then it holds no name twice. Anything else stays as it is, and is no opening unless it is canonical.
 */
function canonicalSections(text: string): string {
  if (!INDEX_NAME.test(text)) return text;
  try {
    const value: unknown = JSON.parse(text);
    return isShallow(value) && JSON.stringify(value) === text ? canonicalize(value) : text;
  } catch (error) {
    if (CountersignError.is(error) || error instanceof SyntaxError) return text;
    throw error;
  }
}
