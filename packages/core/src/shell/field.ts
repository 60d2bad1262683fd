/**
 * A word after expansion, as far as the text alone tells: a string in which control characters stand for what it does not.
 *
 * Text with control characters of its own never gets here (`analyzeShell` refuses it), so the marks cannot be forged.
 */

/** One unknown piece of text inside one word: `"$name"`. */
export const UNKNOWN = '\u0000';
/** What `*` and `**` match. */
export const STAR = '\u0001';
/** What `?` and `[...]` match. */
export const ONE = '\u0002';
/** Unknown text that may be no word, one, or many: `$name` without quotes. */
export const SPLIT = '\u0003';
/** An unknown whole number. */
export const NUMBER = '\u0004';

export type Field = string;

/** Where `<(...)` and `>(...)` show up; the number is ours. */
export const PROCESS_FILE = '/dev/fd/63';

const LAST_MARK = 4;

/** True when the word is exactly its text. */
export function isKnown(field: Field): boolean {
  for (let i = 0; i < field.length; i++) if (field.charCodeAt(i) <= LAST_MARK) return false;
  return true;
}

/** True when some of the text cannot be known; a glob alone is known to be names of files. */
export function isHidden(field: Field): boolean {
  return field.includes(UNKNOWN) || field.includes(SPLIT);
}

export function hasGlob(field: Field): boolean {
  return !isKnown(field) && (field.includes(STAR) || field.includes(ONE));
}

/** True when the word, or one it splits into, might start with a dash. Names of files are taken for operands. */
export function mayBeOption(field: Field): boolean {
  const first = field.charCodeAt(0);
  return first === 45 || first === 0 || field.includes(SPLIT);
}

/** True when options or further operands may hide in these words. */
export function mayHideOptions(fields: readonly Field[]): boolean {
  for (const field of fields) {
    if (field === '--') return false;
    if (isHidden(field) && mayBeOption(field)) return true;
  }
  return false;
}

/** The word for whoever does not know the marks: patterns as `*` and `?`; undefined where some of it is not known. */
export function shownWord(field: Field): string | undefined {
  if (isKnown(field)) return field;
  return isHidden(field) || field.includes(NUMBER) ? undefined : field.replaceAll(STAR, '*').replaceAll(ONE, '?');
}

/** A control character that stands for itself cannot be told from a mark. */
export function withoutMarks(text: string): Field {
  return isKnown(text) ? text : UNKNOWN;
}

/** The text as an unquoted expansion shows it: `*`, `?` and `[` in a value are patterns there. */
export function asPattern(text: string): Field {
  let field = '';
  for (const character of text) field += character === '*' ? STAR : character === '?' || character === '[' ? ONE : character;
  return field;
}

/** The last component: `/usr/bin/rm` is `rm`. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function isDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return text !== '';
}
