/** The SDK's `toolApproval`: tells model and user early what `execute` will enforce. It grants nothing. */
import { type ApprovalRow, currentCall, type Guard, type Pending, type ReasonCode, refusalText, type ToolCall } from '@countersign/core';
import { asSchema, type FlexibleSchema, type ToolApprovalStatus } from 'ai';
import { annotationsOf, type FrameworkCall, isObject, member, ownProperty, toolCallOf } from './call.ts';
import { type Asking, FORM } from './execute.ts';
import { executeOf, guardedBy } from './guarded-tool.ts';
import type { GuardToolsOptions } from './options.ts';

/** What of the SDK's options is looked at; fits `toolApproval` of generateText, streamText and ToolLoopAgent for any tools. */
export interface ToolApprovalRequestOptions {
  readonly toolCall: FrameworkCall;
  readonly tools: object | undefined;
  readonly toolsContext: unknown;
  readonly messages?: readonly unknown[];
}

const UNAVAILABLE: ToolApprovalStatus = { type: 'denied', reason: 'call refused: the guard could not decide [INTERNAL_ERROR]' };
const UNGUARDED = 'this tool is not guarded, pass it through guardTools first';

/**
 * Makes a `toolApproval` function: allowed calls run, refused ones are `denied` with the reason, and a call that needs
 * approval opens it in the store and becomes a `user-approval` request. An approval response in the message history is
 * only a wake-up; the answer comes through `guard.approvals.resolve`.
 *
 * A tool with an `execute` that does not ask the guard is denied: this function alone does not enforce anything. Of an allowed
 * call the tool's own `needsApproval` is asked, which the SDK forgets once there is a function; its answer is the client's word.
 *
 * @param options - for tools without `execute`; the others use what was given to `guardTools`.
 */
export function approvalFor(
  guard: Guard,
  options: GuardToolsOptions = {},
): (request: ToolApprovalRequestOptions) => Promise<ToolApprovalStatus> {
  return async (request) => {
    try {
      return await statusOf(request, guard, options);
    } catch {
      // Throwing would end the whole run.
      return UNAVAILABLE;
    }
  };
}

async function statusOf(request: ToolApprovalRequestOptions, guard: Guard, options: GuardToolsOptions): Promise<ToolApprovalStatus> {
  const { toolName, toolCallId, input } = request.toolCall;
  const tool = ownProperty(request.tools, toolName);
  const guarded = guardedBy(tool, guard);
  const denied = async (reasonCode: ReasonCode, reason: string): Promise<ToolApprovalStatus> => {
    return { type: 'denied', reason: refusalText(await guard.recordRefusal({ tool: { name: toolName }, reasonCode, reason })) };
  };
  if (guarded === undefined && executeOf(tool) !== undefined) return denied('INTERNAL_ERROR', UNGUARDED);
  const context = await contextOf(tool, ownProperty(request.toolsContext, toolName));
  if (context === undefined) return denied('ARGUMENTS_INVALID', 'the context given for this tool does not fit its contextSchema');
  const asking = guarded ?? { options, annotations: annotationsOf(tool) };
  const call = toolCallOf({ toolName, toolCallId, input }, context.value, asking.options, asking.annotations);
  const status = await decided(call, guard, asking);
  return status === undefined && (await needsApproval(tool, request, context.value)) ? 'user-approval' : status;
}

/** As `execute` gets it: what the tool's schema makes of it. Undefined when it does not fit. */
async function contextOf(tool: unknown, given: unknown): Promise<{ readonly value: unknown } | undefined> {
  const schema = member(tool, 'contextSchema');
  if (schema === undefined || schema === null) return { value: given };
  // What the SDK takes for a schema is what it made the tool with.
  const parsed = await asSchema(schema as FlexibleSchema<unknown>).validate?.(given);
  if (parsed === undefined) return { value: given };
  return parsed.success ? { value: parsed.value } : undefined;
}

async function decided(
  call: ToolCall,
  guard: Guard,
  { options, validate }: Pick<Asking, 'options'> & Partial<Pick<Asking, 'validate'>>,
): Promise<ToolApprovalStatus> {
  const { decision, approvalState, isKept } = await guard.preview(call, { form: FORM });
  // It ran: `execute` gives what it gave then.
  if (decision.effect === 'allow' || isKept === true) return undefined;
  if (decision.effect === 'require_approval') {
    if (approvalState === 'approved') return 'approved';
    if (options.approval === 'wait') return undefined;
  }
  // A denied call never reaches `execute`: it is recorded here.
  const authorization = await guard.authorize(call, { approval: 'suspend', ...(validate !== undefined && { validate }) });
  switch (authorization.kind) {
    case 'refusal':
      return { type: 'denied', reason: refusalText(authorization) };
    case 'pending':
      return asked(authorization);
    case 'permit':
      // The decision changed between the two; nothing runs on a permit that `execute` does not hold.
      await authorization.settle({ status: 'cancelled', refund: true });
      return { type: 'denied', reason: 'call refused: the decision changed meanwhile, call the tool again [CALL_CANCELLED]' };
  }
}

/** The request of an agent inside a tool would be lost with its messages, and the tool told that there was nothing to say. */
function asked({ decision: { reason, reasonCode }, approvalId }: Pending): ToolApprovalStatus {
  if (currentCall() === undefined) return { type: 'user-approval', ...(reason !== undefined && { reason }) };
  const why = reason === undefined ? '' : `${reason}; `;
  return {
    type: 'denied',
    reason: `call refused: ${why}it has not run and waits for approval ${approvalId}, which an agent inside a tool cannot come back for: give its tools approval: 'wait' [${reasonCode}]`,
  };
}

/** As the SDK would ask it. */
async function needsApproval(tool: unknown, request: ToolApprovalRequestOptions, context: unknown): Promise<boolean> {
  const needs = member(tool, 'needsApproval');
  if (typeof needs !== 'function') return Boolean(needs);
  const { input, toolCallId } = request.toolCall;
  return Boolean(await Reflect.apply(needs, tool, [input, { toolCallId, messages: request.messages ?? [], context }]));
}

/**
 * The approval a tool call waits for, for the host's own authenticated route: the SDK's `approvalId` is not ours.
 *
 * @param toolCall - as in the `tool-approval-request`. It may come from a client, and be anything: show the approver `row.shown`,
 *   not this. Undefined for what is no tool call.
 * @param options - as given to `guardTools`. `context`: what the tool's `context` was, where `session` or `principal` are functions of it.
 */
export async function approvalOf(
  guard: Guard,
  toolCall: FrameworkCall,
  options: GuardToolsOptions & { readonly context?: unknown } = {},
): Promise<ApprovalRow | undefined> {
  const read = readCall(toolCall);
  if (read === undefined) return undefined;
  const { approvalId } = await guard.preview(toolCallOf(read, options.context, options));
  return approvalId === undefined ? undefined : guard.approvals.get(approvalId);
}

/** Everything is read once. */
function readCall(given: unknown): FrameworkCall | undefined {
  try {
    if (!isObject(given)) return undefined;
    const { toolName, toolCallId, input } = given as Partial<Record<keyof FrameworkCall, unknown>>;
    return typeof toolName === 'string' && typeof toolCallId === 'string' ? { toolName, toolCallId, input } : undefined;
  } catch {
    return undefined;
  }
}
