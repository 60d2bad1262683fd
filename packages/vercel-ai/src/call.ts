/** From a tool call of the AI SDK to a `ToolCall` of the guard. All of it comes from a model or from history a client sent. */
import type { ToolAnnotations, ToolCall } from '@countersign/core';
import type { GuardToolsOptions } from './options.ts';

export interface FrameworkCall {
  readonly toolName: string;
  readonly toolCallId: string;
  /** Parsed by the tool's schema. */
  readonly input: unknown;
}

/**
 * There is no `turn`: between the first `toolApproval` and `execute` after a resume the number of messages differs, and a
 * client may cut its history in between. A call is its `toolCallId`: the same id with the same input, in one session, is the
 * same call.
 *
 * @param context - of the tool, from the application: never a part of what a client sent.
 */
export function toolCallOf(call: FrameworkCall, context: unknown, options: GuardToolsOptions, annotations?: ToolAnnotations): ToolCall {
  const { toolName: name, toolCallId: id, input: args } = call;
  const session = typeof options.session === 'function' ? options.session(context) : options.session;
  const principal = typeof options.principal === 'function' ? options.principal(context) : options.principal;
  const server = typeof options.server === 'function' ? options.server(name) : options.server;
  return {
    tool: { name, ...(server !== undefined && { server }), ...(annotations !== undefined && { annotations }) },
    args,
    id,
    ...(session !== undefined && { session }),
    ...(principal !== undefined && { principal }),
  };
}

/** What an MCP server says of its tool, where `@ai-sdk/mcp` keeps it. Hints: a rule may tighten on them, never loosen. */
export function annotationsOf(tool: unknown): ToolAnnotations | undefined {
  const annotations = member(member(tool, 'metadata'), 'annotations');
  return isObject(annotations) ? annotations : undefined;
}

export function isObject(value: unknown): value is object {
  return (typeof value === 'object' || typeof value === 'function') && value !== null;
}

/** @param name - ours, never one from outside. */
export function member(holder: unknown, name: string | symbol): unknown {
  return isObject(holder) ? Reflect.get(holder, name) : undefined;
}

/** The name comes from a model. As the SDK looks it up: an own property, also of a function. */
export function ownProperty(holder: unknown, name: string): unknown {
  return isObject(holder) && Object.hasOwn(holder, name) ? Reflect.get(holder, name) : undefined;
}
