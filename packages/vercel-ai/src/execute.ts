/** The enforcing point: `execute` asks the guard, whatever approval the message history claims to hold. */
import {
  type Authorization,
  CallRefusedError,
  editNotice,
  type Guard,
  type KeepLater,
  type Pending,
  type Permit,
  type ToolAnnotations,
} from '@countersign/core';
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

/** What a run of a tool is remembered as, for the same call sent again. */
export const FORM = 'ai-sdk output';

interface Made {
  /** For the one that runs it; everybody else gets `output`. */
  readonly steps?: AsyncIterable<unknown>;
  readonly output?: unknown;
  /** A generator that failed; a plain function throws. */
  readonly failed?: { readonly error: unknown };
  readonly notice: string | undefined;
}

type Start = (permit: Permit, given: ToolExecutionOptions<unknown>, keepLater: KeepLater<Made>) => Made | Promise<Made>;

/** A generator stays one: for any other function the SDK would report a preliminary result that never was. */
export function guardExecute(name: string, inner: Execute, tool: object, asking: Asking, notices: EditNotices): Execute {
  const run = (permit: Permit, given: ToolExecutionOptions<unknown>): unknown => Reflect.apply(inner, tool, [permit.args, given]);
  const made = async (input: unknown, given: ToolExecutionOptions<unknown>, start: Start): Promise<Made> => {
    const result = await once(name, input, given, asking, start);
    notices.add(input, result.notice);
    return result;
  };
  if (Object.prototype.toString.call(inner) === '[object AsyncGeneratorFunction]') {
    const start: Start = (permit, given, keepLater) => {
      const notice = editNotice(permit);
      const keep = keepLater();
      const ended = {
        done: (output: unknown) => keep({ output, notice }),
        failed: (error: unknown) => keep({ failed: { error }, notice }),
      };
      return { steps: streamPermitted(permit, () => run(permit, given), ended, given.abortSignal), notice };
    };
    return async function* (input, given) {
      const { steps, output, failed } = await made(input, given, start);
      if (failed !== undefined) throw failed.error;
      if (steps === undefined) yield output;
      else yield* steps;
    };
  }
  const start: Start = async (permit, given) => {
    const output = await runPermitted(permit, () => run(permit, given), given.abortSignal);
    return { output, notice: editNotice(permit) };
  };
  return async (input, given) => (await made(input, given, start)).output;
}

async function once(
  name: string,
  input: unknown,
  given: ToolExecutionOptions<unknown>,
  { guard, options, validate, annotations }: Asking,
  start: Start,
): Promise<Made> {
  const { toolCallId, context, abortSignal: signal } = given;
  const call = toolCallOf({ toolName: name, toolCallId, input }, context, options, annotations);
  // Nothing is decided: an approval stays unused for when the call is sent again.
  signal?.throwIfAborted();
  const how = { form: FORM, approval: options.approval ?? 'suspend', validate, ...(signal !== undefined && { signal }) };
  return guard.once<Made>(call, how, async (authorization, keepLater) => start(permitOf(authorization), given, keepLater));
}

function permitOf(authorization: Authorization): Permit {
  switch (authorization.kind) {
    case 'permit':
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
