import type { Json } from '@countersign/core';

/** As JSON has it: without what is undefined, and with no text or name in it that is not well-formed, which no entry can hold. */
export function plainJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value).replaceAll(ESCAPED, (escape) => (escape === BACKSLASH ? escape : '\\ufffd'))) as Json; // JSON in, JSON out
}

/** A surrogate is escaped only where it stands alone. The escape of a backslash is taken whole, since what follows it is text. */
const ESCAPED = /\\(?:\\|ud[89a-f][0-9a-f]{2})/g;
const BACKSLASH = '\\\\';
