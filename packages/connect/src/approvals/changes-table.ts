/** Two versions of arguments side by side. Two values that differ never look the same, however long they are. */
import { type ArgumentChange, argumentChanges, commonEnds, type Json } from '@countersign/core';
import { agentText } from './agent-text.ts';
import { type ArgumentTree, argumentTree, cutName, cutNote, MAX_STRING_CHARS } from './argument-tree.ts';
import { type Html, html } from './html.ts';

/** Of two texts so much is shown of what they have in common, before and after what differs. */
export const CONTEXT_CHARS = 1_000;
const MAX_PLACE_CHARS = 2_000;

export interface ChangesTitles {
  readonly before: string;
  readonly after: string;
  /** Where all of both is, for when something is not shown. */
  readonly whole: Html;
}

type Cell = Pick<ArgumentTree, 'markup' | 'isCut'>;

export function changesTable(from: Json, to: Json, { before, after, whole }: ChangesTitles): Html {
  const { changes, more } = argumentChanges(from, to);
  if (changes.length === 0) return html`<div class="card">No difference.</div>`;
  const rows = changes.map((change) => ({ place: placeCell(change.pointer), ...cellsOf(change) }));
  const isCut = more > 0 || rows.some((row) => row.place.isCut || row.was.isCut || row.is.isCut);
  return html`${isCut && html`<div class="alarm"><strong>Not everything is shown here.</strong> ${whole}</div>`}
<div class="card"><table class="diff">
<thead><tr><th scope="col">Where</th><th scope="col">${before}</th><th scope="col">${after}</th></tr></thead>
<tbody>${rows.map(
    ({ place, was, is }) => html`<tr><th scope="row" class="mono">${place.markup}</th>
<td class="before"><span class="visually-hidden">${before}: </span>${was.markup}</td><td class="after"><span class="visually-hidden">${after}: </span>${is.markup}</td></tr>`,
  )}</tbody></table>
${more > 0 && html`<p class="cut">${more} more differences are not listed</p>`}</div>`;
}

function placeCell(pointer: string): Cell {
  return pointer === '' ? { markup: html`all`, isCut: false } : cutName(pointer, MAX_PLACE_CHARS);
}

function cellsOf({ before, after }: ArgumentChange): { readonly was: Cell; readonly is: Cell } {
  if (typeof before !== 'string' || typeof after !== 'string') return { was: valueCell(before), is: valueCell(after) };
  const { start, end } = commonEnds(before, after);
  return { was: textCell(before, start, end), is: textCell(after, start, end) };
}

function valueCell(value: Json | undefined): Cell {
  if (value === undefined) return { markup: html`<span class="dim">nothing</span>`, isCut: false };
  const { markup, isCut } = argumentTree(value);
  return { markup: typeof value === 'object' && value !== null ? markup : html`<span class="mono">${markup}</span>`, isCut };
}

/** @param start - characters it begins with that the other side has too; `end` the same at its end. */
function textCell(text: string, start: number, end: number): Cell {
  if (text === '') return valueCell(text);
  const middle = text.slice(start, text.length - end);
  const shown = middle.slice(0, MAX_STRING_CHARS).toWellFormed();
  const hidden = {
    before: Math.max(0, start - CONTEXT_CHARS),
    middle: middle.length - shown.length,
    after: Math.max(0, end - CONTEXT_CHARS),
  };
  const lead = text.slice(hidden.before, start).toWellFormed();
  const tail = text.slice(text.length - end, text.length - hidden.after).toWellFormed();
  const markup = html`<span class="mono">${hidden.before > 0 && html`${cutNote(`${hidden.before} characters, the same in both, are not shown`)} `}<span class="string">${agentText(lead)}${shown !== '' && html`<mark>${agentText(shown)}</mark>`}${
    hidden.middle > 0 && html` ${cutNote(`${hidden.middle} more characters that differ are not shown`)} `
  }${agentText(tail)}</span>${hidden.after > 0 && html` ${cutNote(`${hidden.after} characters, the same in both, are not shown`)}`}</span>`;
  return { markup, isCut: hidden.before + hidden.middle + hidden.after > 0 };
}
