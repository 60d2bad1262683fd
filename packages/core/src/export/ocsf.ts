/**
 * Decisions, answers and outcomes as OCSF events: class API Activity (6003) of OCSF 1.7.0 with the profile
 * `security_control`, one JSON object per line. What OCSF has no place for stands in `unmapped.countersign`.
 *
 *     effect            action_id   disposition_id        status_id       severity_id
 *     allow             1 Allowed   1 Allowed, 8 Approved 1 Success       1 Informational
 *     deny              2 Denied    2 Blocked             2 Failure       3 Medium
 *     require_approval  0 Unknown   99 Approval required  99 Pending      2 Low
 *     outcome           1 Allowed   1 Allowed             1, 2, 99        1, 2 on error
 */
import { escapeJson } from '../approval/terminal-text.ts';
import type { Json } from '../call.ts';
import { type RecordFacts, withoutAbsent } from '../container/record-facts.ts';
import type { DecisionFacts } from './decisions.ts';

export const OCSF_VERSION = '1.7.0';
const CATEGORY = { category_uid: 6, category_name: 'Application Activity' } as const;
const CLASS = { class_uid: 6003, class_name: 'API Activity' } as const;
/** Neither created, read, updated nor deleted: what a tool does is not ours to say. */
const ACTIVITY_OTHER = 99;
const TYPE_UID: number = CLASS.class_uid * 100 + ACTIVITY_OTHER;
/** A person agreed: to this call, or to calls like it before. */
const APPROVED: ReadonlySet<string | undefined> = new Set(['APPROVAL_GRANTED', 'GRANT_USED']);
const NOT_KNOWN = 'unknown';

interface Verdict {
  readonly activity_name: string;
  readonly action_id: number;
  readonly action: string;
  readonly disposition_id: number;
  readonly disposition: string;
  readonly status_id: number;
  readonly status: string;
  readonly severity_id: number;
  readonly severity: string;
}

