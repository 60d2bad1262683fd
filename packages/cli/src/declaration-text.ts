/** A declaration, and what differs between two, for people. A server writes all of it, so all of it is escaped. */
import { argumentChanges, type Json } from '@countersign/core';
import { type Page, safe, safeJsonLines } from './output.ts';
import { sequenceChanges } from './wrap/diff.ts';
import { wrap } from './wrap.ts';

const MAX_CHANGES_SHOWN = 40;
/** Words of one text that are compared. */
const MAX_WORDS = 4000;
/** Words that stay, before and after words that changed. */
const CONTEXT_WORDS = 6;
const MAX_LINES = 200;
const MIN_COLUMNS = 24;

/** Value by value, texts word by word: `[-gone-]` and `{+new+}`, which colours do not have to say. */
export function declarationDiff(before: Json, after: Json, page: Page): readonly string[] {
  const { changes, more } = argumentChanges(before, after);
  const lines = changes.slice(0, MAX_CHANGES_SHOWN).flatMap(({ pointer, before: was, after: is }) => {
    const place = page.style('bold', safe(pointer === '' ? '(all)' : pointer));
    if (typeof was === 'string' && typeof is === 'string') return [place, ...indented(wordDiff(was, is, page))];
    return [place, ...(was === undefined ? [] : valueLines(was, '-', page)), ...(is === undefined ? [] : valueLines(is, '+', page))];
  });
  const hidden = Math.max(0, changes.length - MAX_CHANGES_SHOWN) + more;
  return hidden > 0 ? [...lines, `… ${hidden} more changes; --json has both`] : lines;
}

export function declarationLines(declaration: Json): readonly string[] {
  const lines = safeJsonLines(declaration);
  return lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES), `… ${lines.length - MAX_LINES} more lines; --json has all`] : lines;
}

function valueLines(value: Json, sign: '-' | '+', page: Page): readonly string[] {
  return safeJsonLines(value).map((line) => `  ${page.style(sign === '-' ? 'bad' : 'good', `${sign} ${line}`)}`);
}

function wordDiff(before: string, after: string, page: Page): readonly string[] {
  const [was, is] = [wordsOf(before), wordsOf(after)];
  const parts: string[] = [];
  const changes = sequenceChanges(was, is);
  for (let at = 0; at < changes.length; ) {
    const { kind } = changes[at] as (typeof changes)[number];
    let end = at;
    while (end < changes.length && changes[end]?.kind === kind) end++;
    const words = changes.slice(at, end).map(({ line }) => safe(line));
    parts.push(...(kind === 'same' ? shortened(words, at > 0, end < changes.length) : marked(words, kind)));
    at = end;
  }
  const cut = Math.max(0, before.split(/\s+/).length, after.split(/\s+/).length) > MAX_WORDS ? ['…'] : [];
  return wrap([...parts, ...cut].join(' '), Math.max(MIN_COLUMNS, page.columns - 4)).map((line) => coloured(line, page));
}

function wordsOf(text: string): readonly string[] {
  return text.split(/\s+/).slice(0, MAX_WORDS);
}

/** Brackets stay with the first and the last word, so that a line break changes nothing about them. */
function marked(words: readonly string[], kind: 'removed' | 'added'): readonly string[] {
  const [open, close] = kind === 'removed' ? ['[-', '-]'] : ['{+', '+}'];
  return words.map((word) => `${open}${word}${close}`);
}

function shortened(words: readonly string[], isAfter: boolean, isBefore: boolean): readonly string[] {
  const [from, to] = [isAfter ? CONTEXT_WORDS : 0, isBefore ? CONTEXT_WORDS : 0];
  if (words.length <= from + to + 1) return words;
  return [...words.slice(0, from), '…', ...(to === 0 ? [] : words.slice(-to))];
}

/** Colours are added to whole lines of marked words. What a server wrote holds no escape any more. */
function coloured(line: string, page: Page): string {
  return line
    .replaceAll(/(?<=^|\s)\[-\S*-\](?=\s|$)/g, (word) => page.style('bad', word))
    .replaceAll(/(?<=^|\s)\{\+\S*\+\}(?=\s|$)/g, (word) => page.style('good', word));
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line}`);
}
