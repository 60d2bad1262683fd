/** Rows of the table `sessions`. */
import type { SessionRecord } from '../transaction/tx.ts';

export const SESSION_COLUMNS: string = 'id, agent, labels, version, halted, started_at';

/** In the order of the columns. */
export type SessionSql = readonly [id: string, agent: string, labels: string, version: number, halted: number, startedAtMs: number];

export function sessionRecord([id, agent, labels, version, halted, startedAtMs]: SessionSql): SessionRecord {
  return { id, agent, labels: JSON.parse(labels), version, halted: halted === 1, startedAtMs };
}
