/** Session rows and entries that change no other state. */
import type { EntryRef } from '../call.ts';
import type { OutcomeBody } from '../ledger/entry.ts';
import type { Committed, DecideUnit, RecordUnit } from '../store-units.ts';
import { markBundles, rolledBack } from './bundles.ts';
import { appendSession, recordHalt } from './halts.ts';
import type { SessionRecord, Tx } from './tx.ts';

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
    tx.putSession({ ...row, labels: tx.labels(body.session), version: row.version + 1 });
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

/** Labels that no other entry can give its session any more. */
export function giveLabels({ agent, session, labels = [] }: Pick<OutcomeBody, 'agent' | 'session' | 'labels'>, tx: Tx): void {
  const has = tx.labels(session);
  if (labels.every((label) => has.includes(label))) return;
  tx.append({ kind: 'session', agent, session, event: 'labels', labels });
  noteLabels(session, tx);
}

/** After an entry that gives its session labels: the row says what entries say. */
export function noteLabels(session: string, tx: Tx): void {
  const row = tx.session(session);
  if (row === undefined) return;
  const labels = tx.labels(session);
  if (!isSame(row.labels, labels)) tx.putSession({ ...row, labels, version: row.version + 1 });
}

/**
 * Whether a decision was made on other labels than the entries give its session: somebody edited the row, or took it away.
 * Then the row is made to say what they say, so that whoever decides anew reads that.
 */
export function wasMisled({ body, sessionLabels }: DecideUnit, row: SessionRecord | undefined, tx: Tx): boolean {
  if (sessionLabels === undefined) return false;
  const labels = tx.labels(body.session);
  if (isSame(sessionLabels, labels)) return false;
  const { session: id, agent } = body;
  if (row !== undefined) tx.putSession({ ...row, labels, version: row.version + 1 });
  else tx.putSession({ id, agent, labels, version: 1, halted: tx.halts().of(id) !== undefined, startedAtMs: tx.atMs });
  return true;
}

function isSame(some: readonly string[], other: readonly string[]): boolean {
  return some.length === other.length && some.every((label, i) => label === other[i]);
}
