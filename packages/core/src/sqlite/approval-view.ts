/** An approval as people see it, and what of it does not agree with the ledger entry that opened it. */
import { approvalRow } from '../approval/row.ts';
import { parseEntry } from '../ledger/body.ts';
import { checkOpening } from '../ledger/commitment.ts';
import type { Opening } from '../ledger/entry.ts';
import { leafHash } from '../ledger/merkle.ts';
import type { ApprovalRow } from '../store.ts';
import type { ApprovalRecord } from '../transaction/tx.ts';

export interface ApprovalView extends ApprovalRow {
  /**
   * What the row or the opening says differently from the entry: `tool`, `args` ... Empty when all agrees. Rows and
   * openings can be edited by whoever can write the file; nobody should approve on the strength of such a row.
   */
  readonly mismatches: readonly string[];
}

/** What stands at the positions a row names. */
export interface ApprovalParts {
  /** Text of the entry at `row.ask.of`. */
  readonly ask: string | undefined;
  readonly opening: Opening | undefined;
  /** Beside the newest answer. */
  readonly answer: Opening | undefined;
}

export function approvalView(row: ApprovalRecord, parts: ApprovalParts, nowMs: number): ApprovalView {
  return { ...approvalRow(row, { ask: parts.opening, answer: parts.answer }, nowMs), mismatches: mismatchesOf(row, parts) };
}

function mismatchesOf(row: ApprovalRecord, { ask, opening }: ApprovalParts): readonly string[] {
  if (ask === undefined || leafHash(ask) !== row.ask.leaf) return ['entry'];
  let entry: ReturnType<typeof parseEntry>;
  try {
    entry = parseEntry(ask);
  } catch {
    return ['entry'];
  }
  if (entry.kind !== 'decision' || entry.effect !== 'require_approval' || entry.approval?.id !== row.id) return ['entry'];
  const claims: readonly (readonly [string, unknown, unknown])[] = [
    ['call', row.call, entry.call],
    ['agent', row.agent, entry.agent],
    ['session', row.session, entry.session],
    ['principal', row.principal, entry.principal],
    ['tool', toolText(row.tool), toolText(entry.tool)],
    ['rule', row.rule, entry.rule],
    ['binds', row.binds, entry.binds],
    ['policy', row.policyHash, entry.policy.hash],
    ['expiry', row.expiresAtMs, entry.approval.expires_at],
    ['quorum', row.quorum, entry.approval.quorum],
    ['approvers', listText(row.approvers), listText(entry.approval.approvers)],
  ];
  const differing = claims.filter(([, said, recorded]) => said !== recorded).map(([name]) => name);
  const commits = {
    ...(entry.args_commit !== undefined && { args: entry.args_commit }),
    ...(entry.reason_commit !== undefined && { reason: entry.reason_commit }),
  };
  return [...differing, ...(opening === undefined ? [] : checkOpening(commits, opening))];
}

function toolText(tool: { readonly server?: string; readonly name: string }): string {
  return JSON.stringify([tool.server ?? null, tool.name]);
}

function listText(names: readonly string[] | undefined): string {
  return JSON.stringify(names ?? null);
}
