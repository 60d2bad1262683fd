/**
 * Canonical JSON (RFC 8785, JCS): the one text of a value, so that it can be hashed and signed.
 *
 * Object members are sorted by the UTF-16 code units of their names, numbers are written as ECMAScript writes them,
 * strings escape only what JSON must, and nothing stands between the tokens:
 *
 *     { b: [1e21, -0], a: 'é\n' }   →   {"a":"é\n","b":[1e+21,0]}
 *
 * Strings are not normalised: what was sent is what is hashed. Whatever JSON cannot say exactly is refused rather than
 * mapped to something close, because two values with one text would share one signature.
 */
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';

/** Deepest nesting of arrays and objects. Also what stops a cycle. */
export const MAX_CANONICAL_DEPTH = 128;
/** Longest text, in UTF-16 code units. Also what stops a small graph of shared objects that unfolds without end. */
export const MAX_CANONICAL_CHARS = 16_777_216;

/**
 * The canonical text of a value. Object members that are `undefined` are left out, as JSON.stringify does; each member
 * is read once, so a getter cannot show two faces.
 *
 * @throws {CountersignError} `CANONICAL_INVALID` for NaN, Infinity, bigint, a lone surrogate, a function, a symbol,
 *   `undefined` outside an object member, an object that is not plain, and past the two limits above.
 * @see RFC 8785
 */
export function canonicalize(value: unknown): string {
  return write(value, 0);
}

/**
 * Parses a text that must be canonical already: no duplicate or unsorted keys, no spaces, one form of each number.
 *
 * @throws {CountersignError} `CANONICAL_INVALID` also when it is not JSON at all.
 */
export function parseCanonical(text: string): Json {
  if (text.length > MAX_CANONICAL_CHARS) throw invalid(`text is longer than ${MAX_CANONICAL_CHARS} characters`);
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    // The parser's own message quotes the text, which may hold secrets.
    throw invalid('text is not JSON');
  }
  // JSON.stringify is several times faster than sorting, but it keeps the order of the keys and escapes a lone surrogate
  // instead of refusing it: equal text means canonical only if neither occurs.
  if (isSorted(parsed, 0) && !text.includes('\\ud') && JSON.stringify(parsed) === text) return parsed;
  if (canonicalize(parsed) !== text) throw invalid('text is JSON, but not in canonical form');
  return parsed;
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'number':
      if (!Number.isFinite(value)) throw invalid('a number is NaN or infinite');
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (depth >= MAX_CANONICAL_DEPTH) throw invalid(`nested deeper than ${MAX_CANONICAL_DEPTH} levels, or a cycle`);
      return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value, depth + 1);
    case 'bigint':
    case 'function':
    case 'symbol':
    case 'undefined':
    default:
      throw invalid(`a value is a ${typeof value}`);
  }
}

/** Most strings: nothing to escape, nothing to refuse. */
const PLAIN_STRING = /^[ !#-[\]-~]*$/;

function writeString(value: string): string {
  if (PLAIN_STRING.test(value)) return `"${value}"`;
  if (!value.isWellFormed()) throw invalid('a string holds a lone surrogate');
  return JSON.stringify(value);
}

function writeArray(items: readonly unknown[], depth: number): string {
  if (Object.getPrototypeOf(items) !== Array.prototype || Object.hasOwn(items, 'toJSON')) throw invalid('an array is not a plain array');
  let text = '[';
  for (let index = 0; index < items.length; index++) {
    text += index === 0 ? write(items[index], depth) : `,${write(items[index], depth)}`;
    if (text.length > MAX_CANONICAL_CHARS) throw tooLong();
  }
  return `${text}]`;
}

function writeObject(members: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(members);
  if (prototype !== Object.prototype && prototype !== null) throw invalid('an object is not a plain object');
  const keys = Object.keys(members);
  sortTexts(keys);
  let text = '{';
  for (const key of keys) {
    const member = (members as Readonly<Record<string, unknown>>)[key];
    if (member === undefined) continue;
    text += text.length === 1 ? writeName(key) : `,${writeName(key)}`;
    text += write(member, depth);
    if (text.length > MAX_CANONICAL_CHARS) throw tooLong();
  }
  return `${text}}`;
}

/** Names that are remembered as they are written: those of entries are always the same. */
const MAX_WRITTEN_NAMES = 500;
const MAX_WRITTEN_NAME_CHARS = 32;
const WRITTEN = new Map<string, string>();

function writeName(name: string): string {
  const known = WRITTEN.get(name);
  if (known !== undefined) return known;
  const written = `${writeString(name)}:`;
  if (name.length > MAX_WRITTEN_NAME_CHARS) return written;
  if (WRITTEN.size >= MAX_WRITTEN_NAMES) WRITTEN.clear();
  WRITTEN.set(name, written);
  return written;
}

/** Few names are sorted faster where they are than by a library that makes lists for it. */
const FEW_KEYS = 32;

/** By UTF-16 code units. */
export function sortTexts(keys: string[]): void {
  if (keys.length > FEW_KEYS) {
    if (!areSorted(keys)) keys.sort();
    return;
  }
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i] as string;
    let at = i;
    for (; at > 0 && (keys[at - 1] as string) > key; at--) keys[at] = keys[at - 1] as string;
    keys[at] = key;
  }
}

/** For values of JSON.parse. Past the depth limit it answers false, and canonicalize then says why. */
function isSorted(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_CANONICAL_DEPTH) return false;
  if (Array.isArray(value)) {
    for (const item of value as readonly Json[]) if (!isSorted(item, depth + 1)) return false;
    return true;
  }
  const members = value as { readonly [key: string]: Json };
  const keys = Object.keys(members);
  if (!areSorted(keys)) return false;
  for (const key of keys) if (!isSorted(members[key] as Json, depth + 1)) return false;
  return true;
}

/** JavaScript compares strings by UTF-16 code units, which is the order RFC 8785 asks for. */
function areSorted(keys: readonly string[]): boolean {
  for (let index = 1; index < keys.length; index++) {
    if ((keys[index - 1] as string) > (keys[index] as string)) return false;
  }
  return true;
}

function invalid(what: string): CountersignError {
  return new CountersignError('CANONICAL_INVALID', `canonical json: ${what}`);
}

function tooLong(): CountersignError {
  return invalid(`text would be longer than ${MAX_CANONICAL_CHARS} characters`);
}
