/**
 * `money(...)`: amounts of one currency, counted in integer millionths as budgets are.
 *
 *     money(args.amount, args.currency) <= money('500 EUR')
 *     total(args.transfers.map(t, money(t.amount, t.currency))) <= money('1000 EUR')
 *
 * Two currencies do not compare and do not add up; nothing is ever converted or rounded.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { MAX_AMOUNT, MICRO, microUnits } from '../../budget/micro.ts';
import { ConditionFault } from '../condition-value.ts';
import { spend } from '../evaluation.ts';
import { type LiteralCheck, literalText } from './literals.ts';

export const MONEY_WORDS: readonly string[] = ['money', 'total'];

class MoneyValue {
  readonly currency: string;
  /** Millionths of a unit. */
  readonly #micro: number;

  constructor(micro: number, currency: string) {
    // INVARIANT: a safe integer, so that sums and comparisons are exact.
    if (!Number.isSafeInteger(micro)) throw new ConditionFault(`money() holds at most ${Math.floor(MAX_AMOUNT)}`);
    if (micro < 0) throw new ConditionFault('money() holds no amount below zero');
    this.#micro = micro;
    this.currency = currency;
  }
  /** In whole units; for comparing with other numbers. */
  get amount(): number {
    return this.#micro / MICRO;
  }
  /** Less than, equal to or greater than zero. */
  compare(other: MoneyValue): number {
    return this.#micro - this.#of(other);
  }
  plus(other: MoneyValue): MoneyValue {
    return new MoneyValue(this.#micro + this.#of(other), this.currency);
  }
  minus(other: MoneyValue): MoneyValue {
    return new MoneyValue(this.#micro - this.#of(other), this.currency);
  }
  times(count: number): MoneyValue {
    return new MoneyValue(this.#micro * count, this.currency);
  }
  #of(other: MoneyValue): number {
    if (other.currency !== this.currency) throw new ConditionFault('money() of two currencies does not compare or add up');
    return other.#micro;
  }
}

export function registerMoney(environment: Environment): void {
  environment.registerType('Money', { ctor: MoneyValue, fields: { amount: 'double', currency: 'string' } });
  environment.registerFunction('money(string): Money', readMoney);
  environment.registerFunction('money(double, string): Money', amountOf);
  environment.registerFunction('money(int, string): Money', amountOf);
  environment.registerFunction('total(list): Money', total);
  const comparisons: readonly (readonly [string, (difference: number) => boolean])[] = [
    ['==', (difference) => difference === 0],
    ['<', (difference) => difference < 0],
    ['<=', (difference) => difference <= 0],
    ['>', (difference) => difference > 0],
    ['>=', (difference) => difference >= 0],
  ];
  for (const [operator, holds] of comparisons) {
    environment.registerOperator(`Money ${operator} Money: bool`, (left: MoneyValue, right: MoneyValue) => holds(left.compare(right)));
  }
  environment.registerOperator('Money + Money: Money', (left: MoneyValue, right: MoneyValue) => left.plus(right));
  environment.registerOperator('Money - Money: Money', (left: MoneyValue, right: MoneyValue) => left.minus(right));
  environment.registerOperator('Money * int: Money', (left: MoneyValue, count: bigint) => left.times(Number(count)));
  environment.registerOperator('Money * double: Money', (left: MoneyValue, count: number) => left.times(wholeNumber(count)));
}

export const checkMoneyLiterals: LiteralCheck = (call) => {
  const text = call.receiver === undefined && call.name === 'money' && call.args.length === 1 ? literalText(call.args[0]) : undefined;
  return text === undefined || MONEY.test(text) ? undefined : MONEY_HINT;
};

const MAX_ITEMS = 10_000;
const CURRENCY = /^[A-Za-z]{3,5}$/;
const MONEY = /^((?:0|[1-9]\d{0,15})(?:\.\d{1,6})?) ([A-Za-z]{3,5})$/;
const MONEY_HINT = "money() takes a text such as '12.50 EUR': digits, a dot, at most six decimals, a space, a currency";

function readMoney(text: string): MoneyValue {
  const [, digits = '', currency = ''] = MONEY.exec(text) ?? [];
  if (digits === '') throw new ConditionFault(MONEY_HINT);
  // Not through a double: 16 digits and six decimals are more than it holds.
  const [whole = '', fraction = ''] = digits.split('.');
  return new MoneyValue(Number(BigInt(whole + fraction.padEnd(6, '0'))), currency.toUpperCase());
}

function amountOf(amount: number | bigint, currency: string): MoneyValue {
  if (!CURRENCY.test(currency)) throw new ConditionFault('money() needs a currency of three to five letters, such as EUR');
  const number = Number(amount);
  if (typeof amount === 'bigint' && !Number.isSafeInteger(number)) throw new ConditionFault('money() got an amount that is too large');
  try {
    return new MoneyValue(microUnits(number), currency.toUpperCase());
  } catch (error) {
    if (error instanceof RangeError) throw new ConditionFault(`money(): ${error.message}`);
    throw error;
  }
}

function total(items: readonly unknown[]): MoneyValue {
  if (items.length > MAX_ITEMS) throw new ConditionFault(`total() adds at most ${MAX_ITEMS} amounts`);
  spend(items.length / 16);
  let sum: MoneyValue | undefined;
  for (const item of items) {
    if (!(item instanceof MoneyValue)) throw new ConditionFault('total() adds up money() only');
    sum = sum === undefined ? item : sum.plus(item);
  }
  if (sum === undefined) throw new ConditionFault('total() of nothing has no currency');
  return sum;
}

function wholeNumber(count: number): number {
  if (!Number.isSafeInteger(count)) throw new ConditionFault('money() is multiplied by whole numbers only');
  return count;
}
