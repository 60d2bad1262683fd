/** The SDK's `toolApproval`: tells model and user early what `execute` will enforce. It grants nothing. */
import { type ApprovalRow, type Guard, refusalText } from '@countersign/core';
import type { ToolApprovalStatus } from 'ai';
import { type FrameworkCall, toolCallOf } from './call.ts';
import type { GuardToolsOptions } from './options.ts';
import { executeOf, guardedBy } from './tools.ts';

/** What of the SDK's options is looked at; fits `toolApproval` of generateText, streamText and ToolLoopAgent for any tools. */
export interface ToolApprovalRequestOptions {
  readonly toolCall: { readonly toolName: string; readonly toolCallId: string; readonly input: unknown };
  readonly tools: object | undefined;
  readonly toolsContext: unknown;
}

const UNAVAILABLE: ToolApprovalStatus = { type: 'denied', reason: 'call refused: the guard could not decide [INTERNAL_ERROR]' };

/**
 * Makes a `toolApproval` function: allowed calls run, refused ones are `denied` with the reason, and a call that needs
 * approval opens it in the store and becomes a `user-approval` request. An approval response in the message history is
 * only a wake-up; the answer comes through `guard.approvals.resolve`.
 *
 * A tool with an `execute` that does not ask the guard is denied: this function alone does not enforce anything.
 *
 * @param options - for tools without `execute`; the others use what was given to `guardTools`.
 */
export function approvalFor(
  guard: Guard,
  options: GuardToolsOptions = {},
): (request: ToolApprovalRequestOptions) => Promise<ToolApprovalStatus> {
  return async ({ toolCall, tools, toolsContext }) => {
    try {
      const tool = ownProperty(tools, toolCall.toolName);
      const guarded = guardedBy(tool, guard);
      if (guarded === undefined && executeOf(tool) !== undefined) {
        return { type: 'denied', reason: 'call refused: this tool is not guarded, pass it through guardTools first [INTERNAL_ERROR]' };
      }
      const { toolName, toolCallId, input } = toolCall;
      return await statusOf({ toolName, toolCallId, input, context: ownProperty(toolsContext, toolName) }, guard, guarded ?? { options });
    } catch {
      // Throwing would end the whole run.
      return UNAVAILABLE;
    }
  };
}

async function statusOf(
  framework: FrameworkCall,
  guard: Guard,
  { options, validate }: { readonly options: GuardToolsOptions; readonly validate?: (args: unknown) => unknown },
): Promise<ToolApprovalStatus> {
  const call = toolCallOf(framework, options);
  const { decision, approvalState } = await guard.preview(call);
  if (decision.effect === 'allow') return undefined;
  if (decision.effect === 'require_approval') {
    if (approvalState === 'approved') return 'approved';
    if (options.approval === 'wait') return undefined;
  }
  // A denied call never reaches `execute`: it is recorded here.
  const authorization = await guard.authorize(call, { approval: 'suspend', ...(validate !== undefined && { validate }) });
  switch (authorization.kind) {
    case 'refusal':
      return { type: 'denied', reason: refusalText(authorization) };
    case 'pending': {
      const { reason } = authorization.decision;
      return { type: 'user-approval', ...(reason !== undefined && { reason }) };
    }
    case 'permit':
      // The decision changed between the two; nothing runs on a permit that `execute` does not hold.
      await authorization.settle({ status: 'cancelled' });
      return { type: 'denied', reason: 'call refused: the decision changed meanwhile, call the tool again [CALL_CANCELLED]' };
  }
}

/**
 * The approval a tool call waits for, for the host's own authenticated route: the SDK's `approvalId` is not ours.
 *
 * @param toolCall - as in the `tool-approval-request`. It may come from a client: show the approver `row.shown`, not this.
 * @param options - as given to `guardTools`.
 */
export async function approvalOf(guard: Guard, toolCall: FrameworkCall, options: GuardToolsOptions = {}): Promise<ApprovalRow | undefined> {
  const { approvalId } = await guard.preview(toolCallOf(toolCall, options));
  return approvalId === undefined ? undefined : guard.approvals.get(approvalId);
}

/** The name comes from a model. As the SDK looks it up: an own property, also of a function. */
function ownProperty(holder: unknown, name: string): unknown {
  if ((typeof holder !== 'object' && typeof holder !== 'function') || holder === null) return undefined;
  return Object.hasOwn(holder, name) ? Reflect.get(holder, name) : undefined;
}
