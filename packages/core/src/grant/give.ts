/** From the terms a person gives to what is recorded; everything wrong with them is said here. */

import { isSignedBy } from '../approval/statement.ts';
import { MAX_REASON_CHARS } from '../call.ts';
import type { Engine } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import type { Approver } from '../interfaces.ts';
import { newId, parseEntry } from '../ledger/body.ts';
import { commitSection, newOpeningKey } from '../ledger/commitment.ts';
import type { Entry } from '../ledger/entry.ts';
import { compileCondition } from '../policy/conditions.ts';
import type { ApprovalRow } from '../store-rows.ts';
import type { GrantOffer } from '../store-units.ts';
import { type GrantStatement, grantStatement } from './statement.ts';
import { type GrantTerms, MAX_GRANT_USES } from './terms.ts';

type GrantEngine = Pick<Engine, 'store' | 'redactor' | 'keys' | 'maxGrantTtlMs'>;

const ID_SHAPE = /^[0-9a-f]{32}$/;
const KEY_SHAPE = /^[0-9a-f]{64}$/;

/** What an approver signs who gives a grant by key, and the offer to hand to `resolve` with the signature in it. */
export interface GrantDraft {
  readonly offer: GrantOffer;
  /** The bytes to sign. */
  statement(approver: string): Uint8Array;
}

/** @throws {CountersignError} `GRANT_REFUSED`, `CONDITION_INVALID`, `APPROVAL_NOT_FOUND` */
export async function draftGrant(row: ApprovalRow, terms: GrantTerms, engine: GrantEngine): Promise<GrantDraft> {
  const offer = readOffer(terms, engine);
  const ask = await askOf(row, engine);
  return { offer, statement: (approver) => grantStatement(statementOf(offer, ask, row.id, approver)) };
}

/**
 * What is granted, checked, and signed where the approver answers by key.
 *
 * @param given - terms or, by key, the offer of `draftGrant` with its signature.
 * @throws {CountersignError} `GRANT_REFUSED`, `APPROVER_REFUSED`, `CONDITION_INVALID`, `APPROVAL_NOT_FOUND`
 */
export async function offerOf(
  given: GrantTerms | GrantOffer,
  row: ApprovalRow,
  approver: Approver,
  engine: GrantEngine,
): Promise<GrantOffer> {
  if (typeof given !== 'object' || given === null) throw refused('the terms of a grant are an object: { ttlMs, uses, reason }');
  if (row.quorum !== 1) throw refused(`${row.quorum} people must approve this call: one of them alone cannot grant it for later`);
  const { signature, ...offer } = readOffer(given, engine);
  if (approver.method !== 'key') return offer;
  if (!('openingKey' in given)) throw refused('whoever answers by key signs the grant too: draftGrant gives what is to be signed');
  const vkey = engine.keys.get(approver.id);
  const statement = grantStatement(statementOf(offer, await askOf(row, engine), row.id, approver.id));
  if (vkey === undefined || signature === undefined || !isSignedBy(vkey, statement, signature))
    throw new CountersignError('APPROVER_REFUSED', `the signature of ${approver.id} does not verify for this grant`);
  return { ...offer, signature };
}

/** Everything is read once; whoever answers may be another program. */
function readOffer(given: GrantTerms | GrantOffer, engine: GrantEngine): GrantOffer {
  const { uses, reason, scope = 'session', when } = given;
  const nowMs = engine.store.nowMs();
  if (!Number.isSafeInteger(uses) || uses < 1 || uses > MAX_GRANT_USES)
    throw refused(`uses must be a whole number from 1 to ${MAX_GRANT_USES}`);
  if (scope !== 'session' && scope !== 'agent') throw refused('scope must be `session` or `agent`');
  const draft = 'openingKey' in given ? given : undefined;
  const expiresAtMs = draft === undefined ? nowMs + (given as GrantTerms).ttlMs : draft.expiresAtMs;
  if (!Number.isSafeInteger(expiresAtMs) || expiresAtMs <= nowMs) throw refused('a grant lasts a whole number of milliseconds above 0');
  if (expiresAtMs - nowMs > engine.maxGrantTtlMs)
    throw refused(`a grant lasts ${engine.maxGrantTtlMs} ms at most; \`approvals.max_grant_ttl\` in the configuration sets how long`);
  if (draft !== undefined && (!isShaped(draft.id, ID_SHAPE) || !isShaped(draft.openingKey, KEY_SHAPE)))
    throw refused('the id is 32 hex digits and the openingKey 64: use what draftGrant gives');
  return {
    id: draft?.id ?? newId(),
    openingKey: draft?.openingKey ?? newOpeningKey(),
    scope,
    uses,
    expiresAtMs,
    reason: reasonOf(reason, draft !== undefined, engine),
    ...(when !== undefined && { when: conditionOf(when, engine) }),
    ...(typeof draft?.signature === 'string' && { signature: draft.signature }),
  };
}

function isShaped(value: unknown, shape: RegExp): boolean {
  return typeof value === 'string' && shape.test(value);
}

function reasonOf(reason: unknown, isSigned: boolean, engine: GrantEngine): string {
  if (typeof reason !== 'string' || reason.trim() === '') throw refused('a grant needs a reason');
  if (reason.length > MAX_REASON_CHARS) throw refused(`the reason has ${reason.length} characters, ${MAX_REASON_CHARS} are the most`);
  const clean = engine.redactor.text(reason.toWellFormed()).slice(0, MAX_REASON_CHARS).toWellFormed();
  // What was signed is not changed afterwards.
  if (isSigned && clean !== reason) throw refused('the reason holds something that looks like a secret: write it without');
  return clean;
}

function conditionOf(when: unknown, engine: GrantEngine): string {
  if (typeof when !== 'string') throw refused('when is a condition in CEL');
  compileCondition(when, 'grant when');
  if (engine.redactor.text(when) !== when) throw refused('the condition holds something that looks like a secret: write it without');
  return when;
}

async function askOf(row: ApprovalRow, engine: GrantEngine): Promise<Extract<Entry, { readonly kind: 'decision' }>> {
  const text = await engine.store.entry(row.ask);
  const ask = text === undefined ? undefined : parseEntry(text);
  if (ask?.kind !== 'decision' || ask.approval?.id !== row.id)
    throw new CountersignError('APPROVAL_NOT_FOUND', `approval ${row.id} has a row, but the ledger has no such ask: the row was altered`);
  return ask;
}

function statementOf(
  offer: GrantOffer,
  ask: Extract<Entry, { readonly kind: 'decision' }>,
  approval: string,
  approver: string,
): GrantStatement {
  const { id, openingKey, scope, uses, expiresAtMs, reason, when } = offer;
  const { agent, session, principal, tool, rule, policy } = ask;
  return {
    grant: id,
    agent,
    ...(scope === 'session' && { session }),
    ...(principal !== undefined && { principal }),
    tool,
    ...(rule !== undefined && { rule }),
    policy: policy.hash,
    uses,
    expires_at: expiresAtMs,
    approval,
    approver,
    reason_commit: commitSection(openingKey, 'reason', reason),
    ...(when !== undefined && { when_commit: commitSection(openingKey, 'when', when) }),
  };
}

function refused(what: string): CountersignError {
  return new CountersignError('GRANT_REFUSED', what);
}
