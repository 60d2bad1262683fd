/**
 * A JSON text with some of its values replaced, everything else byte for byte as it was: numbers beyond a double, spelling of
 * escapes, order and spacing are the writer's, and not ours to change.
 */
import { renamedMembers } from '@countersign/core';
import { isObject, type JsonObject, member } from './message.ts';

/** Stands in `after` for an item of a list that goes, with its comma. */
export const REMOVED: unique symbol = Symbol('removed');

/**
 * @param text - valid JSON without repeated keys, not deeper than the stack (see `MAX_DEPTH` of `json-scan.ts`).
 * @param before - what `JSON.parse` makes of it.
 * @param after - the same with other values and names of members in some places; the members of an object in the same order.
 *   A list that loses items is as long as before, with `REMOVED` in their places.
 */
export function rewriteJson(text: string, before: unknown, after: unknown): string {
  const rewriter = new Rewriter(text);
  rewriter.value(before, after);
  return rewriter.end();
}

const SPACE = /[ \t\r\n\ufeff]*/y;
const SCALAR_END = /[\s,\]}]|$/g;
const MARK = /["[\]{}]/g;

class Rewriter {
  readonly #text: string;
  #at = 0;
  #written = '';
  /** Up to here the text is in `#written`. */
  #done = 0;

  constructor(text: string) {
    this.#text = text;
  }

  end(): string {
    return this.#written + this.#text.slice(this.#done);
  }

  value(before: unknown, after: unknown): void {
    this.#space();
    if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) return this.#array(before, after);
    if (isObject(before) && isObject(after)) {
      const names = renamedMembers(before, after);
      if (names !== undefined) return this.#object(before, after, names);
    }
    const start = this.#at;
    this.#skip();
    if (!Object.is(before, after)) this.#replace(start, after);
  }

  #array(before: readonly unknown[], after: readonly unknown[]): void {
    this.#at += 1;
    let isKept = false;
    let gap = this.#at;
    for (const [i, item] of before.entries()) {
      const ended = this.#at; // the item before
      this.#space();
      if (i > 0) {
        this.#at += 1; // the comma
        this.#space();
      }
      if (i === 0) gap = this.#at;
      if (after[i] === REMOVED) {
        this.#skip();
        // Its own comma goes with it; that of the items before the first one that stays, below.
        if (isKept) this.#cut(ended, this.#at);
        continue;
      }
      if (!isKept) this.#cut(gap, this.#at);
      isKept = true;
      this.value(item, after[i]);
    }
    if (!isKept) this.#cut(gap, this.#at);
    this.#closing();
  }

  #object(before: JsonObject, after: JsonObject, names: ReadonlyMap<string, string>): void {
    this.#at += 1;
    for (let left = names.size; left > 0; left--) {
      this.#space();
      const start = this.#at;
      this.#string();
      const key = String(JSON.parse(this.#text.slice(start, this.#at)));
      const name = names.get(key) ?? key;
      if (name !== key) this.#replace(start, name);
      this.#space();
      this.#at += 1; // the colon
      this.value(member(before, key), member(after, name));
      this.#space();
      this.#at += 1; // the comma, or the brace at the end
    }
    if (names.size === 0) this.#closing();
  }

  /** What is behind the last item of a list, or in an empty container. */
  #closing(): void {
    this.#space();
    this.#at += 1;
  }

  #replace(start: number, value: unknown): void {
    this.#cut(start, this.#at);
    this.#written += JSON.stringify(value);
  }

  #cut(start: number, end: number): void {
    this.#written += this.#text.slice(this.#done, start);
    this.#done = end;
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #skip(): void {
    const opening = this.#text.charAt(this.#at);
    if (opening === '"') return this.#string();
    if (opening !== '{' && opening !== '[') {
      SCALAR_END.lastIndex = this.#at;
      this.#at = SCALAR_END.exec(this.#text)?.index ?? this.#text.length;
      return;
    }
    let open = 0;
    do {
      MARK.lastIndex = this.#at;
      this.#at = MARK.exec(this.#text)?.index ?? this.#text.length;
      const mark = this.#text.charAt(this.#at);
      if (mark === '"') this.#string();
      else {
        open += mark === '{' || mark === '[' ? 1 : -1;
        this.#at += 1;
      }
    } while (open > 0);
  }

  #string(): void {
    let end = this.#at;
    do end = this.#text.indexOf('"', end + 1);
    while (isEscaped(this.#text, end));
    this.#at = end + 1;
  }
}

/** A quote behind an odd number of backslashes does not end its string. */
function isEscaped(text: string, quote: number): boolean {
  let start = quote;
  while (text.charCodeAt(start - 1) === 0x5c) start -= 1;
  return (quote - start) % 2 === 1;
}
