/**
 * Running sums of charges, so that a commit reads what entered and left a window since the last one, not the whole window.
 *
 * Right only while every charge goes through here: whoever learns of charges of another writer, or rolls back, clears it.
 */
import type { Database, Statement } from 'better-sqlite3';

/** Budgets and keys remembered at once; more than that and all are read anew. */
export const MAX_SUMS = 1000;

interface Sum {
  sinceMs: number;
  total: number;
}

export class SpentSums {
  private readonly from: Statement<[string, string, number], number>;
  private readonly between: Statement<[string, string, number, number], number>;
  /** By budget and key, then by length of the window. */
  private readonly sums = new Map<string, Map<number, Sum>>();

  constructor(database: Database) {
    const select = 'SELECT total(cost) FROM charges WHERE budget = ? AND key = ? AND at >= ?';
    this.from = database.prepare<[string, string, number], number>(select).pluck();
    this.between = database.prepare<[string, string, number, number], number>(`${select} AND at < ?`).pluck();
  }

  /** @param sinceMs - first millisecond that counts; undefined = for life. @param atMs - store time of this transaction. */
  spent(budget: string, key: string, sinceMs: number | undefined, atMs: number): number {
    const windowMs = sinceMs === undefined ? Number.POSITIVE_INFINITY : atMs - sinceMs;
    const since = sinceMs ?? 0;
    const windows = this.windows(budget, key);
    const known = windows.get(windowMs);
    if (known === undefined || since < known.sinceMs) {
      const total = this.from.get(budget, key, since) ?? 0;
      windows.set(windowMs, { sinceMs: since, total });
      return total;
    }
    if (since > known.sinceMs) {
      known.total -= this.between.get(budget, key, known.sinceMs, since) ?? 0;
      known.sinceMs = since;
    }
    return known.total;
  }

  /** A charge that was just inserted. */
  add(budget: string, key: string, cost: number): void {
    for (const sum of this.sums.get(nameOf(budget, key))?.values() ?? []) sum.total += cost;
  }

  clear(): void {
    this.sums.clear();
  }

  private windows(budget: string, key: string): Map<number, Sum> {
    const name = nameOf(budget, key);
    const windows = this.sums.get(name);
    if (windows !== undefined) return windows;
    if (this.sums.size >= MAX_SUMS) this.sums.clear();
    const fresh = new Map<number, Sum>();
    this.sums.set(name, fresh);
    return fresh;
  }
}

/** Neither part holds a control character, so the line feed keeps them apart. */
function nameOf(budget: string, key: string): string {
  return `${budget}\n${key}`;
}
