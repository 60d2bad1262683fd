/** What is decided and recorded in the benches: one ordinary call, neither tiny nor large. */

import { rulePolicy } from '@countersign/core';
import { newOrderedId } from '../packages/core/src/ledger/body.ts';
import { commitSection, newOpeningKey } from '../packages/core/src/ledger/commitment.ts';
import type { DecisionBody, Opening } from '../packages/core/src/ledger/entry.ts';
import type { DecideUnit } from '../packages/core/src/store-units.ts';

export const AGENT = 'bench-agent';
export const SESSION = 'bench-session';
export const TOOL = { server: 'files', name: 'read_report' } as const;
export const ARGS = {
  path: '/srv/reports/2026/quarter-1.csv',
  columns: ['date', 'customer', 'amount', 'currency'],
  limit: 250,
  filter: { currency: 'EUR', minimum: 100.5, open: true },
  note: 'figures for the meeting on Monday',
} as const;
export const RESULT = { rows: 250, truncated: false, preview: 'date,customer,amount,currency\n2026-01-04,1207,912.40,EUR' } as const;

/** The one rule that allows it. */
export const POLICY = rulePolicy({
  id: 'bench',
  version: '1',
  rules: [{ id: 'reports', tools: [`${TOOL.server}/${TOOL.name}`], effect: 'allow' }],
});

const opening: Opening = { key: newOpeningKey(), sections: { args: ARGS } };

/** The body of an allowed call, as the guard drafts it. */
export const DECISION: DecisionBody = {
  kind: 'decision',
  agent: AGENT,
  session: SESSION,
  call: newOrderedId(Date.now()),
  tool: TOOL,
  mode: 'enforce',
  effect: 'allow',
  would: 'allow',
  reason_code: 'POLICY_ALLOW_LOW_RISK',
  rule: 'reports',
  policy: { id: 'bench', version: '1', hash: 'c'.repeat(64) },
  args_commit: commitSection(opening.key, 'args', ARGS),
};

/** A decision nobody made before: entry, opening and call row, as `authorize` commits it. */
export function decideUnit(): DecideUnit {
  return {
    kind: 'decide',
    body: { ...DECISION, call: newOrderedId(Date.now()) },
    opening,
    call: { match: 'd'.repeat(64) },
    sessionVersion: 0,
  };
}
