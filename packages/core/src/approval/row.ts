import type { EntryRef, Json } from '../call.ts';
import type { Entry, Opening } from '../ledger/entry.ts';
import type { ApprovalRow } from '../store-rows.ts';
import type { ApprovalRecord } from '../transaction/tx.ts';
import { stateAt } from './listing.ts';

export interface ApprovalParts {
  /** Beside the ask. */
  readonly ask: Opening | undefined;
  /** Beside the newest answer. */
  readonly answer: Opening | undefined;
}

/** An approval as callers see it: late ones expired, and with the clear text that still lies in the openings. */
export function approvalRow(record: ApprovalRecord, parts: ApprovalParts, nowMs: number): ApprovalRow {
  const { args, reason } = sectionsOf(parts.ask);
  const { message, args: edit } = sectionsOf(parts.answer);
  return {
    ...record,
    state: stateAt(record, nowMs),
    ...(args !== undefined && { shown: args }),
    ...(typeof reason === 'string' && { reason }),
    ...(typeof message === 'string' && { message }),
    ...(edit !== undefined && { edit }),
  };
}

export interface AskParts {
  entry(ref: EntryRef): Entry | undefined;
  opening(of: number): Opening | undefined;
}

/** What only the ask's entry tells: the assurance it wants, and the call that was edited into this one. */
export function askFacts(ask: EntryRef, parts: AskParts): Pick<ApprovalRow, 'assurance' | 'edited'> {
  const asked = parts.entry(ask);
  if (asked?.kind !== 'decision') return {};
  const { approval, edited } = asked;
  return {
    ...(approval?.assurance !== undefined && { assurance: approval.assurance }),
    ...(edited !== undefined && { edited: { call: edited.call, ...shownBefore(edited.answer, parts) } }),
  };
}

/** The arguments that were edited lie beside the ask that the edit answers. */
function shownBefore(answer: EntryRef, parts: AskParts): { readonly from?: Json } {
  const given = parts.entry(answer);
  if (given?.kind !== 'approval') return {};
  const { args } = sectionsOf(parts.opening(given.ask.of));
  return args === undefined ? {} : { from: args };
}

function sectionsOf(opening: Opening | undefined): Opening['sections'] {
  return opening?.sections ?? {};
}
