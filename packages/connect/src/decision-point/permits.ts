/**
 * `POST /countersign/v1/permits`: the decision itself. It is durable before it is answered, and a permit is given once.
 *
 *     { "kind": "permit", "call": "01...", "args": { ... }, "permit_token": "...", "decision": { ... } }
 *     { "kind": "refusal", "call": "01...", "reason_code": "POLICY_DEFAULT_DENY", "reason": "no rule matches this call" }
 *     { "kind": "pending", "call": "01...", "approval_id": "...", "expires_at": "2026-01-02T03:04:05.000Z", "next": "..." }
 *
 * A pending call is asked for again under the same id: after the answer, once, that gives the permit.
 */
import type { Authorization, Guard, Pending, Permit, Refusal, Store, ToolCall } from '@countersign/core';
import { jsonResponse } from '../http/inbound.ts';
import type { Client } from './clients.ts';
import { refuse } from './codes.ts';
import { jsonBody } from './json-body.ts';
import type { OpenPermits } from './open-permits.ts';
import { readPermitRequest, toolCall } from './tool-request.ts';

/** Longest a request waits for a person. Longer waits are cut to it. */
export const MAX_WAIT_MS = 60_000;
/** Requests of one client that may wait at a time; further ones are answered `pending` at once. */
export const MAX_WAITING = 64;

export interface PermitDeps {
  readonly open: OpenPermits;
  readonly store: Pick<Store, 'approvalSettled' | 'nowMs'>;
  /** Requests that wait for a person, by agent. */
  readonly waiting: Map<string, number>;
}

export async function permits(request: Request, client: Client, guard: Guard, deps: PermitDeps): Promise<Response> {
  const body = await jsonBody(request);
  if (body instanceof Response) return body;
  const parsed = readPermitRequest(body.value);
  if (parsed instanceof Response) return parsed;
  const call = toolCall(parsed, client);
  if (call instanceof Response) return call;
  // Before anything is decided: a permit that could not be held would stand open.
  if (!deps.open.reserve(client.agent)) return refuse('PERMITS_TOO_MANY', undefined, { 'retry-after': '1' });
  let isHeld = false;
  try {
    const authorization = await authorized(call, Math.min(parsed.wait_ms ?? 0, MAX_WAIT_MS), request.signal, client, guard, deps);
    if (authorization.kind === 'refusal') return jsonResponse(200, refusalAnswer(authorization));
    if (authorization.kind === 'pending') return jsonResponse(200, pendingAnswer(authorization));
    if (request.signal.aborted) return await nobodyThere(authorization);
    const token = deps.open.hold(client.agent, authorization, deps.store.nowMs());
    isHeld = true;
    return jsonResponse(200, permitAnswer(authorization, token));
  } finally {
    if (!isHeld) deps.open.release(client.agent);
  }
}

async function authorized(
  call: ToolCall,
  waitMs: number,
  signal: AbortSignal,
  { agent }: Client,
  guard: Guard,
  deps: PermitDeps,
): Promise<Authorization> {
  // Never `wait`: a client that hangs up would take the approval with it, and one that comes back would find none.
  const authorize = (): Promise<Authorization> => guard.authorize(call, { approval: 'suspend' });
  const untilMs = deps.store.nowMs() + waitMs;
  let authorization = await authorize();
  const waiting = deps.waiting.get(agent) ?? 0;
  if (authorization.kind !== 'pending' || waitMs === 0 || waiting >= MAX_WAITING) return authorization;
  deps.waiting.set(agent, waiting + 1);
  try {
    while (authorization.kind === 'pending' && !signal.aborted && deps.store.nowMs() < untilMs) {
      await answered(authorization, untilMs, signal, deps.store);
      // Also after the time: what expired meanwhile is then a refusal, and recorded. Nobody there: nothing is decided for them.
      if (!signal.aborted) authorization = await authorize();
    }
    return authorization;
  } finally {
    const left = (deps.waiting.get(agent) ?? 1) - 1;
    if (left > 0) deps.waiting.set(agent, left);
    else deps.waiting.delete(agent);
  }
}

/** Resolves when the approval is answered or expires, the time is up, or the client is gone. */
async function answered(
  { approvalId, expiresAtMs }: Pending,
  untilMs: number,
  signal: AbortSignal,
  store: PermitDeps['store'],
): Promise<void> {
  const timeUp = new AbortController();
  const timer = setTimeout(() => timeUp.abort(), Math.max(1, Math.min(untilMs, expiresAtMs) - store.nowMs()));
  try {
    await store.approvalSettled(approvalId, AbortSignal.any([signal, timeUp.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/** The client hung up before a byte of the answer was written: what it did not get it does not run. */
async function nobodyThere(permit: Permit): Promise<Response> {
  await permit.settle({ status: 'cancelled', refund: true }, { durable: true });
  return refuse('INTERNAL_ERROR', 'the client is gone');
}

function permitAnswer({ callId, args, edited, decision, entry }: Permit, token: string): object {
  const { reasonCode, rule, would } = decision;
  return {
    kind: 'permit',
    call: callId,
    args,
    ...(edited !== undefined && { edited }),
    permit_token: token,
    decision: { reason_code: reasonCode, ...(rule !== undefined && { rule }), would },
    entry,
  };
}

function refusalAnswer({ callId, decision, entry, earlier }: Refusal): object {
  const { reasonCode, reason, rule } = decision;
  return {
    kind: 'refusal',
    call: callId,
    reason_code: reasonCode,
    ...(reason !== undefined && { reason }),
    ...(rule !== undefined && { rule }),
    ...(earlier !== undefined && { earlier }),
    // Absent: the ledger could not be written.
    ...(entry !== undefined && { entry }),
  };
}

function pendingAnswer({ callId, decision, approvalId, expiresAtMs }: Pending): object {
  const { reasonCode, reason, rule } = decision;
  return {
    kind: 'pending',
    call: callId,
    approval_id: approvalId,
    expires_at: new Date(expiresAtMs).toISOString(),
    reason_code: reasonCode,
    ...(reason !== undefined && { reason }),
    ...(rule !== undefined && { rule }),
    next: `a person answers with: countersign approvals approve ${approvalId}; then ask again with the same call`,
  };
}
