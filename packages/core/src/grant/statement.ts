/**
 * What an approver signs who gives a grant, or takes one back.
 *
 *     countersign/grant/v1
 *     {"agent":...,"approval":...,"approver":...,"event":"granted","expires_at":...,"grant":...,"policy":...,"reason_commit":...,"tool":{...},"uses":3}
 *
 *     countersign/grant/v1
 *     {"agent":...,"approver":...,"event":"revoked","grant":...}
 *
 * A fixed first line, then RFC 8785 JSON; UTF-8; Ed25519. It says in clear what the grant is good for, because whoever
 * holds the ledger's key could otherwise write a grant for another tool under the signature of this one. `principal`,
 * `rule`, `session` and `when_commit` are there when the entry has them.
 */
import { canonicalize } from '../ledger/canonical.ts';
import type { GrantedBody } from '../ledger/entry.ts';

/** What of a grant is signed: everything its entry says but who says it. */
export type GrantStatement = Omit<GrantedBody, 'kind' | 'event' | 'approver' | 'approval' | 'policy' | 'signature'> & {
  /** Id of the approval it is given with. */
  readonly approval: string;
  readonly approver: string;
  /** Hash of the policy. */
  readonly policy: string;
};

export function grantStatementOf({ approver, approval, policy, ...body }: GrantedBody): GrantStatement {
  const { kind: _kind, event: _event, signature: _signature, ...said } = body;
  return { ...said, approver: approver.id, approval: approval.id, policy: policy.hash };
}

/** The bytes to sign to give a grant. */
export function grantStatement(statement: GrantStatement): Uint8Array {
  const { agent, session, principal, tool, rule, policy, grant, uses, expires_at, approval, approver, reason_commit, when_commit } =
    statement;
  const { server, name, schema } = tool;
  return bytesOf({
    agent,
    approval,
    approver,
    event: 'granted',
    expires_at,
    grant,
    policy,
    principal,
    reason_commit,
    rule,
    session,
    tool: { name, schema, server },
    uses,
    when_commit,
  });
}

/** The bytes to sign to take a grant back. */
export function revocationStatement(revoked: { readonly agent: string; readonly approver: string; readonly grant: string }): Uint8Array {
  const { agent, approver, grant } = revoked;
  return bytesOf({ agent, approver, event: 'revoked', grant });
}

/** Members that are undefined are left out. */
function bytesOf(members: Readonly<Record<string, unknown>>): Uint8Array {
  return Buffer.from(`countersign/grant/v1\n${canonicalize(members)}`);
}
