/** The forms under an approval that waits. */
import { escapeJson, haltQuestion, type Json, MAX_GRANT_USES } from '@countersign/core';
import type { ApprovalView } from '@countersign/core/sqlite';
import { changesTable } from './changes-table.ts';
import { type Html, html, verbatim } from './html.ts';

export const MAX_MESSAGE_CHARS = 500;
export const MAX_CONDITION_CHARS = 1_000;
/** Larger arguments are edited with `countersign approvals approve --args`. */
export const MAX_EDITED_CHARS = 200_000;

/** What was typed, shown again when it was not taken or has to be confirmed. */
export interface Typed {
  readonly message: string;
  /** JSON text of edited arguments. */
  readonly args?: string;
  /** The same, parsed: now to be confirmed. */
  readonly proposed?: Json;
  readonly grant?: TypedGrant;
}

/** Fields of the form for a grant, as they were typed. */
export interface TypedGrant {
  readonly minutes: string;
  readonly uses: string;
  readonly scope: string;
  readonly reason: string;
  readonly when: string;
}

export function answerForms(row: ApprovalView, seen: string, typed: Typed = { message: '' }): Html {
  const { id, shown } = row;
  const isAssured = row.assurance !== 'high';
  const mayApprove = row.mismatches.length === 0 && shown !== undefined && isAssured;
  if (mayApprove && typed.proposed !== undefined) return confirmEdit(id, seen, shown, { ...typed, proposed: typed.proposed });
  const halt = shown === undefined ? undefined : haltQuestion({ tool: row.tool, args: shown });
  if (halt !== undefined) return haltForm(id, seen, halt.deny, mayApprove, typed);
  return html`<h2>Your answer</h2>
${
  !isAssured &&
  html`<p class="notice">The rule asks for high assurance, which a login here does not give. Who may approve does it with a key:
<code>countersign approvals approve ${id} --key FILE --as NAME</code>. You can deny.</p>`
}
<form method="post" action="/approvals/${id}" class="card">
<input type="hidden" name="seen" value="${seen}">
<label for="message">Message to the agent and the record (optional)</label>
<textarea id="message" name="message" rows="2" maxlength="${MAX_MESSAGE_CHARS}" aria-describedby="message-about">
${verbatim(typed.message)}</textarea>
<p id="message-about" class="dim">With a denial the agent reads it: say what it should do instead.</p>
<div class="buttons">
<button class="good" name="do" value="approve" data-answer${!mayApprove && html` data-off disabled`}>Approve this one call</button>
<button class="bad" name="do" value="deny" data-answer>Deny</button>
</div>
</form>
${mayApprove && editForm(row, seen, shown, typed)}
${mayApprove && row.quorum === 1 && grantForm(id, seen, typed)}`;
}

/** The three answers after a halt. *Deny* is an edit of the question, and refusing the question *kill*. */
function haltForm(id: string, seen: string, deny: Json, mayApprove: boolean, typed: Typed): Html {
  return html`<h2>Your answer</h2>
<form method="post" action="/approvals/${id}" class="card">
<input type="hidden" name="seen" value="${seen}">
<input type="hidden" name="args" value="${verbatim(escapeJson(JSON.stringify(deny)))}">
<label for="message">Message for the record (optional)</label>
<textarea id="message" name="message" rows="2" maxlength="${MAX_MESSAGE_CHARS}">
${verbatim(typed.message)}</textarea>
<div class="buttons">
<button class="good" name="do" value="approve" data-answer${!mayApprove && html` data-off disabled`}>Resume</button>
<button name="do" value="edit" data-answer${!mayApprove && html` data-off disabled`}>Deny</button>
<button class="bad" name="do" value="deny" data-answer>Kill all of it</button>
</div>
</form>`;
}

function editForm({ id }: ApprovalView, seen: string, shown: Json, { args, message }: Typed): Html {
  const text = args ?? escapeJson(JSON.stringify(shown, undefined, 2));
  if (text.length > MAX_EDITED_CHARS)
    return html`<p class="dim">These arguments are too long to edit here: <code>countersign approvals approve --args FILE</code>.</p>`;
  return html`<details class="more" id="edit"${args !== undefined && html` open`}><summary>Edit the arguments</summary>
<form method="post" action="/approvals/${id}">
<input type="hidden" name="seen" value="${seen}">
<p>The call as asked is refused, and a new one with your arguments is decided by the rules from the start. Leave
<code>[redacted:…]</code> where it stands: the tool gets the real value there.</p>
<label for="args">Arguments, as JSON</label>
<textarea id="args" name="args" class="code" spellcheck="false" autocomplete="off" rows="${Math.min(24, text.split('\n').length + 1)}">
${verbatim(text)}</textarea>
<label for="edit-message">Message to the agent and the record (optional)</label>
<textarea id="edit-message" name="message" rows="2" maxlength="${MAX_MESSAGE_CHARS}">
${verbatim(message)}</textarea>
<div class="buttons"><button name="do" value="review" data-answer>Review the changes</button></div>
</form></details>`;
}

