/**
 * What the operational audit log says of a committed unit: one flat record per line, for grep and log shippers. It is
 * no evidence: nothing signs it, anybody who can write the file can change it, and it may lack lines. The ledger stands
 * beside it, and `entry` tells where.
 *
 * Clear text (arguments, reasons) is in a record only for a sink that asked for it, and then as the policy saw it.
 */
import type { EntryRef, Json } from '../call.ts';
import type { ReleasedResult } from '../ledger/entry.ts';
import type { AnswerUnit, Committed, DecideUnit, OutcomeUnit, RecordUnit, Unit } from '../store-units.ts';

export const AUDIT_VERSION = 1;
export const AUDIT_INCLUDES = ['args', 'reason'] as const;
export type AuditInclude = (typeof AUDIT_INCLUDES)[number];

interface Common {
  readonly v: typeof AUDIT_VERSION;
  /** ISO 8601, UTC, milliseconds. */
  readonly at: string;
  readonly pid: number;
}

interface OfCall extends Common {
  readonly agent: string;
  readonly session: string;
  /** Equal in the decision, approval and outcome lines of one call. */
  readonly call: string;
}

export type AuditRecord =
  | (OfCall & {
      readonly event: 'decision';
      readonly principal?: string;
      readonly tool: { readonly server?: string; readonly name: string };
      readonly attempt?: number;
      readonly mode: string;
      readonly effect: string;
      readonly would: string;
      readonly reason_code: string;
      readonly rule?: string;
      readonly policy: { readonly id: string; readonly version?: string; readonly hash: string };
      readonly approval?: string;
      readonly grant?: string;
      /** The call that a person edited into this one. */
      readonly edited?: string;
      readonly redacted?: readonly string[];
      readonly labels?: readonly string[];
      readonly entry: EntryRef;
      readonly args?: Json;
      readonly reason?: string;
      /** Clear text that was asked for and made the line too long. */
      readonly omitted?: readonly string[];
    })
  | (OfCall & {
      readonly event: 'outcome';
      readonly status: string;
      readonly error_type?: string;
      readonly duration_ms: number;
      /** What rules on results did; absent when none matched. */
      readonly released?: ReleasedResult;
      /** Labels the result gave its session. */
      readonly labels?: readonly string[];
      readonly decision: EntryRef;
      readonly entry: EntryRef;
    })
  | (OfCall & {
      readonly event: 'approval';
      readonly approval: string;
      readonly tool: { readonly server?: string; readonly name: string };
      readonly answer: string;
      /** The deny proposed other arguments. */
      readonly edited?: true;
      readonly approver: string;
      readonly method: string;
      readonly state: string;
      readonly entry: EntryRef;
    })
  /** Given together with an answer, or taken back. */
  | (Common & {
      readonly event: 'grant';
      readonly what: 'granted' | 'revoked';
      readonly grant: string;
      readonly agent?: string;
      readonly tool?: { readonly server?: string; readonly name: string };
      readonly uses?: number;
      readonly expires_at?: string;
      readonly approver: string;
      readonly method: string;
      readonly entry: EntryRef;
    })
  | (Common & {
      readonly event: 'session';
      readonly agent: string;
      readonly session: string;
      readonly what: string;
      readonly labels?: readonly string[];
      readonly coverage?: string;
      readonly reason_code?: string;
      /** Of `halted` and `resumed`: every session. */
      readonly scope?: 'ledger';
      readonly incident?: string;
      /** Who resumed it on their own, and how they were authenticated; or the approval that did. */
      readonly approver?: string;
      readonly method?: string;
      readonly approval?: string;
    })
  /** What a monitor made of something the watched processes did, and what was done about it. */
  | (Common & {
      readonly event: 'verdict';
      readonly agent: string;
      readonly session: string;
      readonly call?: string;
      readonly candidates?: readonly string[];
      readonly level: string;
      readonly enforced: string;
      readonly mode: string;
      readonly rule: string;
      readonly evaluator: string;
      readonly incident?: string;
      readonly entry: EntryRef;
    })
  | (Common & {
      readonly event: 'containment';
      readonly agent: string;
      readonly session: string;
      readonly what: string;
      readonly incident: string;
      readonly grade?: string;
      readonly count?: number;
      readonly left?: number;
      readonly approval?: string;
      readonly reason_code?: string;
      readonly entry: EntryRef;
    })
  /** Lines that could not be written since the line before. */
  | (Common & { readonly event: 'dropped'; readonly count: number });

