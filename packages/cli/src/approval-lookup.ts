/** Finding the approval a person means, and how it is shown to machines. */
import { CountersignError } from '@countersign/core';
import type { ApprovalView, LedgerReader } from '@countersign/core/sqlite';
import { UsageError } from './failure.ts';

export const MIN_PREFIX_CHARS = 6;
const ID_CHARS = 32;
/** As many rows as a reader gives. */
const MAX_SEARCHED = 10_000;
const PREFIX_SHAPE = /^[0-9a-f]{6,32}$/;

/**
 * The approval with this id, or the only one whose id starts so. A ledger with more approvals than are searched takes
 * whole ids only: among the rest there may be another that starts so, and whoever floods the ledger chooses which.
 *
 * @throws {UsageError}; {CountersignError} `APPROVAL_NOT_FOUND`
 */
export function findApproval(reader: LedgerReader, given: string): ApprovalView {
  if (!PREFIX_SHAPE.test(given)) {
    throw new UsageError(
      `an approval id is ${ID_CHARS} lower-case hex digits, or the first ${MIN_PREFIX_CHARS} or more of them`,
      'run `countersign approvals list` to see the ids',
    );
  }
  const exact = reader.approval(given);
  if (exact !== undefined) return exact;
  const searched = reader.approvals({ limit: MAX_SEARCHED });
  if (searched.length >= MAX_SEARCHED) {
    throw new UsageError(
      `this ledger holds ${MAX_SEARCHED} approvals or more: the first digits of an id could mean more than one`,
      `give all ${ID_CHARS} digits of the id; \`countersign approvals list --json\` shows them`,
    );
  }
  const [found, another] = searched.filter(({ id }) => id.startsWith(given));
  if (another !== undefined) throw new UsageError(`more than one approval has an id that starts with ${given}`, 'give more digits of it');
  if (found === undefined) throw new CountersignError('APPROVAL_NOT_FOUND', `no approval has the id ${given}`);
  return found;
}

/** `server/name`, or the name alone. Not escaped. */
export function toolName({ tool }: Pick<ApprovalView, 'tool'>): string {
  return tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
}

/** Pinned: the shape of an approval in every `--json` output. */
export function approvalJson(row: ApprovalView): Record<string, unknown> {
  return {
    id: row.id,
    state: row.state,
    agent: row.agent,
    session: row.session,
    principal: row.principal ?? null,
    call: row.call,
    tool: { server: row.tool.server ?? null, name: row.tool.name },
    rule: row.rule ?? null,
    reason_code: row.reasonCode,
    reason: row.reason ?? null,
    args: row.shown ?? null,
    binds: row.binds,
    policy_hash: row.policyHash,
    entry: row.ask,
    created_at: row.createdAtMs,
    expires_at: row.expiresAtMs,
    quorum: row.quorum,
    approvers: row.approvers ?? null,
    assurance: row.assurance ?? null,
    answers: row.answers.map(({ approver, answer, edited, of, leaf }) => ({ approver, answer, edited: edited === true, of, leaf })),
    edit: row.edit ?? null,
    edited: row.edited === undefined ? null : { call: row.edited.call, from: row.edited.from ?? null },
    message: row.message ?? null,
    mismatches: row.mismatches,
  };
}
