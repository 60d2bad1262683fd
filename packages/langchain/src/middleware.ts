/** The guard as middleware of `createAgent`. */
import { CallRefusedError, CountersignError, type Guard, type Refusal, type ToolCall } from '@countersign/core';
import { ToolMessage } from '@langchain/core/messages';
import { isGraphInterrupt } from '@langchain/langgraph';
import { type AgentMiddleware, createMiddleware, type ToolCallRequest } from 'langchain';
import { runAdmitted } from './admitted.ts';
import { Attempts } from './attempts.ts';
import { type AgentTool, bindTool, misplaced, watchTool } from './bound-tool.ts';
import { type FrameworkCall, parseArguments, record, toolCallOf, validatorOf } from './call.ts';
import { declaredOf } from './declared.ts';
import { type Answer, errorMessage, type Guarding, type Handler, isAborted, type MiddlewareOptions, refuse } from './guarding.ts';
import { copyOf } from './handed-on.ts';
import { offeredTools, recordProviderCalls } from './provider-tools.ts';
import { refusalMessage } from './refusal.ts';
import { steersGraph } from './run.ts';
import { admit } from './suspend.ts';
import { isGuardedBy } from './tool.ts';
import { toolErrorText } from './tool-error.ts';
import { OfferedNames } from './unknown-tool.ts';
import { type Wrappable, wrappable } from './wrappable.ts';

/** Of what this middleware hands on. */
const FORM = 'langchain message';

/**
 * Decides every tool call of an agent before it runs. List it last. Middleware after it is inside of what was decided: it cannot
 * change the arguments or run the tool twice, and where it puts another tool in its place, what that returns is withheld
 * (`MIDDLEWARE_MISPLACED`); that other tool has run by then.
 *
 * A refusal is a tool message with status `error` that names reason and code. A call that needs approval interrupts the
 * run; the resume value is only a wake-up, the answer comes through `guard.approvals.resolve`.
 */
export function countersignMiddleware(guard: Guard, options: MiddlewareOptions = {}): AgentMiddleware {
  const guarding: Guarding = { guard, options, attempts: new Attempts(), offered: new OfferedNames(), suspended: new WeakSet() };
  return createMiddleware({
    name: 'CountersignMiddleware',
    wrapModelCall: async (request, handler) => {
      const run = { configurable: request.runtime.configurable ?? {}, context: request.runtime.context };
      const tools = await offeredTools(request.tools, run, guard, options);
      const response = await handler(tools === request.tools ? request : { ...request, tools: [...tools] });
      await recordProviderCalls(response, run, guard, options);
      guarding.offered.note(response, tools);
      return response;
    },
    wrapToolCall: (request, handler) => guardCall(request, handler, guarding),
  });
}

async function guardCall(request: ToolCallRequest, handler: Handler, guarding: Guarding): Promise<Answer> {
  const { toolCall, runtime } = request;
  const { guard, options, attempts } = guarding;
  const tool = runnableTool(request.tool);
  if (tool !== undefined && isGuardedBy(tool, guard)) return watched(request, tool, handler, guarding);
  const name = nameOf(request);
  // Looked at once: what the tool turns into while an approval is awaited must not change how its arguments were decided.
  const parts = tool === undefined ? undefined : wrappable(tool);
  const schema = record(tool)['schema'];
  const parsed = await parseArguments(schema, toolCall.args, parts === undefined);
  const framework: FrameworkCall = {
    tool: name,
    args: parsed.kind === 'parsed' ? parsed.args : undefined,
    declared: declaredOf(tool),
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
  if (tool === undefined) return refusalMessage(await refuseUnknown(call, request, guarding), name, toolCall.id);
  if (parsed.kind === 'invalid') return invalidArguments(request, { tool, parts, call, reason: parsed.reason }, handler, guarding);
  if (guarding.suspended.has(runtime)) return errorMessage(request, takenInterrupt(name));
  const { signal } = runtime;
  const thread = framework.run.configurable['thread_id'];
  const asking = { form: FORM, options, validate: validatorOf(schema, parts === undefined), signal, thread };
  try {
    const result = await admit<Answer>(guard, call, asking, (admitted) =>
      admitted.kind === 'refusal'
        ? refusalMessage(admitted, name, toolCall.id)
        : runAdmitted(request, { tool, parts, call, permit: admitted, id: framework.id }, handler, guarding),
    );
    return ToolMessage.isInstance(result) ? copyOf(result) : result;
  } catch (error) {
    if (steersGraph(error) && isGraphInterrupt(error)) guarding.suspended.add(runtime);
    throw error;
  }
}

interface Invalid {
  readonly tool: AgentTool;
  readonly parts: Wrappable<AgentTool> | undefined;
  readonly call: ToolCall;
  readonly reason: string;
}

/** Refused and on record. What the model reads is LangChain's own message, as it would without middleware. */
async function invalidArguments(request: ToolCallRequest, invalid: Invalid, handler: Handler, guarding: Guarding): Promise<Answer> {
  const { tool, parts, call, reason } = invalid;
  const { guard, options } = guarding;
  const refusal = await refuse(guard, call, 'ARGUMENTS_INVALID', reason);
  const told = refusalMessage(refusal, call.tool.name, request.toolCall.id);
  // It parses the arguments in its own way, and may run with them.
  if (parts === undefined) return told;
  const bound = bindTool(tool, parts, () => {
    throw new CallRefusedError(refusal);
  });
  try {
    await handler({ ...request, tool: bound.tool });
    guard.report(misplaced(call.tool.name), { callId: refusal.callId, during: 'a tool call' });
    return told;
  } catch (error) {
    if (steersGraph(error) || isAborted(request.runtime.signal)) throw error;
    if (CountersignError.is(error) && error.code === 'CALL_REFUSED') return told;
    if (options.toolErrors === 'throw') throw error;
    return errorMessage(request, toolErrorText(error));
  }
}

/** A tool that asks the guard itself. */
async function watched(request: ToolCallRequest, tool: AgentTool, handler: Handler, { guard }: Guarding): Promise<Answer> {
  const bound = watchTool(tool);
  const answer = await handler({ ...request, tool: bound.tool });
  if (bound.wasReached()) return answer;
  const error = misplaced(nameOf(request));
  guard.report(error, { during: 'a tool call' });
  return errorMessage(request, toolErrorText(error));
}

/** Of the tool that would run; what the model or a middleware wrote only where there is none. */
function nameOf({ tool, toolCall }: ToolCallRequest): string {
  const named: unknown = record(tool)['name'] ?? toolCall.name;
  return typeof named === 'string' ? named : '[invalid]';
}

function runnableTool(tool: unknown): AgentTool | undefined {
  return typeof record(tool)['invoke'] === 'function' ? (tool as AgentTool) : undefined;
}

/** A name the model made up. LangChain is not asked: middleware further in might have something to run for it. */
async function refuseUnknown(call: ToolCall, request: ToolCallRequest, { guard, offered }: Guarding): Promise<Refusal> {
  const names = offered.of(request.state.messages, request.toolCall);
  const choice = names === undefined ? '' : names.length === 0 ? ': there are no tools' : `, try one of [${names.join(', ')}]`;
  return refuse(guard, call, 'TOOL_UNKNOWN', `this agent has no tool of that name${choice}`);
}

function takenInterrupt(tool: string): string {
  return (
    `call refused: ${JSON.stringify(tool.slice(0, 100))} waits for an approval, and middleware listed before countersignMiddleware caught the interrupt ` +
    'that suspends the run: let it throw on what isGraphBubbleUp() is true for [APPROVAL_PROCESS_FAILED]'
  );
}
