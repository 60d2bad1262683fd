/** Rows of the table `sessions`. */
import type { Database } from 'better-sqlite3';
import type { SessionRecord } from '../transaction/tx.ts';

const COLUMNS = 'id, agent, labels, version, halted, started_at';

/** In the order of the columns. */
type SessionSql = readonly [id: string, agent: string, labels: string, version: number, halted: number, startedAtMs: number];

export class SessionRows {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.statements = prepare(database);
  }

  one(id: string): SessionRecord | undefined {
    const row = this.statements.one.get(id);
    return row === undefined ? undefined : sessionRecord(row);
  }

  two(one: string, other: string): readonly SessionRecord[] {
    return this.statements.two.all(one, other).map(sessionRecord);
  }

  put({ id, agent, labels, version, halted, startedAtMs }: SessionRecord): void {
    this.statements.put.run(id, agent, JSON.stringify(labels), version, halted ? 1 : 0, startedAtMs);
  }
}

function sessionRecord([id, agent, labels, version, halted, startedAtMs]: SessionSql): SessionRecord {
  return { id, agent, labels: JSON.parse(labels), version, halted: halted === 1, startedAtMs };
}

function prepare(database: Database) {
  return {
    one: database.prepare<[string], SessionSql>(`SELECT ${COLUMNS} FROM sessions WHERE id = ?`).raw(),
    two: database.prepare<[string, string], SessionSql>(`SELECT ${COLUMNS} FROM sessions WHERE id IN (?, ?)`).raw(),
    put: database.prepare(`INSERT OR REPLACE INTO sessions (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)`),
  };
}
