/**
 * Giving, using and taking back grants inside the transaction. Rows say where to look; what was granted, how often it was
 * used and whether it was taken back is read from entries proven to be in the tree.
 */

import type { EntryRef } from '../call.ts';
import { type GrantPlaces, placesOf } from '../grant/history.ts';
import { MAX_GRANT_USES } from '../grant/terms.ts';
import { commitSection, newOpeningKey } from '../ledger/commitment.ts';
import type { Entry, GrantedBody, RevokedBody } from '../ledger/entry.ts';
import type { AnswerUnit, Committed, DecideUnit, GrantObjection, RevokeUnit } from '../store-units.ts';
import type { GrantRecord, Tx } from './tx.ts';

type Granted = Extract<Entry, { readonly kind: 'grant'; readonly event: 'granted' }>;
type Ask = Extract<Entry, { readonly kind: 'decision' }>;

interface Proven {
  readonly granted: Granted;
  readonly ask: Ask;
  readonly places: GrantPlaces;
}

export interface GrantUse {
  /** The how many-th use it is. */
  readonly use: number;
  readonly left: number;
}

/** Which use of the grant this would be, or why it is not good for this call. */
export function useOfGrant(unit: DecideUnit, grant: NonNullable<DecideUnit['grant']>, tx: Tx): GrantUse | GrantObjection {
  const proven = provenGrant(grant.id, grant.entry, tx);
  if (proven === undefined) return 'altered';
  const { granted, places } = proven;
  if (!isFor(granted, unit)) return 'mismatch';
  if (tx.atMs >= granted.expires_at) return 'expired';
  const told = tx.grantHistory(places);
  if (told.isDoubtful) return 'altered';
  if (told.isForgotten) return 'forgotten';
  if (told.isRevoked) return 'revoked';
  const use = told.uses + 1;
  return use <= granted.uses ? { use, left: granted.uses - use } : 'used';
}

/** A grant overrides an ask; in confirm mode the default deny becomes one. */
function isFor(granted: Granted, { body }: DecideUnit): boolean {
  const isAsked = body.would === 'require_approval' || (body.would === 'deny' && body.mode === 'confirm');
  return (
    isAsked &&
    body.effect === 'allow' &&
    body.agent === granted.agent &&
    (granted.session === undefined || body.session === granted.session) &&
    body.principal === granted.principal &&
    body.rule === granted.rule &&
    body.policy.hash === granted.policy.hash &&
    isSameTool(body.tool, granted.tool)
  );
}

/** Keeps the row, a hint for people and for whoever looks for a grant, as near the truth as the transaction knows it. */
export function noteGrant(id: string, objection: GrantObjection, tx: Tx): void {
  const row = tx.grant(id);
  if (row === undefined || objection === 'mismatch' || objection === 'expired') return;
  tx.putGrant({ ...row, usesLeft: 0 });
}

export function noteUse(id: string, usesLeft: number, tx: Tx): void {
  const row = tx.grant(id);
  if (row !== undefined) tx.putGrant({ ...row, usesLeft });
}

/** Why nothing may be granted with this answer. */
export function objectionToGiving(unit: AnswerUnit, askRef: EntryRef, tx: Tx): boolean {
  const { grant, approver } = unit;
  if (grant === undefined) return false;
  const ask = tx.entry(askRef);
  const isGivable =
    unit.answer === 'approve' &&
    ask?.kind === 'decision' &&
    (ask.approval?.quorum ?? 1) === 1 &&
    approver.assurance !== 'low' &&
    Number.isSafeInteger(grant.uses) &&
    grant.uses >= 1 &&
    grant.uses <= MAX_GRANT_USES &&
    grant.expiresAtMs > tx.atMs &&
    tx.grant(grant.id) === undefined;
  if (!isGivable) return true;
  // The row says that nobody answered. Were it edited, an answer could be given again, and the same grant with it.
  return tx.entriesAbout(askRef.of, unit.approval).some((entry) => entry.kind === 'approval' && entry.approval === unit.approval);
}