const ALLOWED = { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' } as const;
const APPROVED_BY = { action_id: 1, action: 'Allowed', disposition_id: 8, disposition: 'Approved' } as const;
const DENIED = { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' } as const;
const WAITING = { action_id: 0, action: 'Unknown', disposition_id: 99, disposition: 'Approval required' } as const;
const SUCCESS = { status_id: 1, status: 'Success' } as const;
const FAILURE = { status_id: 2, status: 'Failure' } as const;
const INFORMATIONAL = { severity_id: 1, severity: 'Informational' } as const;
const LOW = { severity_id: 2, severity: 'Low' } as const;
const MEDIUM = { severity_id: 3, severity: 'Medium' } as const;

/** One event with its newline; empty for a record that is no decision, answer or outcome. */
export function ocsfLine(
  facts: RecordFacts,
  decision: DecisionFacts | undefined,
  origin: string | undefined,
  withClearText: boolean,
): string {
  const verdict = verdictOf(facts);
  return verdict === undefined ? '' : `${escapeJson(JSON.stringify(eventOf(facts, decision, verdict, origin, withClearText)))}\n`;
}

function eventOf(
  facts: RecordFacts,
  decision: DecisionFacts | undefined,
  verdict: Verdict,
  origin: string | undefined,
  withClearText: boolean,
): Readonly<Record<string, unknown>> {
  const { agent = NOT_KNOWN, session, call, atMs } = facts;
  const tool = facts.tool ?? decision?.tool;
  const principal = facts.principal ?? decision?.principal;
  const reasonCode = facts.reasonCode ?? decision?.reasonCode;
  const { activity_name, ...ids } = verdict;
  return withoutAbsent({
    activity_id: ACTIVITY_OTHER,
    activity_name,
    ...CATEGORY,
    ...CLASS,
    type_uid: TYPE_UID,
    type_name: 'API Activity: Other',
    // Required; a record without a time is no entry of ours, and `unmapped` says so.
    time: atMs ?? 0,
    ...ids,
    status_code: reasonCode,
    status_detail: withClearText ? textOf(facts, 'reason') : undefined,
    duration: facts.durationMs,
    message: `${verdict.disposition}: ${toolText(tool)}${reasonCode === undefined ? '' : ` (${reasonCode})`}`,
    actor: withoutAbsent({
      app_name: agent,
      session: session === undefined ? undefined : { uid: session },
      user: principal === undefined ? undefined : { name: principal, type_id: 0 },
    }),
    api: withoutAbsent({
      operation: tool?.name ?? NOT_KNOWN,
      service: tool?.server === undefined ? undefined : { name: tool.server },
      request: call === undefined ? undefined : { uid: call },
      response: facts.errorType === undefined ? undefined : { error: facts.errorType },
    }),
    // The agent is the source; where it ran on the network a ledger does not know.
    src_endpoint: { name: agent },
    policy: policyOf(facts.policy ?? decision?.policy),
    metadata: withoutAbsent({
      version: OCSF_VERSION,
      product: { name: 'Countersign', vendor_name: 'Countersign' },
      profiles: ['security_control'],
      uid: facts.leaf,
      log_name: origin,
      sequence: facts.index + 1,
      correlation_uid: call,
      original_time: facts.time,
    }),
    unmapped: { countersign: unmapped(facts, decision, withClearText) },
  });
}

function verdictOf({ kind, effect, reasonCode, answer, status }: RecordFacts): Verdict | undefined {
  switch (kind) {
    case 'decision':
      if (effect === 'allow')
        return { activity_name: 'Tool call decided', ...(APPROVED.has(reasonCode) ? APPROVED_BY : ALLOWED), ...SUCCESS, ...INFORMATIONAL };
      if (effect === 'require_approval') return { activity_name: 'Tool call asked', ...WAITING, status_id: 99, status: 'Pending', ...LOW };
      return { activity_name: 'Tool call decided', ...DENIED, ...FAILURE, ...MEDIUM };
    case 'approval':
      return answer === 'approve'
        ? { activity_name: 'Approval answered', ...APPROVED_BY, ...SUCCESS, ...INFORMATIONAL }
        : { activity_name: 'Approval answered', ...DENIED, ...FAILURE, ...LOW };
    case 'outcome':
      if (status === 'success') return { activity_name: 'Tool call ended', ...ALLOWED, ...SUCCESS, ...INFORMATIONAL };
      if (status === 'error') return { activity_name: 'Tool call ended', ...ALLOWED, ...FAILURE, ...LOW };
      return { activity_name: 'Tool call ended', ...ALLOWED, status_id: 99, status: 'Cancelled', ...INFORMATIONAL };
    default:
      return undefined;
  }
}

function policyOf(policy: RecordFacts['policy']): Readonly<Record<string, string>> | undefined {
  if (policy === undefined) return undefined;
  return withoutAbsent({ name: policy.id, version: policy.version, uid: policy.hash });
}

function unmapped(facts: RecordFacts, decision: DecisionFacts | undefined, withClearText: boolean): Readonly<Record<string, unknown>> {
  const { index, kind, mode, would, rule, approval, grant, approver, answer, released, atMs } = facts;
  const belongsTo = kind === 'decision' || decision === undefined ? facts.decision : decision.index;
  return withoutAbsent({
    entry: index + 1,
    kind,
    mode,
    would,
    rule: rule ?? decision?.rule,
    approval,
    grant,
    approver,
    answer,
    decision_entry: belongsTo === undefined ? undefined : belongsTo + 1,
    released:
      released === undefined
        ? undefined
        : withoutAbsent({ action: released.action, would: released.would, reason_code: released.reasonCode }),
    without_time: atMs === undefined ? true : undefined,
    ...(withClearText && {
      args: facts.shown.get('args'),
      message: facts.shown.get('message'),
      result: facts.shown.get('result'),
      error: facts.shown.get('error'),
    }),
  });
}

function textOf({ shown }: RecordFacts, section: string): string | undefined {
  const value: Json | undefined = shown.get(section);
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
}

function toolText(tool: RecordFacts['tool']): string {
  if (tool === undefined) return NOT_KNOWN;
  return tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
}
