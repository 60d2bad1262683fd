/**
 * Budgets add up: what each allow says is left follows from its limit, the charges before it in its window, and what
 * outcomes gave back of them.
 */
import type { BudgetCharge, BudgetRefund } from '../ledger/entry.ts';
import { isHash } from '../ledger/merkle.ts';
import type { Settled } from './calls.ts';
import type { VerifyCode } from './codes.ts';
import type { Told } from './judged.ts';
import type { EntryOf, Placed } from './placed.ts';
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
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i] as BudgetCharge;
      const account = this.account(charge);
      // Charges of one entry to the same account count one after the other.
      let before = 0n;
      for (let j = 0; j < i; j++) if (isSame(charges[j] as BudgetCharge, charge)) before += BigInt((charges[j] as BudgetCharge).cost);
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

  /** Whoever is charged under another name finds their own budget never used up. */
  owners(placed: Placed, entry: Payer & Pick<EntryOf<'decision'>, 'budgets'>): void {
    for (const charge of entry.budgets ?? []) {
      if (isOwnKey(charge, entry)) continue;
      const what = `budget ${printable(charge.id)} per ${charge.per} was charged to ${printable(charge.key)}`;
      this.findings.problem(placed.number, 'BUDGET_OTHER_KEY', `${what}, which the call is not of`);
    }
  }

  /** @param settled - what the decision was charged; undefined when the outcome settles none. */
  refund(placed: Placed, refunds: readonly BudgetRefund[], settled: Settled | undefined): void {
    const owed = [...(settled?.charges ?? [])];
    const given: BudgetRefund[] = [];
    for (const refund of refunds) {
      const what = `budget ${printable(refund.id)} of ${printable(refund.key)}`;
      const problem = (code: VerifyCode, message: string): void => this.findings.problem(placed.number, code, message);
      const exact = owed.findIndex((charge) => isSame(charge, refund) && charge.cost === refund.cost);
      const found = exact >= 0 ? exact : owed.findIndex((charge) => isSame(charge, refund));
      const charge = owed[found];
      if (charge === undefined) {
        if (given.some((other) => isSame(other, refund))) problem('REFUND_TWICE', `the charge to ${what} is given back twice`);
        else problem('REFUND_WITHOUT_CHARGE', `${what} gets back what the call was not charged`);
        continue;
      }
      owed.splice(found, 1);
      given.push(refund);
      if (charge.cost !== refund.cost)
        problem('REFUND_DIFFERS', `${what} gets back ${refund.cost} micro-units, ${charge.cost} were charged`);
      // The store's sums follow what was recorded, right or wrong.
      if (settled !== undefined) this.account(refund).refund(settled.at, refund.cost);
    }
  }

  private account(charge: Pick<BudgetCharge, 'id' | 'key'>): Account {
    let ofBudget = this.accounts.get(charge.id);
    if (ofBudget === undefined) this.accounts.set(charge.id, (ofBudget = new Map<string, Account>()));
    let account = ofBudget.get(charge.key);
    if (account === undefined) ofBudget.set(charge.key, (account = new Account()));
    return account;
  }
}

/** Of a call, what budgets go by. */
export type Payer = Pick<EntryOf<'decision'>, 'agent' | 'session' | 'tool'> & { readonly principal?: string | undefined };

export function isOwnKey({ per, key }: Pick<BudgetCharge, 'per' | 'key'>, { agent, principal, session, tool }: Payer): boolean {
  switch (per) {
    case 'agent':
      return key === agent;
    case 'principal':
      return key === principal;
    case 'session':
      return key === session;
    case 'tool':
      return key === (tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`);
    case 'key':
      // A MAC: of what, whoever has the secret of the ledger could say.
      return isHash(key);
  }
}

function isSame(a: Pick<BudgetCharge, 'id' | 'key'>, b: Pick<BudgetCharge, 'id' | 'key'>): boolean {
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

  /** Takes back what was charged at `at`: from every sum that still holds it. */
  refund(at: number, cost: number): void {
    const amount = BigInt(cost);
    this.total -= amount;
    const place = this.firstAt(at);
    // Charges of one time enter and leave a window together: which of them is lowered makes no difference.
    if (this.times[place] !== at) {
      // Dropped, so no window holds it; or, for a decision from before what is read, never seen.
      if (this.dropped > 0) this.droppedSum -= amount;
      return;
    }
    this.costs[place] = (this.costs[place] as number) - cost;
    for (const followed of this.windows.values()) if (followed.from <= this.dropped + place) followed.sum -= amount;
  }

  private firstAt(at: number): number {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.times[middle] as number) < at) low = middle + 1;
      else high = middle;
    }
    return low;
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
