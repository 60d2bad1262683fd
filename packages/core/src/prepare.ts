/** Step 1: from whatever an adapter handed over to a call the guard can reason about. Everything in `call` may be hostile. */
import { type Json, MAX_REASON_CHARS, type RedactionFinding, type ToolCall, type ToolRef } from './call.ts';
import { callKey, callMatch, type KeyedCall } from './call-key.ts';
import { CountersignError } from './errors.ts';
import { newOrderedId } from './ledger/body.ts';
import { captureArguments } from './redact/arguments.ts';
import type { Redactor } from './redact/redact.ts';
import type { Store } from './store.ts';

export const MAX_NAME_CHARS = 256;

export interface PreparedCall extends KeyedCall {
  readonly callId: string;
  /** A private copy of the arguments: what the tool will be run with. */
  readonly args: unknown;
  /** The shown view: what policy, prompts and the ledger see. */
  readonly shown: Json;
  readonly findings: readonly RedactionFinding[];
  readonly attempt: number;
  readonly cost: number | undefined;
  /** Absent when the framework gives no id: repeats of such a call cannot be recognised. */
  readonly key: string | undefined;
  readonly match: string;
}

/** A call that cannot even be decided on, with what can safely be recorded of it. */
export interface UnusableCall {
  readonly callId: string;
  readonly tool: ToolRef;
  readonly session: string;
  readonly reasonCode: 'ARGUMENTS_INVALID' | 'REDACTION_FAILED';
  readonly reason: string;
}

export interface PrepareDeps {
  readonly agent: string;
  readonly session: string;
  readonly store: Pick<Store, 'mac' | 'nowMs'>;
  readonly redactor: Redactor;
}

export function prepareCall(call: ToolCall, deps: PrepareDeps): PreparedCall | UnusableCall {
  const callId = newOrderedId(deps.store.nowMs());
  const session = isName(call.session) ? call.session : deps.session;
  const unusable = (reasonCode: UnusableCall['reasonCode'], reason: string, tool: ToolRef = { name: '[invalid]' }): UnusableCall => ({
    callId,
    tool,
    session,
    reasonCode,
    reason: reason.slice(0, MAX_REASON_CHARS),
  });

  const bad = badName(call);
  if (bad !== undefined)
    return unusable('ARGUMENTS_INVALID', `${bad} must be a string of 1 to ${MAX_NAME_CHARS} characters without control characters`);
  const tool = toolRef(call.tool);
  const attempt = call.attempt ?? 1;
  if (!Number.isSafeInteger(attempt) || attempt < 1) return unusable('ARGUMENTS_INVALID', 'attempt must be a whole number from 1 on', tool);
  if (call.cost !== undefined && (!Number.isSafeInteger(call.cost) || call.cost < 0)) {
    return unusable('ARGUMENTS_INVALID', 'cost must be a whole number of micro-units, 0 or more', tool);
  }

  let captured: ReturnType<typeof captureArguments>;
  try {
    captured = captureArguments(call.args);
  } catch (error) {
    return unusable('ARGUMENTS_INVALID', CountersignError.is(error) ? error.message : 'the arguments could not be read', tool);
  }
  let redacted: ReturnType<Redactor['redact']>;
  try {
    redacted = deps.redactor.redact(captured.value);
  } catch {
    // The error may quote what it could not redact.
    return unusable('REDACTION_FAILED', 'the arguments could not be redacted', tool);
  }

  const keyed: KeyedCall = { agent: deps.agent, session, principal: call.principal, tool, exact: captured.exact };
  const mac = (text: string): string => deps.store.mac(text);
  return {
    ...keyed,
    callId,
    args: captured.value,
    shown: redacted.shown,
    findings: redacted.findings,
    attempt,
    cost: call.cost,
    key: call.id === undefined ? undefined : callKey(keyed, { id: call.id, turn: call.turn, attempt }, mac),
    match: callMatch(keyed, mac),
  };
}

export function isUnusable(call: PreparedCall | UnusableCall): call is UnusableCall {
  return 'reasonCode' in call;
}

/** A private copy with nothing but what we know: adapters pass through what servers declare. */
export function toolRef(tool: ToolRef): ToolRef {
  const { server, name, schema, annotations } = tool;
  return {
    ...(server !== undefined && { server }),
    name,
    ...(schema !== undefined && { schema }),
    ...(annotations !== undefined && { annotations: { ...annotations } }),
  };
}

/** Names go into every entry, so they must be strings the ledger can hold: one bad name must not fail a whole batch. */
function badName(call: ToolCall): string | undefined {
  if (typeof call.tool !== 'object' || call.tool === null || !isName(call.tool.name)) return 'the tool name';
  if (call.tool.server !== undefined && !isName(call.tool.server)) return 'the server name';
  if (call.tool.schema !== undefined && !isName(call.tool.schema)) return 'the schema digest';
  if (call.session !== undefined && !isName(call.session)) return 'the session';
  if (call.principal !== undefined && !isName(call.principal)) return 'the principal';
  if (call.id !== undefined && !isText(call.id)) return 'the framework id';
  if (call.turn !== undefined && !isText(call.turn)) return 'the turn';
  return undefined;
}

export function isName(value: unknown): value is string {
  return isText(value) && !/[\u0000-\u001f\u007f]/.test(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME_CHARS && value.isWellFormed();
}
