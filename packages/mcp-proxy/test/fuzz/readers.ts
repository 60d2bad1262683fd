/**
 * Readers of what reached the server that take almost anything for JSON and keep what they saw: repeated members, names in any case,
 * several messages on a line, one message on several lines. What none of them takes for a call, no server does.
 */

import type { Framing } from '../../src/client-message.ts';

/** Every name that some reader takes for the tool of a call in these bytes. @param framing - nobody cuts a body into lines. */
export function toolsCalled(bytes: Buffer, framing: Framing): ReadonlySet<string> {
  const names = new Set<string>();
  for (const text of [bytes.toString('utf8'), bytes.toString('latin1')]) {
    if (framing === 'bodies') {
      for (const value of valuesOf(text)) collect(value, names);
      continue;
    }
    for (const lines of [text.split('\n'), text.split(/[\r\n]/), [text]])
      for (const line of lines) for (const value of valuesOf(line)) collect(value, names);
    // Whoever ends lines at these as well (Python's splitlines) skips nothing to find a message inside of a line.
    for (const line of text.split(/[\r\n\u0085\u2028\u2029\u000b\u000c\u001e\u0000]/)) {
      const value = new LenientReader(line.replace(/^[\s\p{Cc}\p{Cf}]+/u, '')).next();
      if (value !== undefined) collect(value, names);
    }
  }
  return names;
}

type Value = string | null | readonly Value[] | Members;
/** In their order, the repeated ones too. */
interface Members {
  readonly members: readonly (readonly [string, Value])[];
}

/** Values one behind the other; what is none is skipped up to where the next one could begin. */
function valuesOf(text: string): Value[] {
  const values: Value[] = [];
  const reader = new LenientReader(text);
  while (!reader.isAtEnd) {
    const value = reader.next();
    if (value !== undefined) values.push(value);
  }
  return values;
}

const CONTROLS: ReadonlyMap<string, string> = new Map([
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

class LenientReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Undefined for what is no object or list. */
  next(): Value | undefined {
    const start = this.#at;
    const char = this.#text[start];
    if (char !== '{' && char !== '[') {
      this.#at += 1;
      return undefined;
    }
    const value = this.#value(0);
    if (value === undefined) this.#at = start + 1;
    return value;
  }

  #value(depth: number): Value | undefined {
    this.#skip();
    const char = this.#text[this.#at];
    if (depth > 400 || char === undefined) return undefined;
    if (char === '{') return this.#object(depth);
    if (char === '[') return this.#list(depth);
    if (char === '"' || char === "'") return this.#string(char);
    const word = /[^\s,:{}[\]"']*/y;
    word.lastIndex = this.#at;
    const found = word.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found === '' ? undefined : null;
  }

  #object(depth: number): Value | undefined {
    const members: [string, Value][] = [];
    this.#at += 1;
    for (;;) {
      this.#skip();
      const char = this.#text[this.#at];
      if (char === '}') {
        this.#at += 1;
        return { members };
      }
      if (char === ',') {
        this.#at += 1;
        continue;
      }
      const key = char === '"' || char === "'" ? this.#string(char) : this.#bare();
      this.#skip();
      if (key === undefined || this.#text[this.#at] !== ':') return undefined;
      this.#at += 1;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      members.push([key, value]);
    }
  }

  #list(depth: number): Value | undefined {
    const items: Value[] = [];
    this.#at += 1;
    for (;;) {
      this.#skip();
      const char = this.#text[this.#at];
      if (char === ']') {
        this.#at += 1;
        return items;
      }
      if (char === ',') {
        this.#at += 1;
        continue;
      }
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      items.push(value);
    }
  }

  #string(quote: string): string | undefined {
    let text = '';
    for (this.#at += 1; this.#at < this.#text.length; this.#at += 1) {
      const char = this.#text[this.#at];
      if (char === quote) {
        this.#at += 1;
        return text;
      }
      if (char !== '\\') text += char;
      else {
        this.#at += 1;
        const kind = this.#text[this.#at];
        const code = kind === 'u' ? /^[0-9a-fA-F]{4}/.exec(this.#text.slice(this.#at + 1, this.#at + 5))?.[0] : undefined;
        text += code === undefined ? (CONTROLS.get(kind ?? '') ?? kind ?? '') : String.fromCharCode(Number.parseInt(code, 16));
        if (code !== undefined) this.#at += 4;
      }
    }
    return undefined;
  }

  #bare(): string | undefined {
    const word = /[\p{L}\p{N}_$/]+/uy;
    word.lastIndex = this.#at;
    const found = word.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  /** White space of any language, comments, marks of byte order. */
  #skip(): void {
    const gap = /(?:[\s\p{Cc}\p{Cf}\ufeff]|\/\*[^]*?\*\/|\/\/[^\r\n]*|#[^\r\n]*)*/uy;
    gap.lastIndex = this.#at;
    this.#at += gap.exec(this.#text)?.[0].length ?? 0;
  }
}

function collect(value: Value, names: Set<string>): void {
  if (isList(value)) return value.forEach((item) => collect(item, names));
  if (value === null || typeof value === 'string') return;
  const isCall = valuesUnder(value, 'method').some((method) => typeof method === 'string' && folded(method) === 'tools/call');
  if (!isCall) return;
  for (const params of valuesUnder(value, 'params')) {
    if (params === null || typeof params === 'string' || isList(params)) continue;
    for (const name of valuesUnder(params, 'name')) if (typeof name === 'string') names.add(name);
  }
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** Whichever of them counts. */
function valuesUnder({ members }: Members, name: string): readonly Value[] {
  return members.flatMap(([key, value]) => (folded(key) === name ? [value] : []));
}

function folded(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cc}\p{Cf}\s]/gu, '')
    .toUpperCase()
    .toLowerCase();
}
