/** From a tool call of the AI SDK to a `ToolCall` of the guard. All of it comes from a model or from history a client sent. */
import type { ToolCall } from '@countersign/core';
import type { GuardToolsOptions } from './options.ts';

export interface FrameworkCall {
  readonly toolName: string;
  readonly toolCallId: string;
  /** Parsed by the tool's schema. */
  readonly input: unknown;
  readonly context?: unknown;
}

/**
 * There is no `turn`: between the first `toolApproval` and `execute` after a resume the number of messages differs, and a
 * client may cut its history in between. A call is its `toolCallId`; a provider that uses one id twice in a session for
 * the same arguments gets the second call refused.
 */
export function toolCallOf(call: FrameworkCall, options: GuardToolsOptions): ToolCall {
  const { toolName: name, toolCallId: id, input: args, context } = call;
  const session = typeof options.session === 'function' ? options.session(context) : options.session;
  const principal = typeof options.principal === 'function' ? options.principal(context) : options.principal;
  const server = typeof options.server === 'function' ? options.server(name) : options.server;
  return {
    tool: { name, ...(server !== undefined && { server }) },
    args,
    id,
    ...(session !== undefined && { session }),
    ...(principal !== undefined && { principal }),
  };
}
