/**
 * Running sums of charges, so that a commit reads what entered and left a window since the last one, not the whole window.
 *
 * Charges of other writers are read on by their row ids, which only grow: rows are never removed, and one transaction
 * writes at a time. Whoever rolls back clears everything.
 */
import type { Database, Statement } from 'better-sqlite3';

/** Budgets and keys remembered at once; more than that and all are read anew. */
export const MAX_SUMS = 1000;
/** Charges of other writers that are read on one by one; after more all sums are read anew. */
export const MAX_FOREIGN = 10_000;

interface Sum {
  sinceMs: number;
  total: number;
}

export interface StoredCharge {
  readonly id: number;
  readonly budget: string;
  readonly key: string;
  readonly at: number;
  readonly cost: number;
}

export class SpentSums {
  private readonly from: Statement<[string, string, number], number>;
  private readonly between: Statement<[string, string, number, number], number>;
  private readonly newest: Statement<[], number>;
  private readonly after: Statement<[number, number], StoredCharge>;
  /** By budget and key, then by length of the window. */
  private readonly sums = new Map<string, Map<number, Sum>>();
  /** Row id of the newest charge the sums know of. */
  private lastId = 0;
  private isBehind = true;

  constructor(database: Database) {
    const select = 'SELECT total(cost) FROM charges WHERE budget = ? AND key = ? AND at >= ?';
    this.from = database.prepare<[string, string, number], number>(select).pluck();
    this.between = database.prepare<[string, string, number, number], number>(`${select} AND at < ?`).pluck();
    this.newest = database.prepare<[], number>('SELECT coalesce(max(id), 0) FROM charges').pluck();
    this.after = database.prepare<[number, number], StoredCharge>(
      'SELECT id, budget, key, at, cost FROM charges WHERE id > ? ORDER BY id LIMIT ?',
    );
  }

  /** @param sinceMs - first millisecond that counts; undefined = for life. @param atMs - store time of this transaction. */
  spent(budget: string, key: string, sinceMs: number | undefined, atMs: number): number {
    if (this.isBehind) this.catchUp();
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
  add(charge: StoredCharge): void {
    if (this.isBehind) return;
    this.lastId = charge.id;
    this.take(charge);
  }

  /** Other writers may have charged since. */
  fallBehind(): void {
    this.isBehind = true;
  }

  /** Charges that were counted are gone: a transaction was rolled back. */
  clear(): void {
    this.sums.clear();
    this.isBehind = true;
  }

  private catchUp(): void {
    this.isBehind = false;
    const newest = this.newest.get() ?? 0;
    if (newest === this.lastId) return;
    const isFar = this.sums.size > 0 && newest - this.lastId > MAX_FOREIGN;
    // A row that is gone was counted: whoever edits the file must not leave its sum behind.
    if (isFar || newest < this.lastId) this.sums.clear();
    if (this.sums.size > 0) for (const charge of this.after.iterate(this.lastId, MAX_FOREIGN)) this.take(charge);
    this.lastId = newest;
  }

  private take({ budget, key, at, cost }: StoredCharge): void {
    // A refund is dated like its charge: where that one has left the window, it never enters.
    for (const sum of this.sums.get(nameOf(budget, key))?.values() ?? []) if (at >= sum.sinceMs) sum.total += cost;
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
