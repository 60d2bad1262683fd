/** The table `grants`: hints where grants stand, and what is left of them. */
import type { Database } from 'better-sqlite3';
import type { GrantRecord } from '../transaction/tx.ts';

interface GrantSql {
  readonly id: string;
  readonly entry_of: number;
  readonly entry_leaf: string;
  readonly expires_at: number;
  readonly uses_left: number | null;
  readonly revoked_of: number | null;
}

export class GrantRows {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.statements = prepare(database);
  }

  one(id: string): GrantRecord | undefined {
    const row = this.statements.one.get(id);
    return row === undefined ? undefined : grantRecord(row);
  }

  /** Newest first. */
  newest(limit: number): readonly GrantRecord[] {
    return this.statements.newest.all(limit).map(grantRecord);
  }

  /** Those that rows say may still be used, the first to expire first. */
  open(nowMs: number, limit: number): readonly GrantRecord[] {
    return this.statements.open.all(nowMs, limit).map(grantRecord);
  }

  put({ id, entry, expiresAtMs, usesLeft, revoked }: GrantRecord): void {
    this.statements.put.run(id, entry.of, entry.leaf, expiresAtMs, usesLeft, revoked ?? null);
  }
}

function prepare(database: Database) {
  return {
    one: database.prepare<[string], GrantSql>('SELECT * FROM grants WHERE id = ?'),
    newest: database.prepare<[number], GrantSql>('SELECT * FROM grants ORDER BY entry_of DESC LIMIT ?'),
    open: database.prepare<[number, number], GrantSql>(
      'SELECT * FROM grants WHERE expires_at > ? AND uses_left > 0 AND revoked_of IS NULL ORDER BY expires_at, id LIMIT ?',
    ),
    put: database.prepare(
      'INSERT OR REPLACE INTO grants (id, entry_of, entry_leaf, expires_at, uses_left, revoked_of) VALUES (?, ?, ?, ?, ?, ?)',
    ),
  };
}

function grantRecord(row: GrantSql): GrantRecord {
  return {
    id: row.id,
    entry: { of: row.entry_of, leaf: row.entry_leaf },
    expiresAtMs: row.expires_at,
    usesLeft: row.uses_left ?? 0,
    ...(row.revoked_of !== null && { revoked: row.revoked_of }),
  };
}
