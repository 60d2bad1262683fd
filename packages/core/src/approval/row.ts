import type { Opening } from '../ledger/entry.ts';
import type { ApprovalRow } from '../store.ts';
import type { ApprovalRecord } from '../transaction/tx.ts';

/** An approval as callers see it: late ones expired, and with the clear text that still lies in the openings. */
export function approvalRow(
  record: ApprovalRecord,
  openings: { readonly ask: Opening | undefined; readonly answer: Opening | undefined },
  nowMs: number,
): ApprovalRow {
  const { args, reason } = sectionsOf(openings.ask);
  const { message } = sectionsOf(openings.answer);
  return {
    ...record,
    state: record.state === 'pending' && nowMs >= record.expiresAtMs ? 'expired' : record.state,
    ...(args !== undefined && { shown: args }),
    ...(typeof reason === 'string' && { reason }),
    ...(typeof message === 'string' && { message }),
  };
}

function sectionsOf(opening: Opening | undefined): Opening['sections'] {
  return opening?.sections ?? {};
}