/** Right after the answer, in the same transaction. */
export function giveGrant(unit: AnswerUnit, askRef: EntryRef, answer: EntryRef, tx: Tx): EntryRef | undefined {
  const { grant, approver } = unit;
  const ask = tx.entry(askRef);
  if (grant === undefined || ask?.kind !== 'decision') return undefined;
  const { id, openingKey, scope, uses, expiresAtMs, reason, when, signature } = grant;
  const body: GrantedBody = {
    kind: 'grant',
    event: 'granted',
    grant: id,
    agent: ask.agent,
    ...(scope === 'session' && { session: ask.session }),
    ...(ask.principal !== undefined && { principal: ask.principal }),
    tool: ask.tool,
    ...(ask.rule !== undefined && { rule: ask.rule }),
    policy: ask.policy,
    uses,
    expires_at: expiresAtMs,
    approver,
    approval: { id: unit.approval, answer },
    reason_commit: commitSection(openingKey, 'reason', reason),
    ...(when !== undefined && { when_commit: commitSection(openingKey, 'when', when) }),
    ...(signature !== undefined && { signature }),
  };
  const entry = tx.append(body, { key: openingKey, sections: { reason, ...(when !== undefined && { when }) } });
  tx.putGrant({ id, entry, expiresAtMs, usesLeft: uses });
  return entry;
}

export function revoke(unit: RevokeUnit, tx: Tx): Committed {
  const row = tx.grant(unit.grant);
  if (row === undefined) return { kind: 'not-revocable', why: 'not-found' };
  const proven = provenGrant(row.id, row.entry, tx);
  if (proven === undefined) return { kind: 'not-revocable', why: 'altered' };
  const { granted, ask, places } = proven;
  if (ask.approval?.approvers?.includes(unit.approver.id) === false) return { kind: 'not-revocable', why: 'approver' };
  const told = tx.grantHistory(places);
  if (told.isRevoked || told.uses >= granted.uses || tx.atMs >= granted.expires_at) return { kind: 'revoked', atMs: tx.atMs };

  const opening = unit.message === undefined ? undefined : { key: newOpeningKey(), sections: { message: unit.message } };
  const body: RevokedBody = {
    kind: 'grant',
    event: 'revoked',
    grant: granted.grant,
    agent: granted.agent,
    ...(granted.session !== undefined && { session: granted.session }),
    entry: row.entry,
    approver: unit.approver,
    ...(opening && { message_commit: commitSection(opening.key, 'message', opening.sections.message) }),
    ...(unit.signature !== undefined && { signature: unit.signature }),
  };
  const entry = tx.append(body, opening);
  tx.putGrant({ ...row, revoked: entry.of });
  return { kind: 'revoked', atMs: tx.atMs, entry };
}

/** The grant that stands there, with the ask it was given for: in the tree, each directly naming the other. */
function provenGrant(id: string, ref: GrantRecord['entry'], tx: Tx): Proven | undefined {
  const granted = tx.lasting(ref);
  if (granted?.kind !== 'grant' || granted.event !== 'granted' || granted.grant !== id) return undefined;
  const { id: approval, answer: answerRef } = granted.approval;
  const answer = tx.lasting(answerRef);
  if (answerRef.of !== ref.of - 1 || answer?.kind !== 'approval' || answer.answer !== 'approve' || answer.approval !== approval)
    return undefined;
  const ask = tx.lasting(answer.ask);
  if (ask?.kind !== 'decision' || ask.effect !== 'require_approval' || ask.approval?.id !== approval) return undefined;
  return isGivenFor(granted, ask) ? { granted, ask, places: placesOf(ref, granted, answer.ask) } : undefined;
}

function isGivenFor(granted: Granted, ask: Ask): boolean {
  const { quorum = 1, approvers } = ask.approval ?? {};
  return (
    quorum === 1 &&
    approvers?.includes(granted.approver.id) !== false &&
    granted.approver.assurance !== 'low' &&
    granted.uses <= MAX_GRANT_USES &&
    granted.agent === ask.agent &&
    (granted.session === undefined || granted.session === ask.session) &&
    granted.principal === ask.principal &&
    granted.rule === ask.rule &&
    granted.policy.hash === ask.policy.hash &&
    isSameTool(granted.tool, ask.tool)
  );
}

/** The schema counts, also where one has none: what was granted is the tool as it was then. */
function isSameTool(one: Granted['tool'], other: Granted['tool']): boolean {
  return one.server === other.server && one.name === other.name && one.schema === other.schema;
}
