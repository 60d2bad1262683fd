/** The shown arguments of a call as a tree that a person can read, whatever their size. */
import type { Json } from '@countersign/core';
import { agentText } from './agent-text.ts';
import { type Html, html } from './html.ts';

/** What one page shows at most; the rest is one link away, never silently gone. */
export const MAX_NODES = 2_000;
export const MAX_TREE_CHARS = 100_000;
export const MAX_STRING_CHARS = 8_000;
const MAX_DEPTH = 24;
const REDACTED = /\[redacted:([a-z0-9_-]{1,64})\]/g;
export const MAX_REDACTIONS = 50;

export interface ArgumentTree {
  readonly markup: Html;
  /** Something is not shown. */
  readonly isCut: boolean;
  /** Secrets that were replaced, by kind, and where; one more than `MAX_REDACTIONS` when there are more. */
  readonly redactions: readonly { readonly kind: string; readonly pointer: string }[];
}

export function argumentTree(value: Json): ArgumentTree {
  const budget: Budget = { nodes: MAX_NODES, chars: MAX_TREE_CHARS, isCut: false };
  const markup = nodeOf(value, 0, budget);
  return { markup, isCut: budget.isCut, redactions: redactionsIn(value) };
}

interface Budget {
  nodes: number;
  chars: number;
  isCut: boolean;
}

function nodeOf(value: Json, depth: number, budget: Budget): Html {
  budget.nodes--;
  if (typeof value === 'string') return stringOf(value, budget);
  if (typeof value !== 'object' || value === null) return html`<span class="literal">${literal(value)}</span>`;
  const isList = Array.isArray(value);
  const entries: readonly (readonly [string, Json])[] = Object.entries(value);
  if (entries.length === 0) return html`<span class="literal">${isList ? '[ ] empty list' : '{ } empty'}</span>`;
  if (depth >= MAX_DEPTH) return cut(budget, 'deeper levels are not shown');
  const items: Html[] = [];
  for (const [key, member] of entries) {
    if (budget.nodes <= 0 || budget.chars <= 0) break;
    budget.chars -= key.length;
    const name = isList ? html`<span class="index">${key}</span>` : html`<span class="key">${keyOf(key, budget)}</span>`;
    items.push(html`<li>${name} ${nodeOf(member, depth + 1, budget)}</li>`);
  }
  const hidden = entries.length - items.length;
  const rest = hidden > 0 && html`<li>${cut(budget, `${hidden} more of ${entries.length} are not shown`)}</li>`;
  const list = html`<ul class="tree">${items}${rest}</ul>`;
  if (depth === 0) return list;
  const count = isList ? `list of ${entries.length}` : `${entries.length} ${entries.length === 1 ? 'member' : 'members'}`;
  return html`<details open><summary>${count}</summary>${list}</details>`;
}

/** JSON has no minus zero to write: it would look like the zero it differs from. */
function literal(value: number | boolean | null): string {
  return Object.is(value, -0) ? '-0' : (JSON.stringify(value) ?? 'undefined');
}

const MAX_KEY_CHARS = 200;

function keyOf(key: string, budget: Budget): Html {
  const { markup, isCut } = cutName(key, MAX_KEY_CHARS);
  if (isCut) budget.isCut = true;
  return markup;
}

/** A name, with a word on what is cut of it: two that differ only behind the cut would look the same. */
export function cutName(name: string, maxChars: number): { readonly markup: Html; readonly isCut: boolean } {
  if (name.length <= maxChars) return { markup: agentText(name), isCut: false };
  const rest = cutNote(`${name.length - maxChars} more characters of the name are not shown`);
  return { markup: html`${agentText(name.slice(0, maxChars).toWellFormed())} ${rest}`, isCut: true };
}

function stringOf(text: string, budget: Budget): Html {
  const most = Math.max(0, Math.min(MAX_STRING_CHARS, budget.chars));
  budget.chars -= Math.min(text.length, most);
  if (text === '') return html`<span class="literal">empty text</span>`;
  if (text.length <= most) return html`<span class="string">${agentText(text)}</span>`;
  // A pair cut in two would be shown as something that is not there.
  const start = text.slice(0, most).toWellFormed();
  return html`<span class="string">${agentText(start)}</span> ${cut(budget, `${text.length - most} more characters are not shown`)}`;
}

function cut(budget: Budget, what: string): Html {
  budget.isCut = true;
  return cutNote(what);
}

export function cutNote(what: string): Html {
  return html`<em class="cut">… ${what}</em>`;
}

/** Without recursion: row and opening may have been written by somebody else, to any depth. */
function redactionsIn(root: Json): ArgumentTree['redactions'] {
  const found: { kind: string; pointer: string }[] = [];
  const open: (readonly [string, Json])[] = [['', root]];
  for (let next = open.pop(); next !== undefined && found.length <= MAX_REDACTIONS; next = open.pop()) {
    const [pointer, value] = next;
    if (typeof value === 'string') for (const [, kind = ''] of value.matchAll(REDACTED)) found.push({ kind, pointer });
    else if (typeof value === 'object' && value !== null) {
      const members: readonly (readonly [string, Json])[] = Object.entries(value);
      for (const [key, member] of members.toReversed())
        open.push([`${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, member]);
    }
  }
  return found.slice(0, MAX_REDACTIONS + 1);
}
