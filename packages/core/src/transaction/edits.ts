/** Whether a call may stand on an edit, inside the transaction: the answer that proposed it is in the tree, and made no other call. */
import type { BuiltInReasonCode } from '../call.ts';
import type { DecisionBody } from '../ledger/entry.ts';
import type { Tx } from './tx.ts';

/** Why a call may not be asked about or allowed on the edit it names; undefined when it may, or names none. */
export function objectionToEdit(body: DecisionBody, tx: Tx): BuiltInReasonCode | undefined {
  const { edited } = body;
  if (edited === undefined) return undefined;
  const given = tx.entry(edited.answer);
  if (given?.kind !== 'approval' || given.answer !== 'deny' || given.args_commit === undefined) return 'APPROVAL_FORGED';
  if (given.call !== edited.call || given.call === body.call) return 'APPROVAL_MISROUTED';
  const ask = tx.entry(given.ask);
  if (ask?.kind !== 'decision' || ask.call !== given.call) return 'APPROVAL_FORGED';
  const isSameTool = ask.tool.server === body.tool.server && ask.tool.name === body.tool.name && ask.tool.schema === body.tool.schema;
  if (!isSameTool || ask.agent !== body.agent || ask.session !== body.session || ask.principal !== body.principal)
    return 'APPROVAL_BINDING_MISMATCH';
  // Rows lead to the one call of an edit. Whoever takes them away meets the entries.
  for (const about of tx.entriesAbout(given.ask.of, edited.answer.leaf)) {
    if (about.kind === 'recovery' && [given.ask, edited.answer].some(({ of }) => of >= (about.from ?? 0) && of < (about.to ?? 0)))
      return 'APPROVAL_FORGED';
    if (about.kind !== 'decision' || about.effect === 'deny' || about.edited?.answer.leaf !== edited.answer.leaf) continue;
    if (about.effect === 'allow' || about.call !== body.call) return 'APPROVAL_ALREADY_USED';
  }
  return undefined;
}
