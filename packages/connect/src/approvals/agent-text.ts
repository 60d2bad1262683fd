/** A text of an agent, with every character that could deceive a reader marked and spelled out. */
import { textPieces } from '@countersign/core';
import { type Html, html, verbatim } from './html.ts';

const SHORT: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

/** @param text - of any length: cut it before. Line breaks are marked, and break the line. */
export function agentText(text: string): Html {
  return html`${textPieces(text).map((piece) =>
    piece.isOdd
      ? html`<b class="odd">${SHORT.get(piece.text) ?? spelled(piece.text)}</b>${piece.text === '\n' && html`<br>`}`
      : verbatim(piece.text),
  )}`;
}

function spelled(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
