/**
 * What a span says of a call: `gen_ai.*` as in the OpenTelemetry conventions for generative AI (`execute_tool` spans, in
 * development there), `countersign.*` for what was decided. No reason, no error text and no result, and arguments only when
 * they were asked for: those are content, and a trace is kept where nobody can `forget`.
 *
 * @see https://github.com/open-telemetry/semantic-conventions-genai
 */
import type { Attributes } from '@opentelemetry/api';
import type { Json, ReasonCode } from '../call.ts';
import type { CallEvent, CallFacts } from '../call-events.ts';

/** Longest text of an attribute; what is longer is cut. */
export const MAX_ATTRIBUTE_CHARS = 256;
/** Longest JSON of shown arguments; what is longer is left out. */
export const MAX_ARGUMENTS_CHARS = 8192;

type Of<Kind extends CallEvent['kind']> = Extract<CallEvent, { readonly kind: Kind }>;

/** Known when the call comes in: samplers see these. */
export function callAttributes({ agent, session, tool, id, attempt }: CallFacts): Attributes {
  return {
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': attributeText(tool.name),
    // A function of the application, as opposed to a tool that the model's provider runs.
    'gen_ai.tool.type': 'function',
    'gen_ai.agent.name': attributeText(agent),
    'gen_ai.conversation.id': attributeText(session),
    ...(id !== undefined && { 'gen_ai.tool.call.id': attributeText(id) }),
    ...(tool.server !== undefined && { 'countersign.tool.server': attributeText(tool.server) }),
    ...(attempt !== undefined && { 'countersign.attempt': attempt }),
  };
}

export function decisionAttributes(event: Of<'call-allowed'> | Of<'call-denied'>): Attributes {
  const { callId, decision, mode, policy, entry, waitedMs } = event;
  return {
    'countersign.call_id': callId,
    'countersign.effect': decision.effect,
    'countersign.would': decision.would,
    'countersign.mode': mode,
    'countersign.reason_code': attributeText(decision.reasonCode),
    ...(decision.rule !== undefined && { 'countersign.rule': attributeText(decision.rule) }),
    'countersign.policy.id': attributeText(policy.id),
    ...(policy.version !== undefined && { 'countersign.policy.version': attributeText(policy.version) }),
    'countersign.policy.hash': policy.hash,
    ...(entry !== undefined && { 'countersign.entry.position': entry.of, 'countersign.entry.leaf': entry.leaf }),
    ...(waitedMs !== undefined && { 'countersign.approval.wait_ms': waitedMs }),
    ...(event.kind === 'call-allowed' && authorityAttributes(event)),
  };
}

function authorityAttributes({ approvalId, grantId, edited }: Of<'call-allowed'>): Attributes {
  return {
    ...(approvalId !== undefined && { 'countersign.approval_id': approvalId }),
    ...(grantId !== undefined && { 'countersign.grant_id': grantId }),
    ...(edited !== undefined && { 'countersign.edited_call_id': edited.call }),
  };
}

export function pendingAttributes({ callId, approvalId }: Of<'call-pending'>): Attributes {
  return { 'countersign.call_id': callId, 'countersign.effect': 'require_approval', 'countersign.approval_id': approvalId };
}

/** Of the event of one verdict. */
export function verdictAttributes({ level, enforced, rule, incident }: Of<'call-judged'>): Attributes {
  return {
    'countersign.verdict.level': level,
    'countersign.verdict.enforced': enforced,
    'countersign.verdict.rule': attributeText(rule),
    ...(incident !== undefined && { 'countersign.verdict.incident': attributeText(incident) }),
  };
}

export function outcomeAttributes({ status, errorType, durationMs, released }: Of<'call-settled'>): Attributes {
  return {
    'countersign.outcome': status,
    'countersign.duration_ms': durationMs,
    ...(released !== undefined && { 'countersign.released': released }),
    ...(errorType !== undefined && { 'error.type': attributeText(errorType) }),
  };
}

/** Undefined when there are none, or when they are too long: half of a JSON text is none. */
export function argumentsAttribute(shown: Json | undefined): Attributes | undefined {
  const text = shown === undefined ? undefined : JSON.stringify(shown);
  return text === undefined || text.length > MAX_ARGUMENTS_CHARS ? undefined : { 'gen_ai.tool.call.arguments': text };
}

/** Refusals that are no answer of a policy or a person: something does not work. */
const FAILURES: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'POLICY_EVALUATION_FAILED',
  'BUDGET_EVALUATION_FAILED',
  'APPROVAL_PROCESS_FAILED',
  'REDACTION_FAILED',
  'MONITOR_FAILED',
  'LEDGER_WRITE_FAILED_DECISION',
  'LEDGER_QUEUE_FULL',
  'AUDIT_LOG_FAILED',
  'INTERNAL_ERROR',
]);

export function isFailure({ decision }: Of<'call-denied'>): boolean {
  return FAILURES.has(decision.reasonCode);
}

/** Names come from models, servers and policies: bounded, and nothing in them moves a cursor. */
export function attributeText(text: string): string {
  return text
    .slice(0, MAX_ATTRIBUTE_CHARS)
    .toWellFormed()
    .replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}
