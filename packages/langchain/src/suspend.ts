/**
 * Waiting for a human with LangGraph's own interrupts.
 *
 * A resumed node runs again from its start, so the guard is asked before `interrupt` is: when it still says pending, no
 * answer was given whatever the resume value claims. Resume values are wake-ups and nothing reads them; they are
 * consumed all the same, because LangGraph would hand an unread one to the next `interrupt` of the task, which may be
 * a question of the tool itself.
 */
import type { Authorization, Guard, Json, KeepLater, OnceOptions, Pending, Permit, Refusal, ToolCall } from '@countersign/core';
import { interrupt, isGraphInterrupt } from '@langchain/langgraph';
import type { GuardedToolOptions } from './options.ts';

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

/** More wake-ups than this for one call are not drained: it is refused. */
const MAX_WAKE_UPS = 100;

export interface Asking {
  /** What kind of thing `use` returns. */
  readonly form: string;
  readonly options: GuardedToolOptions;
  /** Parses arguments as the tool will, for those that a person edited. */
  readonly validate: (args: unknown) => Promise<unknown>;
  readonly signal: AbortSignal | undefined;
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
  { form, options, validate, signal }: Asking,
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
  return guard.once<T>(call, asking, (authorization, keepLater) => use(admitted(authorization, call), keepLater));
}

function admitted(authorization: Authorization, call: ToolCall): Permit | Refusal {
  switch (authorization.kind) {
    case 'permit':
      // A person was asked about it, or about the call it was edited from: a resume value may be waiting.
      if (authorization.decision.reasonCode === 'APPROVAL_GRANTED' || authorization.edited !== undefined)
        drainWakeUps({ kind: 'countersign.approval' });
      return authorization;
    case 'refusal':
      return authorization;
    case 'pending':
      return suspend(authorization, call);
  }
}

function suspend(pending: Pending, call: ToolCall): Refusal {
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
  const stopped = drainWakeUps(value);
  if (isGraphInterrupt(stopped)) throw stopped;
  const why = stopped instanceof Error ? stopped.message : 'it was resumed too often without an answer';
  return {
    kind: 'refusal',
    callId: pending.callId,
    decision: {
      effect: 'deny',
      would: 'require_approval',
      reasonCode: 'APPROVAL_PROCESS_FAILED',
      reason: `approval ${pending.approvalId} is needed, but this run cannot be suspended (${why}): it needs a checkpointer and a thread_id`,
      ...(pending.decision.rule !== undefined && { rule: pending.decision.rule }),
    },
  };
}

/** What `interrupt` threw once no wake-up was left; undefined when they do not end. */
function drainWakeUps(value: unknown): unknown {
  for (let drained = 0; drained < MAX_WAKE_UPS; drained++) {
    try {
      interrupt(value);
    } catch (stopped) {
      return stopped;
    }
  }
  return undefined;
}
