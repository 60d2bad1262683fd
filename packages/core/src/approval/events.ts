/** What happens to an approval, told from how it stood before and how it stands now. */
import type { ApprovalRow, ApprovalState } from '../store-rows.ts';

/**
 * `asked`: a call waits for it. `answered`: somebody answered; one of two that are needed is an answer too. `settled`: it is
 * no longer pending (`approval.state` says how), and once more when it was used, or came to nothing after it was approved.
 */
export type ApprovalEvent<Row = ApprovalRow> =
  | { readonly kind: 'asked'; readonly approval: Row }
  | { readonly kind: 'answered'; readonly approval: Row; readonly answer: ApprovalRow['answers'][number] }
  | { readonly kind: 'settled'; readonly approval: Row };

/** As much of an approval as was told. */
export interface Told {
  readonly answers: number;
  readonly state: ApprovalState;
}

export const JUST_ASKED: Told = { answers: 0, state: 'pending' };

/** States only ever move on: a row that was read earlier and comes later tells nothing. */
const PROGRESS: Readonly<Record<ApprovalState, number>> = { pending: 0, approved: 1, denied: 2, expired: 2, failed: 2, consumed: 2 };

export function toldOf(row: Pick<ApprovalRow, 'answers' | 'state'>): Told {
  return { answers: row.answers.length, state: row.state };
}

/** What is to be told of `row` to somebody who knows `told`, oldest first. */
export function eventsSince<Row extends Pick<ApprovalRow, 'answers' | 'state'>>(told: Told, row: Row): readonly ApprovalEvent<Row>[] {
  const answered = row.answers.slice(told.answers).map((answer) => ({ kind: 'answered', approval: row, answer }) as const);
  if (PROGRESS[row.state] <= PROGRESS[told.state]) return answered;
  // Approved and used between two looks: both are told.
  const between = row.state === 'consumed' && told.state === 'pending' ? [{ ...row, state: 'approved' as const }] : [];
  return [...answered, ...[...between, row].map((approval) => ({ kind: 'settled', approval }) as const)];
}
