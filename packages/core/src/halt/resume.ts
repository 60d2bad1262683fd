/** A person lets a halted session go on: the one way in for hosts and commands. */
import { identifyByStatement } from '../approval/answers.ts';
import { type EntryRef, MAX_REASON_CHARS } from '../call.ts';
import type { Engine } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import type { Approver } from '../interfaces.ts';
import { isRecordable, requireRecordable } from '../names.ts';
import { currentCall } from '../scope.ts';
import type { Halt } from './book.ts';
import { resumeStatement } from './statement.ts';

/** Which halt is meant: that of a session, or, without one, that of every session. */
export interface HaltChoice {
  readonly session?: string;
}

/** What an approver signs, and which halt it is about. */
export interface ResumeDraft {
  readonly halt: Halt;
  /** The bytes to sign. */
  statement(approver: string): Uint8Array;
}

export interface ResumeOptions {
  /** Kept beside the entry. */
  readonly message?: string;
  /** The halt that was looked at, and for method `key` signed about. Default: the one that stands. */
  readonly halt?: EntryRef;
}

type ResumeEngine = Pick<Engine, 'agent' | 'store' | 'redactor' | 'commit' | 'keys'>;

/** @throws {CountersignError} `HALT_NOT_FOUND`, `LEDGER_*` */
export async function draftResume({ session }: HaltChoice, engine: ResumeEngine): Promise<ResumeDraft> {
  const halts = await engine.store.halts();
  const halt = halts.find((each) => each.session === session);
  if (halt === undefined) {
    const isEvery = halts.some((each) => each.session === undefined);
    throw notHalted(session, engine, isEvery ? 'every session is: `countersign resume --all`, or resume({})' : undefined);
  }
  return { halt, statement: (approver) => resumeStatement(statementOf(halt), approver) };
}

/** @throws {CountersignError} `HALT_NOT_FOUND`, `HALT_MOVED`, `APPROVER_REFUSED`, `LEDGER_*` */
export async function resume(choice: HaltChoice, approver: Approver, options: ResumeOptions, engine: ResumeEngine): Promise<EntryRef> {
  if (currentCall() !== undefined) throw new CountersignError('APPROVER_REFUSED', 'nothing can be resumed from inside a guarded call');
  requireRecordable(approver.id, engine.redactor);
  const draft = await draftResume(choice, engine);
  const { halt } = draft;
  const seen = options.halt ?? halt.entry;
  if (seen.of !== halt.entry.of || seen.leaf !== halt.entry.leaf) throw moved();
  const who = identifyByStatement(approver, (name) => draft.statement(name), engine.keys);
  if ('refused' in who) throw new CountersignError('APPROVER_REFUSED', who.refused);
  // Whoever drives the client is asked by it, and may be no person.
  if (who.identity.assurance === 'low') throw new CountersignError('APPROVER_REFUSED', 'to resume takes more than a low assurance');
  const { session } = choice;
  const { message } = options;
  const clean = message === undefined ? undefined : engine.redactor.text(message.toWellFormed()).slice(0, MAX_REASON_CHARS).toWellFormed();
  const committed = await engine.commit({
    kind: 'resume',
    agent: engine.agent,
    ...(session !== undefined && { session }),
    halt: halt.entry,
    approver: who.identity,
    ...(approver.method === 'key' && approver.signature !== undefined && { signature: approver.signature }),
    ...(clean !== undefined && { message: clean }),
  });
  if (committed.kind === 'resumed') return committed.entry;
  if (committed.kind === 'not-resumable') throw committed.why === 'moved' ? moved() : notHalted(session, engine);
  throw new CountersignError('LEDGER_WRITE_FAILED', `the store answered with ${committed.kind}`);
}

function statementOf({ entry, session, by }: Halt): Parameters<typeof resumeStatement>[0] {
  return session === undefined ? { halt: entry, scope: 'ledger', session: by } : { halt: entry, session };
}

function notHalted(session: string | undefined, { redactor }: ResumeEngine, next = 'halts.list() shows what is'): CountersignError {
  const what =
    session === undefined
      ? 'no halt of every session stands'
      : `session ${isRecordable(session, redactor) ? session : '(malformed)'} is not halted`;
  return new CountersignError('HALT_NOT_FOUND', `${what}: ${next}`);
}

function moved(): CountersignError {
  return new CountersignError('HALT_MOVED', 'it was halted anew since that was looked at: look again, and answer about that');
}
