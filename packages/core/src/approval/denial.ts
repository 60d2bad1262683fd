/** What comes of an open ask when a person said no: a refusal, or the call that the person proposed instead. */
import type { Refusal } from '../call.ts';
import type { AuthorizeOptions } from '../call-options.ts';
import type { Engine, Rules } from '../engine.ts';
import type { PreparedCall } from '../prepare.ts';
import { denial, refuse } from '../refusal.ts';
import type { CallRow } from '../store-rows.ts';
import { MAX_EDITS } from './edit.ts';
import { type EditRules, editedCall } from './edited-call.ts';
import type { Asked } from './pending.ts';

/** A person proposed other arguments for `of`: `call` is what comes of it. */
export type Edited = { readonly kind: 'edited'; readonly of: PreparedCall; readonly call: PreparedCall };

/** Where a call that was refused for an edit goes on. */
export async function editOf(
  call: PreparedCall,
  earlier: CallRow,
  options: AuthorizeOptions,
  rules: Rules,
  engine: Engine,
): Promise<Edited | undefined> {
  if (earlier.state !== 'denied' || earlier.reasonCode !== 'APPROVAL_EDITED' || earlier.approval === undefined) return undefined;
  const row = await engine.store.approval(earlier.approval);
  const edit = row === undefined ? undefined : await editedCall(call, row, earlier.bindKey, editRules(options, rules), engine);
  return edit?.kind === 'edited' ? { kind: 'edited', of: call, call: edit.call } : undefined;
}

/** What a person who said no makes of an open ask: a refusal, or another call. */
export async function denialOf(
  asked: Asked,
  call: PreparedCall,
  options: AuthorizeOptions,
  rules: Rules,
  engine: Engine,
): Promise<Refusal | Edited | undefined> {
  const row = await engine.store.approval(asked.approvalId);
  if (row?.state !== 'denied') return undefined;
  const edit = await editedCall(call, row, asked.bindKey, editRules(options, rules), engine);
  if (edit?.kind === 'edited') return { kind: 'edited', of: call, call: edit.call };
  if (edit !== undefined) return refuse(call, denial(edit.reasonCode, edit.reason), rules, engine);
  const said = row.message === undefined ? '' : `: ${row.message}`;
  return refuse(call, denial('APPROVAL_DENIED', `an approver denied this call${said}`), rules, engine);
}

function editRules(options: AuthorizeOptions, rules: Rules): EditRules {
  const validate = options.validate ?? rules.validate;
  const costOf = options.costOf ?? rules.costOf;
  return { policy: rules.policy, ...(validate !== undefined && { validate }), ...(costOf !== undefined && { costOf }) };
}

/** Enough is enough. */
export function refuseChain(call: PreparedCall, rules: Rules, engine: Engine): Promise<Refusal> {
  return refuse(call, denial('APPROVAL_EDITED', `people edited this call ${MAX_EDITS} times and more: make a new one`), rules, engine);
}

/** The calls that were asked about and did not run, once the call `madeId` that came of them is decided. They stay refused by their approval if this cannot be written. */
export async function refuseEdited(calls: readonly PreparedCall[], madeId: string, rules: Rules, engine: Engine): Promise<void> {
  for (const call of calls) {
    try {
      // Refused for now (a budget), its approval good for another try.
      if ((await engine.store.callById(madeId))?.state === 'asked') return;
      if ((await engine.store.callById(call.callId))?.state !== 'asked') continue;
      await refuse(call, denial('APPROVAL_EDITED', 'an approver proposed other arguments, which are another call'), rules, engine);
    } catch (error) {
      engine.report(error, { callId: call.callId, during: 'refusing an edited call' });
    }
  }
}
