/** Running what the guard admitted, with other middleware further in. */
import { CallRefusedError, CountersignError, type Guard, type Permit, type Refusal, type ToolCall } from '@countersign/core';
import type { ToolCallRequest } from 'langchain';
import { type AgentTool, bindTool, misplaced, type Run } from './bound-tool.ts';
import { type Answer, errorMessage, type Guarding, type Handler, isAborted, refuse } from './guarding.ts';
import { withEditNotice } from './handed-on.ts';
import { argumentsFor } from './mcp-tool.ts';
import { releaseReturned } from './released.ts';
import { runReleased, runUnsettled, steersGraph } from './run.ts';
import { toolErrorText } from './tool-error.ts';
import type { Wrappable } from './wrappable.ts';

export interface Admitted {
  readonly tool: AgentTool;
  readonly parts: Wrappable<AgentTool> | undefined;
  readonly call: ToolCall;
  readonly permit: Permit;
  readonly id: string | undefined;
}

/** @throws what the tool threw, where that is for somebody else: LangGraph, an aborted run, `toolErrors: 'throw'`. */
export async function runAdmitted(request: ToolCallRequest, admitted: Admitted, handler: Handler, guarding: Guarding): Promise<Answer> {
  const { tool, parts, call, permit, id } = admitted;
  const { guard, options, attempts } = guarding;
  const { signal } = request.runtime;
  if (isAborted(signal)) {
    await permit.settle({ status: 'cancelled' });
    throw signal?.reason;
  }
  const of = { id, signal };
  const state = { isReleased: false };
  // Where LangChain tells streams and callbacks what a tool returned or threw, it has been released.
  const first = async (run: Run): Promise<unknown> => {
    if (parts === undefined) return run(argumentsFor(tool, permit.args));
    state.isReleased = true;
    return runReleased(permit, tool, () => run(argumentsFor(tool, permit.args)), of);
  };
  const only = once(first, () => refuseAgain(call, guard));
  const bound = bindTool(tool, parts, only.use);
  const run = async (): Promise<{ readonly answer: Answer } | { readonly thrown: unknown }> => {
    try {
      const answer = await handler({ ...request, tool: bound.tool });
      if (!bound.wasReached()) throw misplaced(call.tool.name);
      return { answer };
    } catch (thrown) {
      if (state.isReleased) return { thrown };
      throw thrown;
    } finally {
      only.end();
    }
  };
  try {
    const ended = await runUnsettled(permit, run, of);
    if ('thrown' in ended) throw ended.thrown;
    const answer = state.isReleased ? ended.answer : await releaseReturned(permit, ended.answer, id);
    return withEditNotice(answer, permit, id);
  } catch (error) {
    if (steersGraph(error) || isAborted(signal)) throw error;
    const isMisplaced = CountersignError.is(error) && error.code === 'MIDDLEWARE_MISPLACED';
    if (isMisplaced) guard.report(error, { callId: permit.callId, during: 'a tool call' });
    else if (options.toolErrors === 'throw') {
      attempts.failed(call);
      throw error;
    }
    return withEditNotice(errorMessage(request, permit.mask(toolErrorText(error))), permit, id);
  }
}

interface Once {
  readonly use: (run: Run) => Promise<unknown>;
  /** Nobody may come any more. */
  readonly end: () => void;
}

/** Whoever comes a second time, or keeps the tool until the call has ended, is refused. */
function once(first: (run: Run) => Promise<unknown>, refused: () => Promise<Refusal>): Once {
  let isUsed = false;
  return {
    use: async (run) => {
      if (isUsed) throw new CallRefusedError(await refused());
      isUsed = true;
      return first(run);
    },
    end: () => {
      isUsed = true;
    },
  };
}

function refuseAgain(call: ToolCall, guard: Guard): Promise<Refusal> {
  return refuse(
    guard,
    call,
    'CALL_ALREADY_RUN',
    'middleware listed after countersignMiddleware runs the tool again on one decision, or after its call has ended: list countersignMiddleware last',
  );
}
