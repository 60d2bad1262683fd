/** Fields that are put together from the pieces of a word. */
import { MAX_SHELL_VALUE_CHARS } from './analysis.ts';
import { asPattern, type Field, SPLIT, UNKNOWN } from './field.ts';

/** Puts fields together from pieces, some of which split. */
export class Builder {
  readonly #splits: boolean;
  readonly #fields: Field[] = [];
  #current: string | undefined;

  constructor(splits: boolean) {
    this.#splits = splits;
  }
  add(text: Field): void {
    this.#current = (this.#current ?? '') + text;
    if (this.#current.length > MAX_SHELL_VALUE_CHARS) this.#current = UNKNOWN;
  }
  /** Quotes make a word even of nothing. */
  quoted(): void {
    this.#current ??= '';
  }
  /** A value without quotes: split at blanks, `*` in it is a pattern. */
  addUnquoted(value: Field): void {
    if (!this.#splits) {
      this.add(value);
      return;
    }
    let first = true;
    let start = 0;
    for (let i = 0; i <= value.length; i++) {
      const character = value[i];
      if (character !== undefined && character !== ' ' && character !== '\t' && character !== '\n') continue;
      if (!first) this.end();
      first = false;
      if (i > start) this.add(asPattern(value.slice(start, i)));
      start = i + 1;
    }
  }
  /** The items of a list, each a word, the first and last one joined to what stands beside. */
  addItems(items: readonly Field[], quoted: boolean): void {
    items.forEach((item, i) => {
      if (i > 0) this.end();
      if (quoted) this.add(item);
      else this.addUnquoted(item);
    });
  }
  end(): void {
    if (this.#current !== undefined) this.#fields.push(this.#current);
    this.#current = undefined;
  }
  done(): readonly Field[] {
    this.end();
    return this.#fields;
  }
  whole(): Field {
    this.end();
    return this.#fields.join(' ').replaceAll(SPLIT, UNKNOWN);
  }
}
