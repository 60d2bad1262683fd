/**
 * HTML through one function that escapes. Whatever is put into a template is text, unless it came out of a template:
 *
 *     html`<p title="${reason}">${reason}</p>`
 *
 * Nearly all text here comes from an agent, so controls, bidirectional overrides and invisible characters are spelled out
 * too (`\u{202e}`). Attribute values stand in double quotes, always; no template has a place for text in a script, a style,
 * a tag or a URL of its own.
 */
import { escapeForTerminal } from '@countersign/core';

/** Markup of ours. Only this file makes it. */
export class Html {
  readonly #markup: string;

  constructor(markup: string) {
    this.#markup = markup;
  }

  toString(): string {
    return this.#markup;
  }
}

export type HtmlValue = Html | string | number | false | undefined | readonly HtmlValue[];

export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(parts.map((part, at) => (at === 0 ? part : `${markupOf(values[at - 1])}${part}`)).join(''));
}

/** For what a form sends back unchanged: escaped for HTML alone. Not for showing what an agent wrote. */
export function verbatim(text: string): Html {
  return new Html(escaped(text.toWellFormed().replaceAll('\0', '\ufffd')));
}

function markupOf(value: HtmlValue): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Html) return value.toString();
  if (typeof value === 'number') return String(value);
  if (isList(value)) return value.map(markupOf).join('');
  // Not only strings: rows that somebody edited hold whatever SQLite can.
  return escaped(escapeForTerminal(String(value)));
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList(value: string | readonly HtmlValue[]): value is readonly HtmlValue[] {
  return Array.isArray(value);
}

const NAMED: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
  ['`', '&#96;'],
]);

function escaped(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => NAMED.get(character) ?? '');
}
