/**
 * SQL cut into tokens, as each family of databases would cut it.
 *
 * Who controls the text: the agent, and nothing in it says which database reads it. `'\' ; drop table x; --'` is one string for
 * MySQL and three statements for the others; `/*! drop table x *\/` is a comment for all but MySQL. So a text is cut in every way in
 * which the databases differ about it, and judged once for each.
 */

export type Token =
  /** Keywords and names without quotes, in lower case. */
  | { readonly kind: 'word'; readonly text: string; readonly startsLine: boolean }
  /** Names in quotes, without them. */
  | { readonly kind: 'name'; readonly text: string }
  /** Strings, numbers and parameters: their text does not matter. */
  | { readonly kind: 'value' }
  | { readonly kind: 'mark'; readonly text: string };

interface Dialect {
  /** `\'` does not end a string. */
  readonly backslash?: boolean;
  /** `#` starts a comment. */
  readonly hash?: boolean;
  readonly backtick?: boolean;
  readonly brackets?: boolean;
  readonly dollarQuotes?: boolean;
  readonly nestedComments?: boolean;
  /** What stands in `/*! ... *\/` runs. */
  readonly runningComments?: boolean;
  /** `--` starts a comment only before a space. */
  readonly strictDashes?: boolean;
  /** `q'[it's]'` */
  readonly qQuotes?: boolean;
}

const POSTGRES: Dialect = { dollarQuotes: true, nestedComments: true };
const DIALECTS: readonly Dialect[] = [
  POSTGRES,
  { backslash: true, hash: true, backtick: true, runningComments: true, strictDashes: true },
  { brackets: true, nestedComments: true },
  { brackets: true, backtick: true },
  { qQuotes: true },
];

