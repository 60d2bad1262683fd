/** The forms under an approval that waits. */
import { escapeJson, type Json } from '@countersign/core';
import type { ApprovalView } from '@countersign/core/sqlite';
import { changesTable } from './changes-table.ts';
import { type Html, html, verbatim } from './html.ts';

export const MAX_MESSAGE_CHARS = 500;
/** Larger arguments are edited with `countersign approvals approve --args`. */
export const MAX_EDITED_CHARS = 200_000;

/** What was typed, shown again when it was not taken or has to be confirmed. */
export interface Typed {
  readonly message: string;
  /** JSON text of edited arguments. */
  readonly args?: string;
  /** The same, parsed: now to be confirmed. */
  readonly proposed?: Json;
}

export function answerForms(row: ApprovalView, seen: string, typed: Typed = { message: '' }): Html {
  const { id, shown } = row;
  const isAssured = row.assurance !== 'high';
  const mayApprove = row.mismatches.length === 0 && shown !== undefined && isAssured;
  if (mayApprove && typed.proposed !== undefined) return confirmEdit(id, seen, shown, { ...typed, proposed: typed.proposed });
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
${mayApprove && editForm(row, seen, shown, typed)}`;
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

function confirmEdit(id: string, seen: string, shown: Json, typed: Typed & { readonly proposed: Json }): Html {
  const { message, args = '', proposed } = typed;
  return html`<h2>Your changes</h2>
${changesTable(shown, proposed, 'asked for', 'your arguments')}
<form method="post" action="/approvals/${id}" class="card">
<input type="hidden" name="seen" value="${seen}">
<input type="hidden" name="args" value="${verbatim(args)}">
<input type="hidden" name="message" value="${verbatim(message)}">
<p>The call as asked is refused, and a new one with your arguments is decided by the rules from the start.</p>
<div class="buttons"><button class="good" name="do" value="edit" data-answer>Propose these arguments</button>
<button name="do" value="rework">Change them again</button> <a href="/approvals/${id}">Leave them as asked</a></div>
</form>`;
}
