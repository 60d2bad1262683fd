/** The examples of grants in `docs/formats/entry.md`: the ledger of `ledger.ts`, and what follows it. */
import { approvalStatement, statementOf } from '../../src/approval/statement.ts';
import { callBinding } from '../../src/call-key.ts';
import { grantStatement, grantStatementOf, revocationStatement } from '../../src/grant/statement.ts';
import type { GrantedBody } from '../../src/ledger/entry.ts';
import { appendTo, checkpointOf, context, finance, GOLDEN, type GoldenEntry, id, key, opened, policy, timeOf } from './ledger.ts';

const entries: GoldenEntry[] = [...GOLDEN];
const append = appendTo(entries);
const signed = (statement: Uint8Array): string => Buffer.from(finance.sign(statement)).toString('base64');
const byFinance = { id: 'finance', method: 'key', assurance: 'high' } as const;

const tool = { server: 'bank', name: 'refund' };
const asked = {
  kind: 'decision',
  ...context,
  call: id(105),
  principal: 'ada',
  tool,
  mode: 'enforce',
  would: 'require_approval',
  rule: 'big-refund',
  policy,
} as const;
const binds = callBinding({ ...context, principal: 'ada', tool, exact: '{"amount":700}' }, policy.hash, key(202));
const expiresAt = timeOf(entries.length) + 300_000;
const shown = opened(10, { args: { amount: 700 }, reason: 'over 500' });
const ask = append(
  {
    ...asked,
    effect: 'require_approval',
    reason_code: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
    ...shown.commits,
    approval: { id: id(203), expires_at: expiresAt, quorum: 1, approvers: ['finance'] },
    binds,
  },
  { opening: shown.opening },
);
const answer = append({
  kind: 'approval',
  ...context,
  call: id(105),
  approval: id(203),
  ask,
  answer: 'approve',
  approver: byFinance,
  binds,
  expires_at: expiresAt,
  signature: signed(
    approvalStatement(statementOf({ id: id(203), ...context, call: id(105), binds, expiresAtMs: expiresAt }, 'approve', 'finance')),
  ),
});
const terms = opened(11, { reason: 'refunds of the outage, ticket 4711', when: 'args.amount <= 1000.0' });
const given: GrantedBody = {
  kind: 'grant',
  event: 'granted',
  grant: id(204),
  ...context,
  principal: 'ada',
  tool,
  rule: 'big-refund',
  policy,
  uses: 3,
  expires_at: timeOf(entries.length) + 3_600_000,
  approver: byFinance,
  approval: { id: id(203), answer },
  reason_commit: terms.commits['reason_commit'] ?? '',
  when_commit: terms.commits['when_commit'] ?? '',
};
export const giving: Uint8Array = grantStatement(grantStatementOf(given));
const grant = append({ ...given, signature: signed(giving) }, { opening: terms.opening });

const used = opened(12, { args: { amount: 700 } });
append(
  {
    ...asked,
    effect: 'allow',
    reason_code: 'APPROVAL_GRANTED',
    ...used.commits,
    approval: { id: id(203), answers: [answer] },
    binds,
  },
  { opening: used.opening },
);
const overridden = opened(13, { args: { amount: 650 } });
append(
  {
    ...asked,
    call: id(106),
    effect: 'allow',
    reason_code: 'GRANT_USED',
    ...overridden.commits,
    grant: { id: id(204), entry: grant, use: 1 },
  },
  { opening: overridden.opening },
);
export const revocation: Uint8Array = revocationStatement({ agent: context.agent, approver: 'finance', grant: id(204) });
append({
  kind: 'grant',
  event: 'revoked',
  grant: id(204),
  ...context,
  entry: grant,
  approver: byFinance,
  signature: signed(revocation),
});

export const WITH_GRANTS: readonly GoldenEntry[] = entries;
export const CHECKPOINT_WITH_GRANTS: string = checkpointOf(entries);
