/** Charging budgets inside the transaction. */
import type { BuiltInReasonCode } from '../call.ts';
import type { BudgetCharge } from '../ledger/entry.ts';
import type { Charge, DecideUnit } from '../store-units.ts';
import type { Tx } from './tx.ts';

export interface Charged {
  readonly charges: readonly BudgetCharge[];
  /** In audit mode: the first budget that would have refused. */
  readonly over?: BuiltInReasonCode;
}

/** All charges fit or none happens. Two charges to one budget and key within a unit count together. */
export function chargeBudgets(
  unit: DecideUnit,
  tx: Tx,
): Charged | { readonly exceeded: { readonly code: BuiltInReasonCode; readonly reason: string } } {
  const charges: BudgetCharge[] = [];
  let over: BuiltInReasonCode | undefined;
  for (const charge of unit.charges ?? []) {
    const since = charge.window_ms === undefined ? undefined : tx.atMs - charge.window_ms + 1;
    const before = charges
      .filter((other) => other.id === charge.id && other.key === charge.key)
      .reduce((sum, other) => sum + other.cost, 0);
    const used = tx.spent(charge.id, charge.key, since) + before + charge.cost;
    const left = charge.limit - used;
    // Past what a double counts exactly nothing can be charged, in audit mode either: the sum could not be checked.
    if (!Number.isSafeInteger(used) || !Number.isSafeInteger(left)) {
      return { exceeded: { code: EXCEEDED[charge.per], reason: `budget ${charge.id}: the amounts are too large to be counted` } };
    }
    if (left < 0) {
      const code = EXCEEDED[charge.per];
      if (unit.auditBudgets !== true) return { exceeded: { code, reason: exceededText(charge, left) } };
      over ??= code;
    }
    charges.push({ ...charge, left });
  }
  return over === undefined ? { charges } : { charges, over };
}

const EXCEEDED: Readonly<Record<Charge['per'], BuiltInReasonCode>> = {
  agent: 'BUDGET_EXCEEDED_AGENT_RATE',
  tool: 'BUDGET_EXCEEDED_TOOL_RATE',
  session: 'BUDGET_EXCEEDED_SESSION_RATE',
  principal: 'BUDGET_EXCEEDED_PRINCIPAL_RATE',
  key: 'BUDGET_EXCEEDED_KEY_RATE',
};

function exceededText(charge: Charge, left: number): string {
  const amount = (micro: number): string => String(micro / 1_000_000);
  const window = charge.window_ms === undefined ? 'for life' : `per ${durationText(charge.window_ms)}`;
  return `budget ${charge.id}: ${amount(left + charge.cost)} left of ${amount(charge.limit)} ${window}, this call needs ${amount(charge.cost)}`;
}

function durationText(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
  ] as const;
  const [name, size] = units.find(([, unit]) => ms % unit === 0) ?? (['s', 1000] as const);
  return `${ms / size} ${name}`;
}
