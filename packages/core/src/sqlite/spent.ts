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

/** Times that are read ahead of a window: most commits find that none of them has left it, and read nothing. */
const LOOK_AHEAD = 32;

interface Sum {
  /** `total` is of every charge from here on. */
  sinceMs: number;
  total: number;
  /** What leaves next, in order of time: nothing else lies between `sinceMs` and the last of it. Empty = to be read. */
  leaving: readonly Leaving[];
  /** Of `leaving`, how many have left. */
  left: number;
}

interface Leaving {
  readonly at: number;
  readonly cost: number;
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
  private readonly next: Statement<[string, string, number, number], Leaving>;
  private readonly lookAhead: number;
  private readonly newest: Statement<[], number>;
  private readonly after: Statement<[number, number], StoredCharge>;
  /** By budget and key, then by length of the window. */
  private readonly sums = new Map<string, Map<number, Sum>>();
  /** Row id of the newest charge the sums know of. */
  private lastId = 0;
  private isBehind = true;

  constructor(database: Database, lookAhead: number = LOOK_AHEAD) {
    this.lookAhead = lookAhead;
    const where = 'FROM charges WHERE budget = ? AND key = ? AND at >= ?';
    this.from = database.prepare<[string, string, number], number>(`SELECT total(cost) ${where}`).pluck();
    this.next = database.prepare(`SELECT at, total(cost) AS cost ${where} GROUP BY at ORDER BY at LIMIT ?`);
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
      windows.set(windowMs, { sinceMs: since, total, leaving: [], left: 0 });
      return total;
    }
    if (since > known.sinceMs) this.move(known, budget, key, since);
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

  /** Takes away what leaves the window when it begins at `since`. */
  private move(sum: Sum, budget: string, key: string, since: number): void {
    for (;;) {
      const { leaving } = sum;
      for (let next = leaving[sum.left]; next !== undefined && next.at < since; next = leaving[++sum.left]) sum.total -= next.cost;
      if (sum.left < leaving.length) break;
      const last = leaving.at(-1);
      const from = last === undefined ? sum.sinceMs : Math.max(sum.sinceMs, last.at + 1);
      sum.leaving = this.next.all(budget, key, from, this.lookAhead);
      sum.left = 0;
      if (sum.leaving.length === 0) break;
    }
    sum.sinceMs = since;
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
    for (const sum of this.sums.get(nameOf(budget, key))?.values() ?? []) {
      if (at < sum.sinceMs) continue;
      sum.total += cost;
      const last = sum.leaving.at(-1);
      // Among what was read already: read it again.
      if (last !== undefined && at <= last.at) Object.assign(sum, { leaving: [], left: 0 });
    }
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
