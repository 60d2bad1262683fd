/** The guard as middleware of `createAgent`. */
import { CountersignError, type Guard, type Permit, type ToolCall } from '@countersign/core';
import { ToolMessage } from '@langchain/core/messages';
import { type Command, isGraphBubbleUp } from '@langchain/langgraph';
import { type AgentMiddleware, createMiddleware, type ToolCallRequest, ToolInvocationError } from 'langchain';
import { Attempts } from './attempts.ts';
import { type FrameworkCall, parseArguments, record, toolCallOf, validatorOf } from './call.ts';
import { copyOf, withEditNotice } from './handed-on.ts';
import type { GuardedToolOptions } from './options.ts';
import { refusalMessage } from './refusal.ts';
import { runPermitted } from './run.ts';
import { admit } from './suspend.ts';
import { isGuardedBy } from './tool.ts';
import { type Wrappable, wrappable } from './wrappable.ts';

export interface MiddlewareOptions extends GuardedToolOptions {
  /**
   * An agent with any `wrapToolCall` middleware dies of a tool's exception, where one without tells the model about it.
   * `message` (default) keeps the latter; `throw` leaves exceptions to a middleware listed before this one (a retry).
   */
  readonly toolErrors?: 'message' | 'throw';
}

/** Of what this middleware hands on. */
const FORM = 'langchain message';

type Handler = (request: ToolCallRequest) => ToolMessage | Command | Promise<ToolMessage | Command>;

/**
 * Decides every tool call of an agent before it runs. List it last: middleware after it could still swap the tool.
 *
 * A refusal is a tool message with status `error` that names reason and code. A call that needs approval interrupts the
 * run; the resume value is only a wake-up, the answer comes through `guard.approvals.resolve`.
 */
export function countersignMiddleware(guard: Guard, options: MiddlewareOptions = {}): AgentMiddleware {
  const attempts = new Attempts();
  return createMiddleware({
    name: 'CountersignMiddleware',
    wrapToolCall: async (request, handler) => {
      if (isGuardedBy(request.tool, guard)) return handler(request);
      return guardCall(request, handler, guard, options, attempts);
    },
  });
}

async function guardCall(
  request: ToolCallRequest,
  handler: Handler,
  guard: Guard,
  options: MiddlewareOptions,
  attempts: Attempts,
): Promise<ToolMessage | Command> {
  const { toolCall, tool, runtime } = request;
  const name = typeof tool?.name === 'string' ? tool.name : toolCall.name;
  // Looked at once: what the tool turns into while an approval is awaited must not change how its arguments were decided.
  const parts = wrappable(tool);
  const schema = record(tool)['schema'];
  const parsed = await parseArguments(schema, toolCall.args, parts === undefined);
  const framework: FrameworkCall = {
    tool: name,
    args: parsed.kind === 'parsed' ? parsed.args : undefined,
    id: typeof toolCall.id === 'string' && toolCall.id !== '' ? toolCall.id : undefined,
    messages: request.state.messages,
    run: { configurable: runtime.configurable ?? {}, context: runtime.context },
  };
  let call: ToolCall;
  try {
    call = attempts.next(toolCallOf(framework, options));
  } catch {
    return errorMessage(request, 'call refused: the options of countersignMiddleware could not name this call [INTERNAL_ERROR]');
  }
  if (parsed.kind === 'invalid') {
    const { session } = call;
    const refused = { tool: call.tool, reasonCode: 'ARGUMENTS_INVALID', reason: parsed.reason, ...(session !== undefined && { session }) };
    return refusalMessage(await guard.recordRefusal(refused), name, toolCall.id);
  }
  const { signal } = runtime;
  const asking = { form: FORM, options, validate: validatorOf(schema, parts === undefined), signal };
  const result = await admit<ToolMessage | Command>(guard, call, asking, async (admitted) => {
    if (admitted.kind === 'refusal') return refusalMessage(admitted, name, toolCall.id);
    try {
      return withEditNotice(
        await runPermitted(admitted, () => handler(permitted(request, admitted, parts)), { id: framework.id, signal }),
        admitted,
        framework.id,
      );
    } catch (error) {
      if (isGraphBubbleUp(error) || signal?.aborted === true) throw error;
      if (options.toolErrors === 'throw') {
        attempts.failed(call);
        throw error;
      }
      return withEditNotice(errorMessage(request, admitted.mask(toolErrorText(error))), admitted, framework.id);
    }
  });
  return ToolMessage.isInstance(result) ? copyOf(result) : result;
}

/**
 * The request that runs exactly what was decided. A tool parses its arguments itself; it gets the model's text again,
 * so that a schema which is not idempotent does not fail, and what it makes of it is replaced by the permit's copy.
 * A tool that cannot be wrapped never sees the model's text: it gets the permit's copy, which its schema leaves alone.
 */
function permitted(request: ToolCallRequest, permit: Permit, parts: Wrappable<ToolCallRequest['tool']> | undefined): ToolCallRequest {
  if (parts === undefined) {
    return { ...request, toolCall: { ...request.toolCall, args: permit.args as Record<string, unknown> } };
  }
  const { inner, wrap } = parts;
  return { ...request, tool: wrap((_parsedAgain, runManager, config) => inner(permit.args, runManager, config)) };
}

function errorMessage(request: ToolCallRequest, content: string): ToolMessage {
  return new ToolMessage({ tool_call_id: request.toolCall.id ?? '', name: request.toolCall.name, status: 'error', content });
}

/** As LangChain words it for an agent without middleware. */
function toolErrorText(error: unknown): string {
  // What a rule on results left of an error says itself what to do.
  if (CountersignError.is(error) && error.code === 'TOOL_FAILED') return error.message;
  if (ToolInvocationError.isInstance(error)) return error.message;
  // Not its own `toString`: rules on results looked at name and message.
  const text = error instanceof Error ? Error.prototype.toString.call(error) : String(error);
  return `${text}\n Please fix your mistakes.`;
}
