/**
 * Waiting for a human with LangGraph's own interrupts.
 *
 * A resumed node runs again from its start, so the guard is asked before `interrupt` is: when it still says pending, no
 * answer was given whatever the resume value claims.
 */
import type { Guard, Json, KeepLater, OnceOptions, Pending, Permit, Refusal, ToolCall } from '@countersign/core';
import { isGraphInterrupt } from '@langchain/langgraph';
import { record } from './call.ts';
import type { GuardedToolOptions } from './options.ts';
import { MAX_WAKE_UPS, wakeUpsOf } from './wake-ups.ts';

/** What the application finds in `result.__interrupt__[n].value`. The strings may come from the model: escape them. */
export interface ApprovalInterrupt {
  readonly kind: 'countersign.approval';
  /** For `guard.approvals.resolve(approvalId, answer, approver)`. */
  readonly approvalId: string;
  readonly tool: string;
  readonly server?: string;
  /** The arguments with secrets replaced. */
  readonly args: Json;
  readonly reason?: string;
  /** ISO 8601, UTC. */
  readonly expiresAt: string;
}

export interface Asking {
  /** What kind of thing `use` returns. */
  readonly form: string;
  readonly options: GuardedToolOptions;
  /** Parses arguments as the tool will, for those that a person edited. */
  readonly validate: (args: unknown) => Promise<unknown>;
  readonly signal: AbortSignal | undefined;
  /** Of the run; a run without one cannot be resumed. */
  readonly thread: unknown;
}

/**
 * Asks the guard, and hands on what `use` makes of the answer. A node that runs again (a shared task on each resume, a checkpoint
 * that is rolled back) gets what it got before, and `use` is not called.
 *
 * @throws {GraphInterrupt} while a human has to answer and the run can be suspended; and whatever `use` throws.
 */
export async function admit<T>(
  guard: Guard,
  call: ToolCall,
  { form, options, validate, signal, thread }: Asking,
  use: (admitted: Permit | Refusal, keepLater: KeepLater<T>) => T | Promise<T>,
): Promise<T> {
  const asking: OnceOptions = {
    form,
    approval: options.approval === 'wait' ? 'wait' : 'suspend',
    validate,
    // A call without an id is not recognised when its node runs again; its open ask is.
    ...(call.id === undefined && { adopt: true }),
    ...(signal !== undefined && { signal }),
  };
  const wakeUps = wakeUpsOf(guard);
  let isDecided = false;
  try {
    return await guard.once<T>(call, asking, async (authorization, keepLater) => {
      isDecided = true;
      if (authorization.kind === 'pending') return use(await suspend(authorization, { call, asking, thread }, guard), keepLater);
      wakeUps.answered(call, authorization);
      return use(authorization, keepLater);
    });
  } finally {
    if (!isDecided) wakeUps.again(call);
  }
}

interface Suspended {
  readonly call: ToolCall;
  readonly asking: OnceOptions;
  readonly thread: unknown;
}

async function suspend(pending: Pending, { call, asking, thread }: Suspended, guard: Guard): Promise<Permit | Refusal> {
  const { server, name } = call.tool;
  const { reason } = pending.decision;
  const value: ApprovalInterrupt = {
    kind: 'countersign.approval',
    approvalId: pending.approvalId,
    tool: name,
    ...(server !== undefined && { server }),
    args: pending.shown,
    ...(reason !== undefined && { reason }),
    expiresAt: new Date(pending.expiresAtMs).toISOString(),
  };
  const stopped = wakeUpsOf(guard).wait(call, value);
  const isInterrupted = isGraphInterrupt(stopped);
  if (isInterrupted && thread !== undefined) throw stopped;
  const waits = `it has not run and waits for approval ${pending.approvalId}`;
  if (stopped === undefined) return notYet(pending, `${waits}: it was resumed ${MAX_WAKE_UPS} times without an answer`);
  // Without a graph there is nothing to suspend: whoever calls the tool calls it again.
  if (!isInterrupted && record(stopped)['lc_error_code'] !== 'MISSING_CHECKPOINTER')
    return notYet(pending, `${waits}: call it again after the answer`);
  // Nobody could come back with this call: the question is taken back.
  const ended = await guard.authorize(call, { ...asking, approval: 'wait', signal: AbortSignal.abort() });
  if (ended.kind === 'pending') return notYet(ended, waits);
  if (ended.kind === 'permit' || ended.decision.reasonCode !== 'CALL_CANCELLED') return ended;
  return {
    ...ended,
    decision: {
      ...ended.decision,
      reason: `${because(reason)}it needs an approval, and this run cannot be suspended for one: give the agent a checkpointer and each run a thread_id`,
    },
  };
}

function notYet({ callId, decision }: Pending, reason: string): Refusal {
  return { kind: 'refusal', callId, decision: { ...decision, reason: `${because(decision.reason)}${reason}` } };
}

function because(reason: string | undefined): string {
  return reason === undefined ? '' : `${reason}; `;
}
