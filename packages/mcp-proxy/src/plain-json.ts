/**
 * JSON as `JSON.stringify` writes it, read without a scan. Most peers write so, and text that comes back byte for byte when what was
 * read of it is written again holds nothing that two readers could take differently: no repeated key, no number beyond a double, no
 * space, no second spelling of a character. What such text may hold all the same is looked for here, and left to `scanJson`.
 */
import { DECIDING_KEYS, MAX_DEPTH } from './json-scan.ts';
import { lookalike } from './lookalike.ts';
import { isObject, type JsonObject, member } from './message.ts';

/** Larger ones are scanned: written again they would take as much memory once more. */
export const MAX_PLAIN_BYTES = 65_536;

export interface PlainJson {
  readonly value: JsonObject;
  /** The value of the member `id` as it stands in the text. */
  readonly idJson?: string;
}

/**
 * One object in which `scanJson` finds no flaw; undefined for anything else, and for some objects that have none either.
 *
 * @param decidingKeys - as in `scanJson`.
 */
export function plainJson(bytes: Buffer, decidingKeys: ReadonlySet<string> = DECIDING_KEYS): PlainJson | undefined {
  if (bytes[0] !== 0x7b || bytes.length > MAX_PLAIN_BYTES) return undefined;
  const text = bytes.toString('utf8');
  if (MARKS.some((mark) => text.includes(mark)) || mayBeDeep(text)) return undefined;
  const value = written(text);
  if (value === undefined || hasLookalike(value, decidingKeys)) return undefined;
  return Object.hasOwn(value, 'id') ? { value, idJson: JSON.stringify(value['id']) } : { value };
}

/** In place of what is not UTF-8; half a surrogate pair, which is written as it was read; a key that is one only to some readers. */
const MARKS = ['\ufffd', '\\ud', '__proto__'] as const;

/** Whether so much is opened that it could be nested too deeply. */
function mayBeDeep(text: string): boolean {
  let opened = 0;
  for (const opening of ['{', '[']) {
    for (let at = text.indexOf(opening); at !== -1; at = text.indexOf(opening, at + 1)) if (++opened > MAX_DEPTH) return true;
  }
  return false;
}

/** What is read of a text that is what is written of it. */
function written(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && JSON.stringify(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}

function hasLookalike(value: JsonObject, decidingKeys: ReadonlySet<string>): boolean {
  const params = member(value, 'params');
  const isLike = (key: string): boolean => lookalike(key, decidingKeys) !== undefined;
  return Object.keys(value).some(isLike) || (isObject(params) && Object.keys(params).some(isLike));
}
