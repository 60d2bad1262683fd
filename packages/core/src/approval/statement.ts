/**
 * What an approver signs: the answer to exactly one ask.
 *
 *     countersign/approval/v1
 *     {"agent":...,"answer":"approve","approval":...,"approver":...,"binds":...,"call":...,"expires_at":...,"session":...}
 *
 * A fixed first line, then RFC 8785 JSON; UTF-8; Ed25519. `binds` is unguessable and belongs to one call and one policy,
 * so a signature is worth nothing for any other.
 */
import { canonicalize } from '../ledger/canonical.ts';
import { verifyEd25519 } from '../ledger/ed25519.ts';
import { parseVerifierKey } from '../ledger/verifier-key.ts';
import type { ApprovalRow } from '../store.ts';

export interface ApprovalStatement {
  readonly agent: string;
  readonly session: string;
  readonly call: string;
  readonly approval: string;
  readonly answer: 'approve' | 'deny';
  readonly approver: string;
  readonly binds: string;
  readonly expiresAtMs: number;
}

export function statementOf(
  row: Pick<ApprovalRow, 'id' | 'agent' | 'session' | 'call' | 'binds' | 'expiresAtMs'>,
  answer: 'approve' | 'deny',
  approver: string,
): ApprovalStatement {
  const { agent, session, call, binds, expiresAtMs } = row;
  return { agent, session, call, approval: row.id, answer, approver, binds, expiresAtMs };
}

/** The bytes to sign. */
export function approvalStatement(statement: ApprovalStatement): Uint8Array {
  const { expiresAtMs, ...rest } = statement;
  return Buffer.from(`countersign/approval/v1\n${canonicalize({ ...rest, expires_at: expiresAtMs })}`);
}

/** @param vkey - the approver's verifier line. @param signature - base64, from outside. */
export function verifyStatement(statement: ApprovalStatement, vkey: string, signature: string): boolean {
  const bytes = Buffer.from(signature, 'base64');
  if (bytes.length !== 64 || bytes.toString('base64') !== signature) return false;
  return verifyEd25519(parseVerifierKey(vkey).publicKey, approvalStatement(statement), bytes);
}
