/**
 * Keys of `key:` budgets: whom a call is charged to, as the budget's own expression or function says.
 *
 * The value comes from arguments, so from the agent, and arguments never stand in an entry. What is recorded is
 *
 *     HMAC-SHA-256(store secret, "countersign/budget-key/v1\n" || JCS([budget id, value]))
 *
 * in hex: equal for equal values on one ledger, and telling nothing without its secret. The budget's id is in it, so that
 * the keys of two budgets cannot be matched with each other.
 */
import { canonicalize } from '../ledger/canonical.ts';

/** Longest value a key may be worked out to, in characters. */
export const MAX_KEY_CHARS = 1024;

/** Any secret found in an argument leaves this trace, whatever the expression made of it. */
const REDACTED = /\[redacted:/i;

/** What is wrong with a value as a key; it is not quoted. */
export function keyFault(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'the key must be a text';
  if (value === '') return 'the key is empty';
  if (value.length > MAX_KEY_CHARS) return `the key is longer than ${MAX_KEY_CHARS} characters`;
  if (!value.isWellFormed()) return 'the key is not valid Unicode';
  // Two different secrets read alike once they are redacted: their calls must not be taken for one customer's.
  if (REDACTED.test(value)) return 'the key holds a redacted value';
  return undefined;
}

/** @param mac - HMAC under the store's secret, hex. */
export function budgetKey(budget: string, value: string, mac: (text: string) => string): string {
  return mac(`countersign/budget-key/v1\n${canonicalize([budget, value])}`);
}

/** Values whose MAC is remembered, of all budgets together. */
const MAX_REMEMBERED = 1000;

/** The keys of one store: customers come back, and a MAC costs as much as the rest of a charge. */
export class BudgetKeys {
  private readonly mac: (text: string) => string;
  private readonly known = new Map<string, string>();

  constructor(mac: (text: string) => string) {
    this.mac = mac;
  }

  /** @param value - without a fault (`keyFault`). */
  of(budget: string, value: string): string {
    // An id holds no line feed.
    const name = `${budget}\n${value}`;
    let key = this.known.get(name);
    if (key === undefined) {
      if (this.known.size >= MAX_REMEMBERED) this.known.clear();
      key = budgetKey(budget, value, this.mac);
      this.known.set(name, key);
    }
    return key;
  }
}
