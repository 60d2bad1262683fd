/** One approval: everything a person must see before answering, and the answers. */
import { createHash } from 'node:crypto';
import { canonicalize, haltQuestion, type Json } from '@countersign/core';
import type { ApprovalView } from '@countersign/core/sqlite';
import { agentText } from './agent-text.ts';
import { answerForms, revokeForm, type Typed } from './answer-forms.ts';
import { argumentTree, MAX_REDACTIONS } from './argument-tree.ts';
import { changesTable } from './changes-table.ts';
import { type Html, html } from './html.ts';
import { expiry, type Frame, framed, instant, span } from './layout.ts';
import { approvalsGiven, label, stateMark, toolText } from './list-view.ts';

/** What an answer led to, by the word in the URL. Closed: nothing of it comes from outside. */
export const DONE: ReadonlyMap<string, string> = new Map([
  ['resumed', 'Resume is recorded. What was stopped goes on.'],
  ['refused', 'Deny is recorded. What waits fails, and the rest goes on.'],
  ['killed', 'Kill is recorded. All of its processes are ended.'],
  ['approved', 'Approved. The agent may run this call once, before it expires.'],
  ['counted', 'Your approval is recorded. The call still waits for others.'],
  ['denied', 'Denied. The agent is told, with your message if you gave one.'],
  ['edited', 'Your arguments are proposed. This call is refused; a new one with them is decided by the rules from the start.'],
  ['granted', 'Approved, and granted for further calls. The grant stands under Grants, where it can be revoked.'],
  ['revoked', 'Revoked. This call will not run.'],
]);

export interface Detail {
  readonly done?: string;
  /** Why the answer was not taken. */
  readonly problem?: { readonly status: number; readonly text: string; readonly next?: string };
  readonly typed?: Typed;
}

export function detailPage(row: ApprovalView, { done, problem, typed }: Detail, frame: Pick<Frame, 'approver' | 'version'>): Response {
  const nowMs = Date.now();
  const message = done === undefined ? undefined : DONE.get(done);
  const halt = row.shown === undefined ? undefined : haltQuestion({ tool: row.tool, args: row.shown, coverageSince: row.coverageSince });
  const question =
    halt !== undefined && row.state === 'pending'
      ? html`${label(row.agent)} is stopped. May it go on?`
      : row.state === 'pending'
        ? html`May ${label(row.agent)} call ${toolText(row)}?`
        : html`${toolText(row)}, for ${label(row.agent)}`;
  const main = html`<p><a id="up" href="/approvals">All approvals</a></p>
${message !== undefined && html`<div class="done" role="status">${message}</div>`}
${problem !== undefined && html`<div class="alarm" role="alert"><strong>Not done.</strong> ${problem.text}${problem.next !== undefined && html`<br>${problem.next}`}</div>`}
${tampered(row)}
<h1>${question}</h1>
${halt !== undefined && html`<section class="card" aria-label="The halt"><dl class="facts">${halt.lines.map(([name, text]) => html`<dt>${name}</dt><dd>${agentText(text)}</dd>`)}</dl></section>`}
<section id="facts" data-live="facts" class="card" aria-label="The call">${facts(row, nowMs)}</section>
${row.edited?.from !== undefined && row.shown !== undefined && editedFrom(row.id, row.edited.from, row.shown)}
<h2>Arguments, as the policy saw them</h2>
${argumentsCard(row)}
<div id="answer" data-live="${row.state}:${seenOf(row)}">${row.state === 'pending' && answerForms(row, seenOf(row), typed)}${row.state === 'approved' && revokeForm(row)}</div>
<section id="answers" data-live="answers">${answersCard(row)}</section>
<details class="more"><summary>For the record</summary><dl class="facts mono">
${fact('approval', row.id)}${fact('call', row.call)}${fact('entry', entryNumber(row.ask?.of))}${fact('code', row.reasonCode)}${fact('policy', row.policyHash)}${fact('binds', row.binds)}
</dl></details>
<p class="dim keys"><kbd>m</kbd> message, <kbd>e</kbd> edit, <kbd>u</kbd> back to the list.</p>`;
  return framed({ ...frame, title: `${toolText(row)} · ${row.state}`, status: problem?.status ?? 200, here: 'approvals' }, main);
}

/**
 * What was looked at: an answer names it, so that nobody approves what changed under his eyes. Not secret.
 */
