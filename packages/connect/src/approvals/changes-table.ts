/** Two versions of arguments side by side. */
import { argumentChanges, type Json } from '@countersign/core';
import { argumentTree } from './argument-tree.ts';
import { type Html, html } from './html.ts';
import { label } from './list-view.ts';

export function changesTable(before: Json, after: Json, beforeTitle: string, afterTitle: string): Html {
  const { changes, more } = argumentChanges(before, after);
  if (changes.length === 0) return html`<div class="card">No difference.</div>`;
  return html`<div class="card"><table class="diff">
<thead><tr><th scope="col">Where</th><th scope="col">${beforeTitle}</th><th scope="col">${afterTitle}</th></tr></thead>
<tbody>${changes.map(
    (change) => html`<tr><th scope="row" class="mono">${label(change.pointer === '' ? 'all' : change.pointer)}</th>
<td class="before"><span class="visually-hidden">${beforeTitle}: </span>${cell(change.before)}</td><td class="after"><span class="visually-hidden">${afterTitle}: </span>${cell(change.after)}</td></tr>`,
  )}</tbody></table>
${more > 0 && html`<p class="cut">${more} more differences are not listed</p>`}</div>`;
}

function cell(value: Json | undefined): Html {
  if (value === undefined) return html`<span class="dim">nothing</span>`;
  const { markup } = argumentTree(value);
  return typeof value === 'object' && value !== null ? markup : html`<span class="mono">${markup}</span>`;
}
