/**
 * Giving charges back inside the transaction of an outcome.
 *
 * What is owed stands in the decision's entry, which is read from the tree: no row and no caller can claim more. Each
 * compensating charge is dated like the charge it undoes, so both leave a window at the same moment and the room that
 * opens is never more than what is given back. Once per decision, because an outcome comes once.
 */
import type { BudgetRefund } from '../ledger/entry.ts';
import type { OutcomeUnit } from '../store-units.ts';
import type { CallRecord, Tx } from './tx.ts';

/** @returns what goes into the outcome's body; empty when nothing is owed. */
export function refundCharges(unit: OutcomeUnit, row: CallRecord | undefined, tx: Tx): readonly BudgetRefund[] {
  const { refund, body } = unit;
  // `unknown`: recovery said that nobody knows what the call did. Whoever acted on that must not find the money back.
  if (refund === undefined || row?.state !== 'allowed') return [];
  const decision = tx.entry(body.decision);
  if (decision?.kind !== 'decision' || decision.effect !== 'allow' || decision.call !== body.call) return [];
  const owed = (decision.budgets ?? []).filter(({ id, cost }) => cost > 0 && (refund === 'all' || refund.includes(id)));
  for (const { id, key, cost } of owed) tx.charge({ budget: id, key, cost: -cost, call: body.call, atMs: decision.at });
  return owed.map(({ id, key, cost }) => ({ id, key, cost }));
}
