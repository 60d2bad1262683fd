/** Use of budgets, read from the charges. The index holds everything that is asked for, so no other row is read. */
import type { Database, Statement } from 'better-sqlite3';
import { type BudgetQuery, type BudgetUse, countsFrom, type KeyUse } from '../budget/use.ts';

interface KeySql {
  readonly key: string;
  readonly used: number;
  readonly count: number;
}

export class BudgetUses {
  private readonly fullest: Statement<[string, number, number], KeySql>;
  private readonly one: Statement<[string, string, number], number>;
  private readonly oldest: Statement<[string, string, number], { readonly at: number; readonly amount: number }>;

  constructor(database: Database) {
    this.fullest = database.prepare(
      `SELECT key, total(cost) AS used, count(*) OVER () AS count FROM charges WHERE budget = ? AND at >= ?
       GROUP BY key HAVING used <> 0 ORDER BY used DESC, key LIMIT ?`,
    );
    this.one = database
      .prepare<[string, string, number], number>('SELECT total(cost) FROM charges WHERE budget = ? AND key = ? AND at >= ?')
      .pluck();
    // What was given back has the time of its charge: together they are nothing that could leave.
    this.oldest = database.prepare(
      `SELECT at, total(cost) AS amount FROM charges WHERE budget = ? AND key = ? AND at >= ?
       GROUP BY at HAVING amount > 0 ORDER BY at LIMIT 1`,
    );
  }

  read(query: BudgetQuery, nowMs: number): BudgetUse {
    const { budget, windowMs, limit } = query;
    const since = countsFrom(nowMs, windowMs);
    if (query.key !== undefined) {
      const used = this.one.get(budget, query.key, since) ?? 0;
      return used === 0 ? { keys: [], count: 0 } : { keys: [this.use(query, query.key, used, since)], count: 1 };
    }
    const rows = this.fullest.all(budget, since, limit);
    return { keys: rows.map(({ key, used }) => this.use(query, key, used, since)), count: rows[0]?.count ?? 0 };
  }

  private use({ budget, windowMs }: BudgetQuery, key: string, used: number, since: number): KeyUse {
    const oldest = windowMs === undefined ? undefined : this.oldest.get(budget, key, since);
    if (oldest === undefined || windowMs === undefined) return { key, used };
    return { key, used, frees: { atMs: oldest.at + windowMs, amount: oldest.amount } };
  }
}
