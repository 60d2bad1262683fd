/** The list of approvals, a page at a time. */
import { type ApprovalState, clip, escapeForTerminal, haltQuestion, type Json, nameText } from '@countersign/core';
import type { ApprovalView } from '@countersign/core/sqlite';
import { type Html, html } from './html.ts';
import { expiry, type Frame, framed, instant, span } from './layout.ts';
import type { ApprovalsReader } from './source.ts';

export const PAGE_ROWS = 50;
export const STATES: readonly ApprovalState[] = ['pending', 'approved', 'denied', 'expired', 'failed', 'consumed'];
export type ListedState = ApprovalState | 'all';
const PREVIEW_CHARS = 110;
const PREVIEW_MEMBERS = 8;
const PLAIN_KEY = /^[\w.-]{1,64}$/;
/** As long as names of a guard's are. */
const LABEL_CHARS = 260;

export interface Listed {
  readonly state: ListedState;
  /** Id of the last approval of the page before. */
  readonly after?: string;
}

/** @throws {CountersignError} `APPROVAL_NOT_FOUND` for a page after an approval that is not there. */
export function listPage(reader: ApprovalsReader, { state, after }: Listed, frame: Pick<Frame, 'approver' | 'version'>): Response {
  const counts = reader.approvalCounts();
  // One more tells whether there is a next page.
  const found = reader.approvals({
    ...(state !== 'all' && { state }),
    limit: PAGE_ROWS + 1,
    ...(after !== undefined && { after }),
  });
  const rows = found.slice(0, PAGE_ROWS);
  const last = found.length > PAGE_ROWS ? rows.at(-1) : undefined;
  const nowMs = Date.now();
  const waiting = counts.pending;
  const title = waiting > 0 ? `(${waiting}) Approvals` : 'Approvals';
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const main = html`<h1>${state === 'pending' ? 'Calls that wait for a person' : 'Approvals'}</h1>
<div id="list" data-live="list">
<ul class="tabs">${STATES.map((each) => tab(each, each, state, counts[each]))}${tab('all', 'all', state, total)}</ul>
${rows.length === 0 ? emptyList(state, after) : table(rows, state, nowMs)}
<nav class="pages" aria-label="More">${after !== undefined && html`<a href="/approvals?state=${state}">From the start</a>`}
${last !== undefined && html`<a rel="next" href="/approvals?state=${state}&amp;after=${last.id}">Next ${PAGE_ROWS}</a>`}</nav>
</div>
<p class="dim keys"><kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> opens. New approvals appear by themselves.</p>`;
  return framed({ ...frame, title, here: 'approvals' }, main);
}

function tab(state: ListedState, title: string, here: ListedState, count: number): Html {
  return html`<li><a href="/approvals?state=${state}"${state === here && html` aria-current="page"`}>${title} ${count}</a></li>`;
}

function emptyList(state: ListedState, after: string | undefined): Html {
  if (after !== undefined) return html`<div class="card"><p>Nothing further.</p></div>`;
  if (state !== 'pending') return html`<div class="card"><p>No ${state === 'all' ? '' : state} approvals in this ledger yet.</p></div>`;
  return html`<div class="card" id="empty">
<p><strong>Nothing waits for you.</strong></p>
<p>When a rule says <code>effect: require_approval</code>, the call stops and appears here by itself; you need not reload. You will see which
agent wants to call which tool, with exactly which arguments, why you are asked, and how long you have. Approving lets that one call run, once.</p>
</div>`;
}

function table(rows: readonly ApprovalView[], state: ListedState, nowMs: number): Html {
  return html`<table class="list">
<thead><tr><th scope="col">Call</th><th scope="col">Agent</th><th scope="col">Asked</th><th scope="col">${state === 'pending' ? 'Expires' : 'State'}</th></tr></thead>
<tbody>${rows.map((row) => tableRow(row, nowMs))}</tbody>
</table>
<p class="dim">Arguments are shortened in this list. Open a call to read all of them.</p>`;
}

function tableRow(row: ApprovalView, nowMs: number): Html {
  const { id, agent, session, principal, createdAtMs } = row;
  const person = principal === undefined ? '' : `, for ${label(principal)}`;
  return html`<tr id="row-${id}"><td><a id="open-${id}" href="/approvals/${id}">${toolText(row)}</a>
${row.mismatches.length > 0 && html` <span class="cut">differs from the ledger</span>`}
<span class="sub mono">${row.shown === undefined ? 'arguments no longer in the ledger' : (haltWords(row, row.shown) ?? preview(row.shown))}</span>
${row.reason !== undefined && html`<span class="sub">${label(row.reason)}</span>`}</td>
<td>${label(agent)}<span class="sub">${label(session)}${person}</span></td>
<td class="when"><time datetime="${instant(createdAtMs)}" title="${instant(createdAtMs)}">${span(nowMs - createdAtMs)} ago</time></td>
<td class="when">${row.state === 'pending' ? expiry(row.expiresAtMs, nowMs) : stateMark(row.state)}${progress(row)}</td></tr>
`;
}

function progress({ quorum, answers }: ApprovalView): Html | undefined {
  if (quorum === 1 || !Array.isArray(answers)) return undefined;
  return html`<span class="sub">${approvalsGiven(answers)} of ${quorum} given</span>`;
}

export function approvalsGiven(answers: ApprovalView['answers']): number {
  return answers.filter((each) => each?.answer === 'approve').length;
}

export function stateMark(state: string): Html {
  return html`<span class="state ${state}">${state}</span>`;
}

export function toolText({ tool }: Pick<ApprovalView, 'tool'>): string {
  return label(tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`);
}

export function label(text: unknown): string {
  return nameText(String(text), LABEL_CHARS, 'all of it: countersign approvals show');
}

/** Of a halt what is held, and why: the first of the lines that the question itself is made of. */
function haltWords({ tool }: ApprovalView, shown: Json): string | undefined {
  const lines = haltQuestion({ tool, args: shown })?.lines.filter(([label]) => label === 'because' || label === 'held');
  if (lines === undefined) return undefined;
  const words = lines.toSorted(([one], [other]) => one.localeCompare(other)).map(([, text]) => text.slice(0, PREVIEW_CHARS));
  return clip(escapeForTerminal(words.join('; ').toWellFormed()), 2 * PREVIEW_CHARS);
}

/** The beginning of the arguments, without writing out all of what may be a megabyte. No name in it passes for more than one. */
function preview(args: Json): string {
  if (typeof args !== 'object' || args === null) return clip(escapeForTerminal(short(args)), PREVIEW_CHARS);
  const members: readonly (readonly [string, Json])[] = Object.entries(args);
  const shown = members.slice(0, PREVIEW_MEMBERS).map(([key, value]) => `${keyText(key)}: ${short(value)}`);
  const hidden = members.length - shown.length;
  const text = [...shown, ...(hidden > 0 ? [`… ${hidden} more`] : [])].join(', ');
  return clip(escapeForTerminal(text.toWellFormed()), PREVIEW_CHARS);
}

function keyText(key: string): string {
  return PLAIN_KEY.test(key) ? key : JSON.stringify(key.slice(0, PREVIEW_CHARS));
}

function short(value: Json): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, PREVIEW_CHARS));
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? `[${value.length}]` : `{${Object.keys(value).length}}`;
}
