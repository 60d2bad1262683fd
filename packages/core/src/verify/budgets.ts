/** Budgets add up: what each allow says is left follows from its limit and the charges before it in its window. */
import type { BudgetCharge } from '../ledger/entry.ts';
import type { Told } from './judged.ts';
import type { Placed } from './placed.ts';
import type { Findings } from './report.ts';
import { printable } from './shapes.ts';

/** Windows followed at once for one budget and key; a configuration change adds one, so few are ever needed. */
const MAX_WINDOWS = 8;
const DROP_AT_LEAST = 512;

export class Budgets {
  private readonly findings: Findings;
  /** By budget, then by key. */
  private readonly accounts = new Map<string, Map<string, Account>>();

  constructor(findings: Findings) {
    this.findings = findings;
  }

  allow(placed: Placed, entry: Pick<Extract<Told, { readonly kind: 'decision' }>, 'at' | 'mode' | 'budgets'>, gaps: boolean): void {
    const charges = entry.budgets ?? [];
    for (const [i, charge] of charges.entries()) {
      const account = this.account(charge);
      // Charges of one entry to the same account count one after the other.
      const before = charges.slice(0, i).reduce((sum, other) => (isSame(other, charge) ? sum + BigInt(other.cost) : sum), 0n);
      const spent = account.spent(entry.at, charge.window_ms);
      const known = BigInt(charge.limit) - before - BigInt(charge.cost);
      const isRight = charge.left <= known - spent.atLeast && charge.left >= known - spent.atMost;
      if (!isRight && !gaps) {
        const what = `budget ${printable(charge.id)} of ${printable(charge.key)}`;
        this.findings.problem(
          placed.number,
          'BUDGET_MISMATCH',
          `${what}: ${charge.left} micro-units are said to be left, ${known - spent.atLeast} are`,
        );
      }
      if (charge.left < 0 && entry.mode !== 'audit')
        this.findings.problem(
          placed.number,
          'BUDGET_OVERSPENT',
          `the call was allowed although budget ${printable(charge.id)} did not suffice`,
        );
    }
    for (const charge of charges) this.account(charge).charge(entry.at, charge.cost, charge.window_ms);
  }

  private account(charge: BudgetCharge): Account {
    let ofBudget = this.accounts.get(charge.id);
    if (ofBudget === undefined) this.accounts.set(charge.id, (ofBudget = new Map<string, Account>()));
    let account = ofBudget.get(charge.key);
    if (account === undefined) ofBudget.set(charge.key, (account = new Account()));
    return account;
  }
}

function isSame(a: BudgetCharge, b: BudgetCharge): boolean {
  return a.id === b.id && a.key === b.key;
}

/** The charges to one budget and key: those in the longest window seen, and the sum of all. Sums exceed what doubles count. */
class Account {
  private total = 0n;
  private times: number[] = [];
  private costs: number[] = [];
  /** Position of `times[0]` among all charges: what is older was dropped. */
  private dropped = 0;
  private droppedSum = 0n;
  private longest = 0;
  /** Per window: the first charge inside it, counted from the beginning, and the sum from there on. */
  private readonly windows = new Map<number, { from: number; sum: bigint }>();

  /** What was charged in the window. The two figures differ when a longer window than ever before asks for what was dropped. */
  spent(at: number, window: number | undefined): { readonly atLeast: bigint; readonly atMost: bigint } {
    if (window === undefined) return { atLeast: this.total, atMost: this.total };
    const { from, sum } = this.moveTo(at, window);
    const reachesDropped = from <= this.dropped && window > this.longest && this.dropped > 0;
    return { atLeast: sum, atMost: reachesDropped ? sum + this.droppedSum : sum };
  }

  charge(at: number, cost: number, window: number | undefined): void {
    this.total += BigInt(cost);
    this.times.push(at);
    this.costs.push(cost);
    for (const followed of this.windows.values()) followed.sum += BigInt(cost);
    if (window !== undefined) this.longest = Math.max(this.longest, window);
    this.drop(at);
  }

  private moveTo(at: number, window: number): { from: number; sum: bigint } {
    let followed = this.windows.get(window);
    if (followed === undefined) {
      if (this.windows.size >= MAX_WINDOWS) this.windows.delete(this.windows.keys().next().value as number);
      followed = { from: this.dropped, sum: this.costs.reduce((sum, cost) => sum + BigInt(cost), 0n) };
      this.windows.set(window, followed);
    }
    // A charge exactly one window ago has left it.
    while (followed.from - this.dropped < this.times.length && (this.times[followed.from - this.dropped] as number) <= at - window) {
      followed.sum -= BigInt(this.costs[followed.from - this.dropped] as number);
      followed.from++;
    }
    return followed;
  }

  /** Drops what no window seen so far can reach, now and then. */
  private drop(at: number): void {
    if (this.times.length < 2 * DROP_AT_LEAST || (this.times[DROP_AT_LEAST] as number) > at - this.longest) return;
    let count = 0;
    while (count < this.times.length && (this.times[count] as number) <= at - this.longest) count++;
    for (const followed of this.windows.values()) {
      // A window that was not asked for lately still counts what has long left it.
      for (; followed.from < this.dropped + count; followed.from++)
        followed.sum -= BigInt(this.costs[followed.from - this.dropped] as number);
    }
    for (const cost of this.costs.slice(0, count)) this.droppedSum += BigInt(cost);
    this.times = this.times.slice(count);
    this.costs = this.costs.slice(count);
    this.dropped += count;
  }
}