/** What one family reads in another way than the next. Without any of it one reading stands for all. */
const DISPUTED = /[\\#$`[]|\/\*|--(?!\s)|q'/i;

/** The different readings of a text; none when no family could read it to its end. */
export function readings(text: string): readonly (readonly Token[])[] {
  const found = new Map<string, readonly Token[]>();
  if (!DISPUTED.test(text)) {
    const tokens = tokenize(text, POSTGRES);
    return tokens === undefined ? [] : [tokens];
  }
  for (const dialect of DIALECTS) {
    const tokens = tokenize(text, dialect);
    if (tokens !== undefined) found.set(JSON.stringify(tokens), tokens);
  }
  return [...found.values()];
}

const [DOLLAR, AT, HASH] = [0x24, 0x40, 0x23];
const MAX_LOOKS = 50;
const WORD_START = /[\p{L}_@#\u0080-\u{10ffff}]/u;
const SPACE = /\s+/y;
const ASCII_WORD = /[A-Za-z0-9_]*/y;
const WORD = /[\p{L}\p{N}_@#$\u0080-\u{10ffff}]*/uy;
const NUMBER = /[0-9](?:[0-9a-zA-Z_.]|(?<=[eE])[+-])*/y;
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;

/** @returns undefined when a quote or a comment does not end, or a character stands where none may. */
function tokenize(text: string, dialect: Dialect): readonly Token[] | undefined {
  const cutter = new Cutter(text, dialect);
  while (cutter.next());
  return cutter.failed ? undefined : cutter.tokens;
}

class Cutter {
  readonly tokens: Token[] = [];
  failed = false;
  readonly #text: string;
  readonly #dialect: Dialect;
  #at = 0;
  #startsLine = true;
  /** Inside of a comment whose text runs. */
  #running = false;
  /** How often the end of foreign quotes was looked for: each look may read to the end of the text. */
  #looked = 0;

  constructor(text: string, dialect: Dialect) {
    this.#text = text;
    this.#dialect = dialect;
  }

  next(): boolean {
    if (this.failed) return false;
    if (this.#at >= this.#text.length) {
      if (this.#running) this.failed = true;
      return false;
    }
    SPACE.lastIndex = this.#at;
    const space = SPACE.exec(this.#text)?.[0];
    if (space !== undefined) {
      this.#startsLine ||= space.includes('\n') || space.includes('\r');
      this.#at += space.length;
      return true;
    }
    const char = this.#text.charAt(this.#at);
    if (/[A-Za-z_]/.test(char)) this.#word(this.#lineStart());
    else if (!this.#comment(char)) this.#token(char);
    return true;
  }

  #comment(char: string): boolean {
    const pair = char + this.#text.charAt(this.#at + 1);
    if (this.#running && pair === '*/') {
      this.#running = false;
      this.#at += 2;
      return true;
    }
    const dashes = pair === '--' && (this.#dialect.strictDashes !== true || /^(?:\s|$)/.test(this.#text.charAt(this.#at + 2)));
    if (dashes || (char === '#' && this.#dialect.hash === true)) {
      const end = this.#text.slice(this.#at).search(/[\n\r]/);
      this.#at = end < 0 ? this.#text.length : this.#at + end;
      return true;
    }
    if (pair !== '/*') return false;
    const runs = this.#dialect.runningComments === true ? /\/\*M?!\d{0,6}/y : undefined;
    if (runs !== undefined && !this.#running) {
      runs.lastIndex = this.#at;
      const start = runs.exec(this.#text);
      if (start !== null) {
        this.#running = true;
        this.#at += start[0].length;
        return true;
      }
    }
    this.#skipComment();
    return true;
  }

  #skipComment(): void {
    const edge = /\/\*|\*\//g;
    edge.lastIndex = this.#at + 2;
    for (let depth = 1; depth > 0; ) {
      const match = edge.exec(this.#text);
      if (match === null) {
        this.failed = true;
        return;
      }
      if (match[0] === '*/') depth -= 1;
      else if (this.#dialect.nestedComments === true) depth += 1;
      // In `/*/` the slash belongs to one of the two only.
      else edge.lastIndex = match.index + 1;
    }
    this.#at = edge.lastIndex;
  }

  #lineStart(): boolean {
    const startsLine = this.#startsLine;
    this.#startsLine = false;
    return startsLine;
  }

  #token(char: string): void {
    const startsLine = this.#lineStart();
    if (char === "'") this.#quoted(char, this.#dialect.backslash === true);
    else if (char === '"') this.#quoted(char, this.#dialect.backslash === true);
    else if (char === '`' && this.#dialect.backtick === true) this.#quoted(char, false);
    else if (char === '[' && this.#dialect.brackets === true) this.#quoted(']', false);
    else if (char === '$' && this.#dialect.dollarQuotes === true && this.#dollar()) return;
    else if (/[0-9]/.test(char)) this.#value(NUMBER);
    else if (WORD_START.test(char)) this.#word(startsLine);
    else if (char === '\\' || char === '\0') this.failed = true;
    else if ((char === '`' && this.#encloses('`')) || (char === '[' && !this.#subscripts() && this.#encloses(']'))) this.failed = true;
    else {
      this.#at += 1;
      this.tokens.push({ kind: 'mark', text: char });
    }
  }

  /**
   * A name in foreign quotes makes this family refuse the statement, so the reading says nothing. Where the quotes hold a `;` the
   * statement behind it may run all the same: clients cut a text before they send it.
   */
  #encloses(mark: string): boolean {
    this.#looked += 1;
    if (this.#looked > MAX_LOOKS) return false;
    const end = this.#text.indexOf(mark, this.#at + 1);
    return end >= 0 && !this.#text.slice(this.#at, end).includes(';');
  }

  /** Where `[` quotes no name it stands behind what is subscripted, and never behind these. */
  #subscripts(): boolean {
    const before = this.tokens.at(-1);
    if (before?.kind === 'mark') return before.text !== '.';
    return (
      before !== undefined &&
      !(before.kind === 'word' && /^(?:select|distinct|from|join|into|update|table|where|by|on|and|or|as|exists)$/.test(before.text))
    );
  }

  #word(startsLine: boolean): void {
    // Lower case may be longer.
    const written = this.#wordText();
    const word = written.toLowerCase();
    const after = this.#text.charAt(this.#at + written.length);
    if (after === "'" && /^(?:e|b|x|n|q|nq|_[a-z0-9]+)$/.test(word)) {
      this.#at += written.length;
      if (this.#dialect.qQuotes === true && word.endsWith('q')) this.#oracle();
      else this.#quoted("'", this.#dialect.backslash === true || word === 'e');
      return;
    }
    this.#at += Math.max(1, written.length);
    if (word.startsWith('@')) this.tokens.push({ kind: 'value' });
    else this.tokens.push({ kind: 'word', text: word, startsLine });
  }

  #wordText(): string {
    ASCII_WORD.lastIndex = this.#at;
    const plain = ASCII_WORD.exec(this.#text)?.[0] ?? '';
    const next = this.#text.charCodeAt(this.#at + plain.length);
    if (plain !== '' && next < 128 && next !== DOLLAR && next !== AT && next !== HASH) return plain;
    WORD.lastIndex = this.#at;
    return WORD.exec(this.#text)?.[0] ?? '';
  }

  /** The end mark twice stands for itself. */
  #quoted(mark: string, escapes: boolean): void {
    let name = '';
    for (let at = this.#at + 1; at < this.#text.length; at++) {
      const char = this.#text.charAt(at);
      if (char === '\\' && escapes) {
        at += 1;
        name += this.#text.charAt(at);
      } else if (char !== mark) name += char;
      else if (this.#text.charAt(at + 1) === mark) {
        at += 1;
        name += mark;
      } else {
        this.#at = at + 1;
        // MySQL takes "..." for a string, the others for a name: a name is what has to be judged.
        this.tokens.push(mark === "'" ? { kind: 'value' } : { kind: 'name', text: name });
        return;
      }
    }
    this.failed = true;
  }

  #oracle(): void {
    const open = this.#text.charAt(this.#at + 1);
    const close = new Map([
      ['[', ']'],
      ['{', '}'],
      ['(', ')'],
      ['<', '>'],
    ]).get(open);
    const end = open === '' ? -1 : this.#text.indexOf(`${close ?? open}'`, this.#at + 2);
    if (end < 0) this.failed = true;
    this.#at = end + 2;
    this.tokens.push({ kind: 'value' });
  }

  #dollar(): boolean {
    DOLLAR_QUOTE.lastIndex = this.#at;
    const tag = DOLLAR_QUOTE.exec(this.#text)?.[0];
    if (tag === undefined) return false;
    const end = this.#text.indexOf(tag, this.#at + tag.length);
    if (end < 0) this.failed = true;
    this.#at = end + tag.length;
    this.tokens.push({ kind: 'value' });
    return true;
  }

  #value(pattern: RegExp): void {
    pattern.lastIndex = this.#at;
    this.#at += pattern.exec(this.#text)?.[0].length ?? 1;
    this.tokens.push({ kind: 'value' });
  }
}
