/** Records of the predecessor's ledgers in our words. Their clear text stands in the entry itself. */
import type { Json } from '../call.ts';
import { leafHash } from '../ledger/merkle.ts';
import { type RecordFacts, UNREADABLE, withoutAbsent } from './record-facts.ts';
import type { LedgerRecord } from './records.ts';
import { member, membersOf, parseMembers, textOf } from './stored-json.ts';

/**
 *     request_id → call, event → kind, action → tool.name, agent_id → agent, decision.effect, decision.reason_code,
 *     approval.approver_id → approver, parameters → args, decision.reason → reason, outcome.error → error
 */
export function sudoagentFacts({ index, text }: LedgerRecord): RecordFacts {
  // Integers there have any size: what a double cannot hold is kept as text.
  const body = parseMembers(text, true);
  if (body === undefined) return { index, leaf: leafHash(text), kind: UNREADABLE, shown: new Map() };
  const decision = membersOf(body, 'decision');
  const outcome = membersOf(body, 'outcome');
  const approval = membersOf(body, 'approval');
  const time = textOf(body, 'created_at');
  const atMs = time === undefined ? Number.NaN : Date.parse(time);
  const action = textOf(body, 'action');
  const state = textOf(approval, 'state');
  const kind = textOf(body, 'event') ?? UNREADABLE;
  return withoutAbsent({
    index,
    leaf: textOf(body, 'entry_hash') ?? leafHash(text),
    kind,
    atMs: Number.isNaN(atMs) ? undefined : atMs,
    time,
    agent: textOf(body, 'agent_id'),
    call: textOf(body, 'request_id'),
    // An outcome repeats the action of its decision.
    tool: action === undefined ? undefined : { name: action },
    effect: kind === 'outcome' ? undefined : textOf(decision, 'effect'),
    reasonCode: textOf(outcome, 'reason_code') ?? textOf(decision, 'reason_code'),
    policy:
      decision === undefined
        ? undefined
        : withoutAbsent({
            id: textOf(decision, 'policy_id'),
            version: textOf(decision, 'policy_version'),
            hash: textOf(decision, 'policy_hash'),
          }),
    approval: textOf(approval, 'approval_id'),
    answer: state === 'approved' ? 'approve' : state === 'denied' ? 'deny' : undefined,
    approver: textOf(approval, 'approver_id'),
    status: textOf(outcome, 'status'),
    errorType: textOf(outcome, 'error_type'),
    shown: new Map(
      [
        ['args', member(body, 'parameters')] as const,
        ['reason', textOf(outcome, 'reason') ?? textOf(decision, 'reason')] as const,
        ['error', textOf(outcome, 'error')] as const,
      ].flatMap(([name, value]): [string, Json][] => (value === undefined || value === null ? [] : [[name, value]])),
    ),
    body,
  });
}
