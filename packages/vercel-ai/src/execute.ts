/** The enforcing point: `execute` asks the guard, whatever approval the message history claims to hold. */
import { CallRefusedError, type Guard, type Pending, type Permit, type ToolAnnotations } from '@countersign/core';
import type { ToolExecutionOptions } from 'ai';
import { toolCallOf } from './call.ts';
import type { EditNotices } from './edit-notices.ts';
import type { GuardToolsOptions } from './options.ts';
import { runPermitted, streamPermitted } from './run.ts';

export type Execute = (input: unknown, options: ToolExecutionOptions<unknown>) => unknown;

/** How a tool asks its guard. */
export interface Asking {
  readonly guard: Guard;
  readonly options: GuardToolsOptions;
  /** Parses arguments as the SDK does before it calls `execute`. */
  readonly validate: (args: unknown) => Promise<unknown>;
  readonly annotations: ToolAnnotations | undefined;
}

/** A generator stays one: for any other function the SDK would report a preliminary result that never was. */
export function guardExecute(name: string, inner: Execute, tool: object, asking: Asking, notices: EditNotices): Execute {
  const admitted = async (input: unknown, given: ToolExecutionOptions<unknown>): Promise<Permit> => {
    const permit = await admit(name, input, given, asking);
    notices.add(input, permit);
    return permit;
  };
  const run = (permit: Permit, given: ToolExecutionOptions<unknown>): unknown => Reflect.apply(inner, tool, [permit.args, given]);
  if (Object.prototype.toString.call(inner) === '[object AsyncGeneratorFunction]') {
    return async function* (input, given) {
      const permit = await admitted(input, given);
      yield* streamPermitted(permit, () => run(permit, given), given.abortSignal);
    };
  }
  return async (input, given) => {
    const permit = await admitted(input, given);
    return runPermitted(permit, () => run(permit, given), given.abortSignal);
  };
}

async function admit(name: string, input: unknown, given: ToolExecutionOptions<unknown>, asking: Asking): Promise<Permit> {
  const { guard, options, validate, annotations } = asking;
  const { toolCallId, context, abortSignal: signal } = given;
  const call = toolCallOf({ toolName: name, toolCallId, input }, context, options, annotations);
  // Nothing is decided: an approval stays unused for when the call is sent again.
  signal?.throwIfAborted();
  const authorization = await guard.authorize(call, {
    approval: options.approval ?? 'suspend',
    validate,
    ...(signal !== undefined && { signal }),
  });
  switch (authorization.kind) {
    case 'permit':
      if (signal?.aborted === true) {
        await authorization.settle({ status: 'cancelled', refund: true });
        throw signal.reason;
      }
      return authorization;
    case 'refusal':
      throw new CallRefusedError(authorization);
    case 'pending':
      throw new CallRefusedError(notYet(authorization));
  }
}

function notYet(pending: Pending): ConstructorParameters<typeof CallRefusedError>[0] {
  const { reason } = pending.decision;
  const waits = `it has not run and waits for approval ${pending.approvalId}`;
  return {
    kind: 'refusal',
    callId: pending.callId,
    decision: { ...pending.decision, reason: reason === undefined ? waits : `${reason}; ${waits}` },
  };
}
