/** Rows of the table `calls`. */
import type { OutcomeStatus } from '../call.ts';
import type { CallState } from '../store.ts';
import type { CallRecord } from '../transaction/tx.ts';

export const CALL_COLUMNS: string =
  'id, key, match, state, session, agent, writer, bind_key, approval, decision_of, decision_leaf, outcome_of, outcome_leaf, reason_code, status';

export interface CallSql {
  readonly id: string;
  readonly key: string | null;
  readonly match: string;
  readonly state: CallState;
  readonly session: string;
  readonly agent: string;
  readonly writer: string;
  readonly bind_key: string | null;
  readonly approval: string | null;
  readonly decision_of: number;
  readonly decision_leaf: string;
  readonly outcome_of: number | null;
  readonly outcome_leaf: string | null;
  readonly reason_code: string;
  readonly status: OutcomeStatus | null;
}

export function callRecord(row: CallSql | undefined): CallRecord | undefined {
  if (row === undefined) return undefined;
  return {
    id: row.id,
    ...(row.key !== null && { key: row.key }),
    match: row.match,
    state: row.state,
    session: row.session,
    agent: row.agent,
    writer: row.writer,
    ...(row.bind_key !== null && { bindKey: row.bind_key }),
    ...(row.approval !== null && { approval: row.approval }),
    decision: { of: row.decision_of, leaf: row.decision_leaf },
    ...(row.outcome_of !== null && row.outcome_leaf !== null && { outcome: { of: row.outcome_of, leaf: row.outcome_leaf } }),
    reasonCode: row.reason_code,
    ...(row.status !== null && { status: row.status }),
  };
}
