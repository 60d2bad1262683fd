/** Session rows and entries that change no other state. */
import type { EntryRef } from '../call.ts';
import type { Committed, DecideUnit, RecordUnit } from '../store.ts';
import { markBundles, rolledBack } from './bundles.ts';
import { appendSession, recordHalt } from './halts.ts';
import type { Tx } from './tx.ts';

export function record(unit: RecordUnit, tx: Tx): Committed {
  const { body } = unit;
  if (body.kind === 'policy') {
    const older = rolledBack(body.document, tx);
    if (older !== undefined) return older;
  }
  if (unit.once !== undefined && isRecorded(tx.mark(unit.once), body, tx)) return { kind: 'recorded' };
  if (body.kind === 'session' && (body.event === 'halted' || body.event === 'resumed')) return recordHalt(body, tx);
  const session = body.kind === 'session' ? tx.session(body.session) : undefined;
  // The first call of a session writes its start; ending one that never started says nothing.
  if (body.kind === 'session' && session === undefined && body.event !== 'start') return { kind: 'recorded' };
  const entry = body.kind === 'session' ? appendSession(body, tx) : tx.append(body, unit.opening);
  if (unit.once !== undefined) tx.putMark(unit.once, entry);
  if (body.kind === 'policy') markBundles(body.document, entry, tx);
  if (body.kind === 'session') {
    const row = session ?? { id: body.session, agent: body.agent, labels: [], version: 1, halted: false, startedAtMs: tx.atMs };
    const labels = body.labels === undefined ? row.labels : union(row.labels, body.labels);
    tx.putSession({ ...row, labels, version: row.version + 1 });
  }
  return { kind: 'recorded', entry };
}

/** A mark says where to look; what stands there decides. */
function isRecorded(mark: EntryRef | undefined, body: RecordUnit['body'], tx: Tx): boolean {
  const entry = mark === undefined ? undefined : tx.entry(mark);
  if (entry === undefined || entry.kind !== body.kind) return false;
  return entry.kind !== 'policy' || body.kind !== 'policy' || entry.policy.hash === body.policy.hash;
}

export function startSession(unit: DecideUnit, tx: Tx): void {
  const { agent, session } = unit.body;
  appendSession({ kind: 'session', agent, session, event: 'start', coverage: unit.coverage ?? 'none' }, tx);
  // Version 0 means "no entry yet" to whoever decided; starting changes nothing a policy can see.
  tx.putSession({ id: session, agent, labels: [], version: 0, halted: false, startedAtMs: tx.atMs });
}

export function addLabels(session: string, labels: readonly string[], tx: Tx): void {
  const row = tx.session(session);
  if (row === undefined) return;
  const all = union(row.labels, labels);
  if (all.length > row.labels.length) tx.putSession({ ...row, labels: all, version: row.version + 1 });
}

function union(some: readonly string[], more: readonly string[]): readonly string[] {
  return [...new Set([...some, ...more])].toSorted();
}
