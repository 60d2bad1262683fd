/**
 * Which sessions are refused, inside the transaction. That is told by the entries (`halt/book.ts`); rows are kept for whoever
 * wants to know it before there is a transaction.
 */
import type { EntryRef } from '../call.ts';
import { isAfterHalt } from '../halt/after-halt.ts';
import type { Halt } from '../halt/book.ts';
import { commitSection, newOpeningKey } from '../ledger/commitment.ts';
import type { Opening, SessionBody } from '../ledger/entry.ts';
import type { Committed, DecideUnit, ResumeUnit } from '../store-units.ts';
import type { SessionRecord, Tx } from './tx.ts';

/** Row of the halt of every session. No session has this id: names are not empty. */
export const ALL_SESSIONS = '';

/** Whether what a unit decides is refused because its session, or every session, is halted. */
export function isStopped(unit: DecideUnit, tx: Tx): boolean {
  const { body, use, grant, ask } = unit;
  const halts = tx.halts();
  const [own, all] = [halts.of(body.session), halts.of(undefined)];
  if (own === undefined && all === undefined) return false;
  // Whoever stopped something must be able to ask what is to happen now; and nothing else.
  if (!isAfterHalt(body.tool)) return true;
  // Whoever halts what an operator halted did not make it theirs.
  const isOwnWord = own === undefined && all?.by === body.session && all.operator === undefined;
  if (isOwnWord && (use ?? grant ?? ask) !== undefined) return false;
  return ask === undefined && !isAnsweredSince(unit, Math.max(own?.entry.of ?? 0, all?.entry.of ?? 0), tx);
}

/** A halt that another said is not in what people were asked before it, nor in what they granted. */
function isAnsweredSince({ body, use }: DecideUnit, halt: number, tx: Tx): boolean {
  const answers = use?.answers ?? (body.edited === undefined ? [] : [body.edited.answer]);
  return answers.length > 0 && answers.every((answer) => isAskedAfter(halt, answer, tx));
}

function isAskedAfter(halt: number, answer: EntryRef, tx: Tx): boolean {
  const given = tx.entry(answer);
  return given?.kind === 'approval' && given.ask.of > halt;
}

/** What rows say, which is a hint: the session's own halt, or that of every session. */
export function seemsHalted(rows: readonly SessionRecord[]): boolean {
  return rows.some(({ halted }) => halted);
}

/** Appends a session entry; those that tell of halts, and those that lead to them, name the one before. */
export function appendSession(body: SessionBody, tx: Tx, opening?: Opening): EntryRef {
  if (body.event !== 'start' && body.event !== 'halted' && body.event !== 'resumed') return tx.append(body);
  const before = tx.halts().newest;
  return tx.append({ ...body, ...(before !== undefined && { before }) }, opening);
}

/** A halt, or its end by whoever has the ledger in hand. Ending what does not stand says nothing. */
export function recordHalt(body: SessionBody, tx: Tx): Committed {
  const { event, scope, session } = body;
  const of = scope === 'ledger' ? undefined : session;
  const halt = tx.halts().of(of);
  if (event === 'resumed' && (halt === undefined || !isEndedBy(body, halt, tx))) return { kind: 'recorded' };
  const entry = appendSession({ ...body, ...(event === 'resumed' && halt !== undefined && { halt: halt.entry }) }, tx);
  noteHalt(of, event === 'halted', body, tx);
  return { kind: 'recorded', entry };
}

/**
 * What people said about an incident ends no operator's halt, which takes an end of its own, and no halt that came after they were asked.
 * A monitor that names no answer ends it on its application's word.
 */
function isEndedBy({ approval }: SessionBody, halt: Halt, tx: Tx): boolean {
  if (approval === undefined) return true;
  if (halt.operator !== undefined) return false;
  const decided = tx.entry(approval.decision);
  // verify says so of what is no answer.
  if (decided?.kind !== 'decision') return true;
  const answers = decided.approval?.answers ?? (decided.edited === undefined ? [] : [decided.edited.answer]);
  if (answers.length === 0) return approval.decision.of > halt.entry.of;
  return answers.every((answer) => isAskedAfter(halt.entry.of, answer, tx));
}

/** Its end by a person. What they looked at must be what stands: an answer that was given once is good for nothing later. */
export function resume(unit: ResumeUnit, tx: Tx): Committed {
  const { agent, session, halt: seen, approver, signature, message } = unit;
  const halt = tx.halts().of(session);
  if (halt === undefined) return { kind: 'not-resumable', why: 'not-halted' };
  if (halt.entry.of !== seen.of || halt.entry.leaf !== seen.leaf) return { kind: 'not-resumable', why: 'moved' };
  const opening = message === undefined ? undefined : { key: newOpeningKey(), sections: { message } };
  const body: SessionBody = {
    kind: 'session',
    agent,
    session: session ?? halt.by,
    event: 'resumed',
    ...(session === undefined && { scope: 'ledger' }),
    halt: halt.entry,
    approver,
    ...(opening !== undefined && { message_commit: commitSection(opening.key, 'message', opening.sections.message) }),
    ...(signature !== undefined && { signature }),
  };
  const entry = appendSession(body, tx, opening);
  noteHalt(session, false, body, tx);
  return { kind: 'resumed', entry, atMs: tx.atMs, halt };
}

function noteHalt(session: string | undefined, halted: boolean, body: SessionBody, tx: Tx): void {
  const id = session ?? ALL_SESSIONS;
  const fresh: SessionRecord = { id, agent: body.agent, labels: [], version: 0, halted, startedAtMs: tx.atMs };
  const row = tx.session(id) ?? fresh;
  tx.putSession({ ...row, halted, version: row.version + 1 });
}
