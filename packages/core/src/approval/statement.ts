/**
 * What an approver signs: the answer to exactly one ask.
 *
 *     countersign/approval/v1
 *     {"agent":...,"answer":"approve","approval":...,"approver":...,"binds":...,"call":...,"expires_at":...,"session":...}
 *
 * A deny that proposes other arguments has `args_commit` too: the commitment to them that its entry holds.
 *
 * A fixed first line, then RFC 8785 JSON; UTF-8; Ed25519. `binds` is unguessable and belongs to one call and one policy,
 * so a signature is worth nothing for any other.
 */
import { canonicalize } from '../ledger/canonical.ts';
import { verifyEd25519 } from '../ledger/ed25519.ts';
import { parseVerifierKey } from '../ledger/verifier-key.ts';
import type { ApprovalRow } from '../store-rows.ts';

export interface ApprovalStatement {
  readonly agent: string;
  readonly session: string;
  readonly call: string;
  readonly approval: string;
  readonly answer: 'approve' | 'deny';
  readonly approver: string;
  readonly binds: string;
  readonly expiresAtMs: number;
  readonly argsCommit?: string;
}

/** What an answer says besides whom it is about. */
export interface AnswerGiven {
  readonly answer: 'approve' | 'deny';
  /** Commitment to the proposed arguments: `commitSection(openingKey, 'args', args)`. */
  readonly argsCommit?: string;
}

export function statementOf(
  row: Pick<ApprovalRow, 'id' | 'agent' | 'session' | 'call' | 'binds' | 'expiresAtMs'>,
  given: AnswerGiven | AnswerGiven['answer'],
  approver: string,
): ApprovalStatement {
  const { agent, session, call, binds, expiresAtMs } = row;
  const more: AnswerGiven = typeof given === 'string' ? { answer: given } : given;
  return { agent, session, call, approval: row.id, approver, binds, expiresAtMs, ...more };
}

/** The bytes to sign. */
export function approvalStatement(statement: ApprovalStatement): Uint8Array {
  const { agent, session, call, approval, answer, approver, binds, expiresAtMs, argsCommit } = statement;
  const signed = {
    agent,
    session,
    call,
    approval,
    answer,
    approver,
    binds,
    expires_at: expiresAtMs,
    ...(argsCommit !== undefined && { args_commit: argsCommit }),
  };
  return Buffer.from(`countersign/approval/v1\n${canonicalize(signed)}`);
}

/** @param vkey - the approver's verifier line. @param signature - base64, from outside. */
export function isSignedBy(vkey: string, statement: Uint8Array, signature: string | undefined): boolean {
  if (signature === undefined) return false;
  const bytes = Buffer.from(signature, 'base64');
  if (bytes.length !== 64 || bytes.toString('base64') !== signature) return false;
  return verifyEd25519(parseVerifierKey(vkey).publicKey, statement, bytes);
}
