/** What a model is told beside the result of a call that a person edited: it asked for something else than what ran. */
import type { Permit } from '../call.ts';
import { canonicalize } from '../ledger/canonical.ts';

/** Longest shown view that a notice quotes; of a longer one the start. */
export const MAX_EDIT_NOTICE_CHARS = 2_000;

/** One line for a model, from the shown view: secrets are not in it. Undefined when nobody edited the call. */
export function editNotice({ edited }: Pick<Permit, 'edited'>): string | undefined {
  if (edited === undefined) return undefined;
  const shown = canonicalize(edited.shown);
  const isCut = shown.length > MAX_EDIT_NOTICE_CHARS;
  const quoted = isCut ? `${shown.slice(0, MAX_EDIT_NOTICE_CHARS).toWellFormed()} ... (cut)` : shown;
  return `[a person edited the arguments of this call; it ran with ${quoted}]`;
}