const DURATIONS: readonly (readonly [number, string])[] = [
  [15, '15 minutes'],
  [60, '1 hour'],
  [240, '4 hours'],
  [480, '8 hours'],
  [1440, '24 hours'],
];

function grantForm(id: string, seen: string, { grant, message }: Typed): Html {
  const { minutes = '60', uses = '5', scope = 'session', reason = '', when = '' } = grant ?? {};
  const option = (value: string, text: string, chosen: string): Html =>
    html`<option value="${value}"${value === chosen && html` selected`}>${text}</option>`;
  return html`<details class="more" id="grant"${grant !== undefined && html` open`}><summary>Approve, and do not ask again for a while</summary>
<form method="post" action="/approvals/${id}">
<input type="hidden" name="seen" value="${seen}">
<p>Approves this call, and lets later calls of the same tool under the same rule run without asking. Every use is recorded; a deny rule still
denies; you can revoke it under Grants.</p>
<div class="fields">
<div><label for="minutes">For</label><select id="minutes" name="minutes">${DURATIONS.map(([value, text]) => option(String(value), text, minutes))}</select></div>
<div><label for="uses">At most so many calls</label><input type="number" id="uses" name="uses" min="1" max="${MAX_GRANT_USES}" required value="${verbatim(uses)}"></div>
<div><label for="scope">Of this agent</label><select id="scope" name="scope">${option('session', 'in this session', scope)}${option('agent', 'in every session', scope)}</select></div>
</div>
<label for="reason">Reason, for the record</label>
<input type="text" id="reason" name="reason" maxlength="${MAX_MESSAGE_CHARS}" required autocomplete="off" value="${verbatim(reason)}">
<label for="when">Only if (optional): a condition on the arguments, such as <code>args.amount &lt;= 1000</code></label>
<input type="text" id="when" name="when" class="mono" maxlength="${MAX_CONDITION_CHARS}" autocomplete="off" spellcheck="false" value="${verbatim(when)}">
<label for="grant-message">Message to the agent and the record (optional)</label>
<textarea id="grant-message" name="message" rows="2" maxlength="${MAX_MESSAGE_CHARS}">
${verbatim(message)}</textarea>
<div class="buttons"><button class="good" name="do" value="grant" data-answer>Approve and grant</button></div>
</form></details>`;
}

/** Under a call that may run and has not. */
export function revokeForm({ id }: ApprovalView): Html {
  return html`<h2>Changed your mind?</h2>
<form method="post" action="/approvals/${id}" class="card">
<p>The call has not run yet. Taking the approval back refuses it.</p>
<label for="message">Message to the agent and the record (optional)</label>
<textarea id="message" name="message" rows="2" maxlength="${MAX_MESSAGE_CHARS}"></textarea>
<div class="buttons"><button class="bad" name="do" value="revoke" data-answer>Take the approval back</button></div>
</form>`;
}

function confirmEdit(id: string, seen: string, shown: Json, typed: Typed & { readonly proposed: Json }): Html {
  const { message, args = '', proposed } = typed;
  const whole = html`Read <a href="/approvals/${id}/arguments">all that was asked for</a>; all that you typed comes back with <em>Change them again</em>.`;
  return html`<h2>Your changes</h2>
${changesTable(shown, proposed, { before: 'asked for', after: 'your arguments', whole })}
<form method="post" action="/approvals/${id}" class="card">
<input type="hidden" name="seen" value="${seen}">
<input type="hidden" name="args" value="${verbatim(args)}">
<input type="hidden" name="message" value="${verbatim(message)}">
<p>The call as asked is refused, and a new one with your arguments is decided by the rules from the start.</p>
<div class="buttons"><button class="good" name="do" value="edit" data-answer>Propose these arguments</button>
<button name="do" value="rework">Change them again</button> <a href="/approvals/${id}">Leave them as asked</a></div>
</form>`;
}
