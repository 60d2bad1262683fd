/** The examples of an edit in `docs/formats/entry.md`: the ledger of `grants.ts`, and what follows it. */
import { approvalStatement, statementOf } from '../../src/approval/statement.ts';
import { callBinding } from '../../src/call-key.ts';
import { WITH_GRANTS } from './grants.ts';
import { appendTo, checkpointOf, context, finance, type GoldenEntry, id, key, opened, policy, timeOf } from './ledger.ts';

const entries: GoldenEntry[] = [...WITH_GRANTS];
const append = appendTo(entries);

const tool = { server: 'bank', name: 'refund' };
const asked = { kind: 'decision', ...context, principal: 'ada', tool, mode: 'enforce', policy } as const;
const binds = callBinding({ ...context, principal: 'ada', tool, exact: '{"amount":700}' }, policy.hash, key(205));
const expiresAt = timeOf(entries.length) + 300_000;
const shown = opened(14, { args: { amount: 700 } });
const ask = append(
  {
    ...asked,
    call: id(107),
    effect: 'require_approval',
    would: 'require_approval',
    reason_code: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
    rule: 'big-refund',
    ...shown.commits,
    approval: { id: id(206), expires_at: expiresAt, quorum: 1, approvers: ['finance'], assurance: 'high' },
    binds,
  },
  { opening: shown.opening },
);
const proposed = opened(15, { args: { amount: 70 } });
const argsCommit = proposed.commits['args_commit'] ?? '';
export const editing: Uint8Array = approvalStatement(
  statementOf({ id: id(206), ...context, call: id(107), binds, expiresAtMs: expiresAt }, { answer: 'deny', argsCommit }, 'finance'),
);
const answer = append(
  {
    kind: 'approval',
    ...context,
    call: id(107),
    approval: id(206),
    ask,
    answer: 'deny',
    approver: { id: 'finance', method: 'key', assurance: 'high' },
    ...proposed.commits,
    binds,
    expires_at: expiresAt,
    signature: Buffer.from(finance.sign(editing)).toString('base64'),
  },
  { opening: proposed.opening },
);
const made = opened(16, { args: { amount: 70 } });
append(
  {
    ...asked,
    call: id(108),
    effect: 'allow',
    would: 'allow',
    reason_code: 'POLICY_ALLOW_LOW_RISK',
    rule: 'small-refund',
    ...made.commits,
    edited: { call: id(107), answer },
  },
  { opening: made.opening },
);
append({
  ...asked,
  call: id(107),
  effect: 'deny',
  would: 'deny',
  reason_code: 'APPROVAL_EDITED',
});

export const WITH_EDITS: readonly GoldenEntry[] = entries;
export const CHECKPOINT_WITH_EDITS: string = checkpointOf(entries);
