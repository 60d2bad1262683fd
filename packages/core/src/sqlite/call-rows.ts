/** Rows of the table `calls`. */
import type { OutcomeStatus } from '../call.ts';
import type { CallState } from '../store.ts';
import type { CallRecord } from '../transaction/tx.ts';

export const CALL_COLUMNS: string =
  'id, key, match, state, session, agent, writer, bind_key, approval, decision_of, decision_leaf, outcome_of, outcome_leaf, reason_code, status';

/** In the order of the columns. */
export type CallSql = readonly [
  id: string,
  key: string | null,
  match: string,
  state: CallState,
  session: string,
  agent: string,
  writer: string,
  bindKey: string | null,
  approval: string | null,
  decisionOf: number,
  decisionLeaf: string,
  outcomeOf: number | null,
  outcomeLeaf: string | null,
  reasonCode: string,
  status: OutcomeStatus | null,
];

export function callRecord(row: CallSql | undefined): CallRecord | undefined {
  if (row === undefined) return undefined;
  const [
    id,
    key,
    match,
    state,
    session,
    agent,
    writer,
    bindKey,
    approval,
    decisionOf,
    decisionLeaf,
    outcomeOf,
    outcomeLeaf,
    reasonCode,
    status,
  ] = row;
  return {
    id,
    ...(key !== null && { key }),
    match,
    state,
    session,
    agent,
    writer,
    ...(bindKey !== null && { bindKey }),
    ...(approval !== null && { approval }),
    decision: { of: decisionOf, leaf: decisionLeaf },
    ...(outcomeOf !== null && outcomeLeaf !== null && { outcome: { of: outcomeOf, leaf: outcomeLeaf } }),
    reasonCode,
    ...(status !== null && { status }),
  };
}
