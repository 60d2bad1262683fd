/**
 * What an approver signs who lets a halted session go on, or every session.
 *
 *     countersign/resume/v1
 *     {"approver":...,"halt":{"leaf":...,"of":41},"scope":"ledger","session":...}
 *
 * A fixed first line, then RFC 8785 JSON; UTF-8; Ed25519. `session` is the session that goes on; with `scope` it is whose word the
 * halt of every session was. `halt` is the entry that is answered: what was signed once is good for one halt of one ledger, and not
 * again after the session was halted anew.
 */
import type { EntryRef } from '../call.ts';
import { canonicalize } from '../ledger/canonical.ts';

export interface ResumeStatement {
  readonly halt: EntryRef;
  readonly scope?: 'ledger' | undefined;
  readonly session: string;
}

/** The bytes to sign. */
export function resumeStatement({ halt: { of, leaf }, scope, session }: ResumeStatement, approver: string): Uint8Array {
  return Buffer.from(`countersign/resume/v1\n${canonicalize({ approver, halt: { leaf, of }, scope, session })}`);
}