export function seenOf(row: ApprovalView): string {
  const {
    id,
    agent,
    session,
    principal = null,
    tool,
    shown = null,
    reason = null,
    binds,
    expiresAtMs,
    quorum,
    approvers = null,
    ask,
  } = row;
  const seen = [id, agent, session, principal, tool.server ?? null, tool.name, shown, reason, binds, expiresAtMs, quorum, approvers, ask];
  let text: string;
  try {
    text = canonicalize(seen);
  } catch {
    // A row that somebody edited into something that is no JSON: denying it must still be possible.
    text = `odd:${String(row.id)}`;
  }
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function tampered({ mismatches }: ApprovalView): Html | undefined {
  if (mismatches.length === 0) return undefined;
  return html`<div class="alarm" role="alert"><strong>Tampered: do not approve.</strong><br>
What is stored for this approval does not agree with the signed ledger entry that asked: ${mismatches.map(label).join(', ')}.
Somebody changed the file. Keep it as evidence and run <code>countersign verify</code>. Approving is switched off here; you can deny.</div>`;
}

function facts(row: ApprovalView, nowMs: number): Html {
  const isPending = row.state === 'pending';
  const given = Array.isArray(row.answers) ? approvalsGiven(row.answers) : 0;
  return html`<dl class="facts">
<dt>state</dt><dd>${stateMark(row.state)}</dd>
<dt>expires</dt><dd>${isPending && html`${expiry(row.expiresAtMs, nowMs)}, `}at ${instant(row.expiresAtMs)}</dd>
<dt>asked</dt><dd>${span(nowMs - row.createdAtMs)} ago, at ${instant(row.createdAtMs)}</dd>
${fact('agent', row.agent)}${fact('for', row.principal)}${fact('session', row.session)}
<dt>tool</dt><dd class="mono">${toolText(row)}</dd>
${fact('rule', row.rule)}
${row.reason !== undefined && html`<dt>reason</dt><dd>${agentText(row.reason)}</dd>`}
<dt>approvals</dt><dd>${given} of ${row.quorum} given</dd>
${fact('who may', approversText(row.approvers))}${fact('assurance', row.assurance)}
</dl>`;
}

function fact(name: string, value: unknown): Html | undefined {
  return value === undefined ? undefined : html`<dt>${name}</dt><dd>${label(value)}</dd>`;
}

/** Rows are JSON that somebody may have edited: a list only if it is one. */
function approversText(approvers: unknown): string | undefined {
  return approvers === undefined ? undefined : Array.isArray(approvers) ? approvers.join(', ') : JSON.stringify(approvers);
}

function entryNumber(of: unknown): string | undefined {
  return typeof of === 'number' ? String(of + 1) : undefined;
}

function argumentsCard({ id, shown }: ApprovalView): Html {
  if (shown === undefined)
    return html`<div class="alarm">Their clear text is not in the ledger any more: nobody can know what would run. Approving is switched off.</div>`;
  const { markup, isCut, redactions } = argumentTree(shown);
  return html`${
    isCut &&
    html`<div class="alarm"><strong>Not everything is shown here.</strong> Read all of it before you approve:
<a href="/approvals/${id}/arguments">the whole arguments as text</a>.</div>`
  }
<div class="card">${markup}</div>
${
  redactions.length > 0 &&
  html`<p class="notice">Secrets were replaced before anybody saw them, and the tool gets the real ones:
${redactions.slice(0, MAX_REDACTIONS).map(({ kind, pointer }, at) => html`${at > 0 && ', '}<span class="mono">${kind}</span> at <span class="mono">${label(pointer === '' ? '/' : pointer)}</span>`)}${redactions.length > MAX_REDACTIONS && ', and more'}</p>`
}`;
}

function editedFrom(id: string, from: Json, shown: Json): Html {
  const titles = { before: 'proposed by the agent', after: 'as they would run', whole: bothWhole(id) };
  return html`<h2>A person changed these arguments</h2>${changesTable(from, shown, titles)}`;
}

function bothWhole(id: string): Html {
  return html`All of both: <code>countersign approvals show ${id} --json</code>`;
}

function answersCard(row: ApprovalView): Html {
  const { answers, message } = row;
  if (!Array.isArray(answers) || answers.length === 0) return html``;
  return html`<h2>Answers so far</h2><div class="card"><dl class="facts">${answers.map(
    (each) =>
      html`<dt>${each?.answer === 'approve' ? 'approved' : each?.edited === true ? 'edited' : 'denied'}</dt><dd>by <span class="mono">${label(each?.approver)}</span>, entry ${entryNumber(each?.of) ?? '?'}</dd>`,
  )}${message !== undefined && html`<dt>message</dt><dd>${agentText(message)}</dd>`}</dl></div>
${row.edit !== undefined && row.shown !== undefined && html`<h2>Proposed in place of these arguments</h2>${changesTable(row.shown, row.edit, { before: 'asked for', after: 'proposed', whole: bothWhole(row.id) })}`}`;
}

export function notFoundPage(frame: Pick<Frame, 'approver' | 'version'>): Response {
  const main = html`<h1>There is nothing here</h1><p>No approval of this ledger has that id. <a href="/approvals">All approvals</a></p>`;
  return framed({ ...frame, title: 'Not found', status: 404 }, main);
}