/** @returns in the order they happened; empty for what the log does not tell: policies, notes, and whatever wrote nothing. */
export function auditRecords(unit: Unit, committed: Committed, atMs: number, include: readonly AuditInclude[]): readonly AuditRecord[] {
  const at = new Date(
    committed.kind === 'decided' || committed.kind === 'answered' || committed.kind === 'revoked' ? committed.atMs : atMs,
  ).toISOString();
  const common: Common = { v: AUDIT_VERSION, at, pid: process.pid };
  if (unit.kind === 'decide' && committed.kind === 'decided') return decisionRecords(unit, committed, common, include);
  if (unit.kind === 'outcome' && committed.kind === 'settled') return [outcomeRecord(unit, committed.entry, common)];
  if (unit.kind === 'answer' && committed.kind === 'answered') {
    const { approval: row, entry } = committed;
    const { id: approval, agent, session, call, tool, state } = row;
    const { answer, approver, edit } = unit;
    const who = { answer, ...(edit !== undefined && { edited: true as const }), approver: approver.id, method: approver.method, state };
    const answered: AuditRecord = { ...common, event: 'approval', agent, session, call, approval, tool, ...who, entry };
    return [answered, ...grantRecords(unit, committed, common)];
  }
  if (unit.kind === 'revoke' && committed.kind === 'revoked' && committed.entry !== undefined) {
    const { grant, approver } = unit;
    const { entry } = committed;
    return [{ ...common, event: 'grant', what: 'revoked', grant, approver: approver.id, method: approver.method, entry }];
  }
  if (unit.kind === 'record' && committed.kind === 'recorded') return bodyRecords(unit.body, committed.entry, common);
  if (unit.kind === 'resume' && committed.kind === 'resumed') {
    const { agent, session, approver } = unit;
    const { halt } = committed;
    const scope = session === undefined ? ({ scope: 'ledger' } as const) : {};
    const who = { approver: approver.id, method: approver.method };
    return [{ ...common, event: 'session', what: 'resumed', agent, session: session ?? halt.by, ...scope, ...who }];
  }
  return [];
}

function bodyRecords(body: RecordUnit['body'], entry: EntryRef | undefined, common: Common): readonly AuditRecord[] {
  if (body.kind === 'session') {
    const { kind, event: what, approval, halt: _halt, before: _before, approver: _approver, ...said } = body;
    return [{ ...common, event: kind, what, ...said, ...(approval !== undefined && { approval: approval.id }) }];
  }
  if (entry === undefined) return [];
  if (body.kind === 'verdict') {
    const { kind: event, activity_commit: _commit, confidence: _confidence, phase: _phase, ...said } = body;
    return [{ ...common, event, ...said, entry }];
  }
  if (body.kind === 'containment') {
    const { kind, event: what, details_commit: _commit, verdict: _verdict, duration_ms: _took, approval, ...said } = body;
    return [{ ...common, event: kind, what, ...said, ...(approval !== undefined && { approval: approval.id }), entry }];
  }
  return [];
}

function grantRecords(unit: AnswerUnit, committed: Committed & { readonly kind: 'answered' }, common: Common): readonly AuditRecord[] {
  if (unit.grant === undefined || committed.grant === undefined) return [];
  const { id, uses, expiresAtMs } = unit.grant;
  const { agent, tool } = committed.approval;
  const { id: approver, method } = unit.approver;
  const expires_at = new Date(expiresAtMs).toISOString();
  return [
    { ...common, event: 'grant', what: 'granted', grant: id, agent, tool, uses, expires_at, approver, method, entry: committed.grant },
  ];
}

export function droppedRecord(count: number, atMs: number): AuditRecord {
  return { v: AUDIT_VERSION, at: new Date(atMs).toISOString(), pid: process.pid, event: 'dropped', count };
}

function decisionRecords(
  unit: DecideUnit,
  committed: Committed & { readonly kind: 'decided' },
  common: Common,
  include: readonly AuditInclude[],
): readonly AuditRecord[] {
  const {
    agent,
    session,
    call,
    principal,
    tool,
    attempt,
    mode,
    effect,
    would,
    reason_code,
    rule,
    policy,
    approval,
    grant,
    edited,
    redacted,
    labels,
  } = committed.body;
  const shown = committed.isForgotten === true ? {} : { ...unit.opening?.sections };
  const { args } = shown;
  // The transaction may have refused for a reason of its own.
  const reason =
    committed.isForgotten === true ? undefined : (committed.reason ?? (effect === unit.body.effect ? shown['reason'] : undefined));
  const decision: AuditRecord = {
    ...common,
    event: 'decision',
    agent,
    session,
    call,
    ...(principal !== undefined && { principal }),
    tool: { ...(tool.server !== undefined && { server: tool.server }), name: tool.name },
    ...(attempt !== undefined && { attempt }),
    mode,
    effect,
    would,
    reason_code,
    ...(rule !== undefined && { rule }),
    policy,
    ...(approval !== undefined && { approval: approval.id }),
    ...(grant !== undefined && { grant: grant.id }),
    ...(edited !== undefined && { edited: edited.call }),
    ...(redacted !== undefined && { redacted }),
    ...(labels !== undefined && { labels }),
    entry: committed.entry,
    ...(include.includes('args') && args !== undefined && { args }),
    ...(include.includes('reason') && typeof reason === 'string' && { reason }),
  };
  if (committed.startedSession !== true) return [decision];
  const coverage = unit.coverage === undefined ? {} : { coverage: unit.coverage };
  return [{ ...common, event: 'session', agent, session, what: 'start', ...coverage }, decision];
}

function outcomeRecord({ body }: OutcomeUnit, entry: EntryRef, common: Common): AuditRecord {
  const { agent, session, call, status, error_type, duration_ms, released, labels, decision } = body;
  const failed = error_type === undefined ? {} : { error_type };
  const result = { ...(released !== undefined && { released }), ...(labels !== undefined && { labels }) };
  return { ...common, event: 'outcome', agent, session, call, status, ...failed, duration_ms, ...result, decision, entry };
}
