/** The words of a JSON Schema, of the kind they have to be. A schema that uses one in another way cannot be checked. */
import { isObject, type JsonObject, member } from '../message.ts';
import { Unchecked } from './document.ts';

export function numberWord(schema: JsonObject, word: string): number | undefined {
  const value = member(schema, word);
  if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
  throw wrong(word, 'number');
}

export function countWord(schema: JsonObject, word: string): number | undefined {
  const value = numberWord(schema, word);
  if (value === undefined || (Number.isInteger(value) && value >= 0)) return value;
  throw wrong(word, 'whole number');
}

export function listWord(schema: JsonObject, word: string): readonly unknown[] | undefined {
  const value = member(schema, word);
  if (value === undefined || Array.isArray(value)) return value as readonly unknown[] | undefined;
  throw wrong(word, 'list');
}

export function namesWord(schema: JsonObject, word: string): readonly string[] | undefined {
  const value = member(schema, word);
  // Draft 3 had it as a boolean inside of a property, and generators still write it: it says nothing since.
  if (value === undefined || typeof value === 'boolean') return undefined;
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
  throw wrong(word, 'list of names');
}

export function mapWord(schema: JsonObject, word: string): JsonObject | undefined {
  const value = member(schema, word);
  if (value === undefined || isObject(value)) return value;
  throw wrong(word, 'object');
}

function wrong(word: string, kind: string): Unchecked {
  return new Unchecked(`${word} of the outputSchema is no ${kind}`);
}
