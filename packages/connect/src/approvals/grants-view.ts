/** Grants: what may run without asking, and taking that back. */
import type { Guard } from '@countersign/core';
import { agentText } from './agent-text.ts';
import { type Html, html } from './html.ts';
import { expiry, type Frame, framed, instant } from './layout.ts';
import { label, stateMark, toolText } from './list-view.ts';

export type Grant = Awaited<ReturnType<Guard['approvals']['grants']>>[number];

/** Newest first; open ones are all shown before others. */
const MAX_SHOWN = 200;

export interface GrantsShown {
  readonly isDone?: boolean;
  readonly problem?: { readonly status: number; readonly text: string };
}

export function grantsPage(
  grants: readonly Grant[],
  { isDone = false, problem }: GrantsShown,
  frame: Pick<Frame, 'approver' | 'version'>,
): Response {
  const sorted = [...grants.filter(isOpen), ...grants.filter((grant) => !isOpen(grant))];
  const shown = sorted.slice(0, Math.max(MAX_SHOWN, grants.filter(isOpen).length));
  const main = html`<h1>Grants</h1>
${isDone && html`<div class="done" role="status">Revoked. From here on these calls are asked about again.</div>`}
${problem !== undefined && html`<div class="alarm" role="alert"><strong>Not done.</strong> ${problem.text}</div>`}
<div id="grants" data-live="grants">${shown.length === 0 ? EMPTY : shown.map(grantCard)}
${sorted.length > shown.length && html`<p class="dim">${sorted.length - shown.length} older ones are not shown.</p>`}</div>`;
  return framed({ ...frame, title: 'Grants', status: problem?.status ?? 200, here: 'grants' }, main);
}

const EMPTY = html`<div class="card"><p><strong>Nothing is granted.</strong></p>
<p>With an approval you may let later calls of the same tool run without asking, for a while, a number of times, and with a reason. Such
grants stand here, with what is left of them, and are revoked here.</p></div>`;

function isOpen({ state }: Grant): boolean {
  return state === 'open';
}

function grantCard(grant: Grant): Html {
  const { id, state, agent, session, uses, usesLeft, expiresAtMs, givenAtMs, approver, rule, reason, when, approval, isConditional } =
    grant;
  return html`<section class="card" aria-labelledby="grant-${id}"><h2 id="grant-${id}">${toolText(grant)} <span class="sub">${stateMark(state)}</span></h2>
<dl class="facts">
<dt>agent</dt><dd>${label(agent)}, ${session === undefined ? 'in every session' : html`in session ${label(session)}`}</dd>
<dt>uses left</dt><dd>${usesLeft} of ${uses}</dd>
<dt>expires</dt><dd>${state === 'open' && html`${expiry(expiresAtMs, Date.now())}, `}at ${instant(expiresAtMs)}</dd>
${isConditional && html`<dt>only if</dt><dd class="mono">${when === undefined ? '(its condition was forgotten: it is good for nothing)' : agentText(when)}</dd>`}
${rule !== undefined && html`<dt>rule</dt><dd>${label(rule)}</dd>`}
<dt>reason</dt><dd>${reason === undefined ? '(forgotten)' : agentText(reason)}</dd>
<dt>given</dt><dd>by <span class="mono">${label(approver.id)}</span>, at ${instant(givenAtMs)}, with <a href="/approvals/${approval}">this approval</a></dd>
</dl>
${isOpen(grant) && html`<form method="post" action="/grants/${id}"><div class="buttons"><button id="revoke-${id}" class="bad" name="do" value="revoke" data-answer>Revoke</button></div></form>`}
</section>`;
}
