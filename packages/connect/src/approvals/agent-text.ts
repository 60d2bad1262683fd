/** A text of an agent, with every character that could deceive a reader marked and spelled out. */
import { escapeForTerminal } from '@countersign/core';
import { type Html, html } from './html.ts';

/** Marks on one base character that are shown as they are; more would write over other lines. */
const MAX_MARKS = 4;
const MARK = /\p{M}/u;
const SHORT: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

/** @param text - of any length: cut it before. Line breaks are marked, and break the line. */
export function agentText(text: string): Html {
  if (escapeForTerminal(text) === text) return html`${text}`;
  const found: Html[] = [];
  let plain = '';
  let marks = 0;
  for (const character of text) {
    marks = MARK.test(character) ? marks + 1 : 0;
    if (marks <= MAX_MARKS && escapeForTerminal(character) === character) {
      plain += character;
      continue;
    }
    if (plain !== '') found.push(html`${plain}`);
    plain = '';
    found.push(html`<b class="odd">${SHORT.get(character) ?? spelled(character)}</b>${character === '\n' && html`<br>`}`);
  }
  return html`${found}${plain}`;
}

function spelled(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
