/** What the transaction itself makes of the charges of one unit; three changes of the code that no other test noticed. */
import { expect, it } from 'vitest';
import type { Charge, DecideUnit } from '../../src/store-units.ts';
import { chargeBudgets } from '../../src/transaction/budgets.ts';
import type { Tx } from '../../src/transaction/tx.ts';

const charge = (more: Partial<Charge>): Charge => ({ id: 'b', per: 'agent', key: 'a', cost: 1, limit: 1, ...more });

function chargeAll(charges: readonly Charge[], more: Partial<DecideUnit> = {}, spent = 0): ReturnType<typeof chargeBudgets> {
  // Nothing else of the unit and of the transaction is read here.
  return chargeBudgets({ charges, ...more } as DecideUnit, { atMs: 1000, spent: () => spent } as unknown as Tx);
}

it('charges of one unit to two keys of a budget do not count together', () => {
  expect(chargeAll([charge({ key: 'a' }), charge({ key: 'c' })])).toMatchObject({ charges: [{ left: 0 }, { left: 0 }] });
  expect(chargeAll([charge({}), charge({})])).toMatchObject({ exceeded: { code: 'BUDGET_EXCEEDED_AGENT_RATE' } });
});

it('audit mode names the first budget that would have refused', () => {
  const over = [charge({ id: 'x', per: 'session', cost: 2 }), charge({ id: 'y', per: 'tool', cost: 2 })];
  expect(chargeAll(over, { auditBudgets: true })).toMatchObject({ over: 'BUDGET_EXCEEDED_SESSION_RATE' });
});

it('a sum that doubles do not count exactly is refused, in audit mode too, whatever the limit', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const charges = [charge({ cost: 2, limit: most })];
  expect(chargeAll(charges, { auditBudgets: true }, most)).toMatchObject({
    exceeded: { reason: 'budget b: the amounts are too large to be counted' },
  });
});
