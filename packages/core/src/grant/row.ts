/** A grant as callers see it: from its entry, what the entries since tell of it, and the clear text beside it. */
import type { EntryRef } from '../call.ts';
import { checkOpening } from '../ledger/commitment.ts';
import type { Entry, Opening } from '../ledger/entry.ts';
import type { GrantRow, GrantState } from '../store-rows.ts';
import type { GrantRecord } from '../transaction/tx.ts';
import { type GrantHistory, type GrantPlaces, placesOf } from './history.ts';

export interface GrantParts {
  /** The entry, if it is proven to be in the tree. */
  entry(ref: EntryRef): Entry | undefined;
  opening(of: number): Opening | undefined;
  /** Absent: what is left of it is told from the row. */
  readonly history?: (places: GrantPlaces) => GrantHistory;
}

/** Undefined when the row names no grant that is in the tree. */
export function grantRow(record: GrantRecord, parts: GrantParts, nowMs: number): GrantRow | undefined {
  const entry = parts.entry(record.entry);
  if (entry?.kind !== 'grant' || entry.event !== 'granted' || entry.grant !== record.id) return undefined;
  const { agent, session, principal, tool, rule, policy, uses, expires_at, approver, approval, signature, when_commit } = entry;
  const told = historyOf(record, entry, parts);
  const clear = clearText(entry, parts.opening(record.entry.of));
  const usesLeft = Math.max(0, told === undefined ? Math.min(record.usesLeft, uses) : uses - told.uses);
  return {
    id: record.id,
    entry: { of: record.entry.of, leaf: record.entry.leaf },
    state: stateOf(told, {
      usesLeft,
      isOver: nowMs >= expires_at,
      isLegible: clear !== undefined,
      isRevoked: record.revoked !== undefined,
    }),
    agent,
    ...(session !== undefined && { session }),
    ...(principal !== undefined && { principal }),
    tool,
    ...(rule !== undefined && { rule }),
    policyHash: policy.hash,
    uses,
    usesLeft,
    givenAtMs: entry.at,
    expiresAtMs: expires_at,
    approver,
    approval: approval.id,
    answer: approval.answer,
    ...(signature !== undefined && { signature }),
    ...clear,
    isConditional: when_commit !== undefined,
  };
}

function historyOf(record: GrantRecord, entry: Extract<Entry, { readonly event: 'granted' }>, parts: GrantParts): GrantHistory | undefined {
  if (parts.history === undefined) return undefined;
  const answer = parts.entry(entry.approval.answer);
  if (answer?.kind !== 'approval') return { uses: 0, isRevoked: false, isForgotten: false, isDoubtful: true };
  return parts.history(placesOf(record.entry, entry, answer.ask));
}

interface Seen {
  readonly usesLeft: number;
  readonly isOver: boolean;
  readonly isLegible: boolean;
  readonly isRevoked: boolean;
}

function stateOf(told: GrantHistory | undefined, { usesLeft, isOver, isLegible, isRevoked }: Seen): GrantState {
  if (told?.isDoubtful === true) return 'altered';
  if (told?.isRevoked ?? isRevoked) return 'revoked';
  if (usesLeft === 0) return 'used';
  if (isOver) return 'expired';
  return told?.isForgotten === true || !isLegible ? 'forgotten' : 'open';
}

/** Undefined unless all of it is there and is what the entry commits to: on what condition it was given must be known. */
function clearText(
  entry: Extract<Entry, { readonly event: 'granted' }>,
  opening: Opening | undefined,
): { readonly reason: string; readonly when?: string } | undefined {
  if (opening === undefined) return undefined;
  const { reason, when } = opening.sections;
  const commits = { reason: entry.reason_commit, ...(entry.when_commit !== undefined && { when: entry.when_commit }) };
  if (checkOpening(commits, opening).length > 0 || typeof reason !== 'string') return undefined;
  if (entry.when_commit === undefined) return { reason };
  return typeof when === 'string' ? { reason, when } : undefined;
}
