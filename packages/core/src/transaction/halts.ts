/** Which sessions are refused, inside the transaction. */
import type { SessionBody } from '../ledger/entry.ts';
import type { Committed } from '../store.ts';
import type { Tx } from './tx.ts';

/** Row of the halt of every session. No session has this id: names are not empty. */
export const ALL_SESSIONS = '';

/** Whether calls of a session are refused. */
export function isHalted(session: string, tx: Pick<Tx, 'session'>): boolean {
  return tx.session(session)?.halted === true || tx.session(ALL_SESSIONS)?.halted === true;
}

/**
 * A halt of every session, or its end. No session changes by it: each is asked about together with the row of no name, which no
 * session can have.
 */
export function recordForAll(body: SessionBody, tx: Tx): Committed {
  const all = tx.session(ALL_SESSIONS);
  if (body.event === 'resumed' && all?.halted !== true) return { kind: 'recorded' };
  const entry = tx.append(body);
  const row = all ?? { id: ALL_SESSIONS, agent: body.agent, labels: [], version: 0, halted: false, startedAtMs: tx.atMs };
  tx.putSession({ ...row, halted: body.event === 'halted', version: row.version + 1 });
  return { kind: 'recorded', entry };
}
