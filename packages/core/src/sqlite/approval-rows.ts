/** Rows of the table `approvals`. */
import type { ApprovalState } from '../store-rows.ts';
import type { ApprovalRecord } from '../transaction/tx.ts';

export interface ApprovalSql {
  readonly id: string;
  readonly call: string;
  readonly agent: string;
  readonly session: string;
  readonly principal: string | null;
  readonly server: string | null;
  readonly tool: string;
  readonly rule: string | null;
  readonly reason_code: string;
  readonly state: ApprovalState;
  readonly binds: string;
  readonly policy_hash: string;
  readonly ask_of: number;
  readonly ask_leaf: string;
  readonly answers: string;
  readonly created_at: number;
  readonly expires_at: number;
  readonly quorum: number;
  readonly approvers: string | null;
}

export const APPROVAL_COLUMNS =
  'id, call, agent, session, principal, server, tool, rule, reason_code, state, binds, policy_hash, ask_of, ask_leaf, answers, created_at, expires_at, quorum, approvers';

export function approvalRecord(row: ApprovalSql): ApprovalRecord {
  return {
    id: row.id,
    call: row.call,
    agent: row.agent,
    session: row.session,
    ...(row.principal !== null && { principal: row.principal }),
    tool: { ...(row.server !== null && { server: row.server }), name: row.tool },
    ...(row.rule !== null && { rule: row.rule }),
    reasonCode: row.reason_code,
    state: row.state,
    binds: row.binds,
    policyHash: row.policy_hash,
    ask: { of: row.ask_of, leaf: row.ask_leaf },
    answers: JSON.parse(row.answers),
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    quorum: row.quorum,
    ...(row.approvers !== null && { approvers: JSON.parse(row.approvers) }),
  };
}
