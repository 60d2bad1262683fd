/** What the parts of the middleware share. */
import type { Guard, Refusal, ToolCall } from '@countersign/core';
import { ToolMessage } from '@langchain/core/messages';
import type { Command } from '@langchain/langgraph';
import type { ToolCallRequest } from 'langchain';
import type { Attempts } from './attempts.ts';
import type { ProviderToolOptions } from './provider-tools.ts';
import type { OfferedNames } from './unknown-tool.ts';

export interface MiddlewareOptions extends ProviderToolOptions {
  /**
   * An agent with any `wrapToolCall` middleware dies of a tool's exception, where one without tells the model about it.
   * `message` (default) keeps the latter; `throw` leaves exceptions to a middleware listed before this one (a retry).
   */
  readonly toolErrors?: 'message' | 'throw';
}

export type Answer = ToolMessage | Command;
export type Handler = (request: ToolCallRequest) => Answer | Promise<Answer>;

export interface Guarding {
  readonly guard: Guard;
  readonly options: MiddlewareOptions;
  readonly attempts: Attempts;
  readonly offered: OfferedNames;
  /** Runs that were suspended, by their runtime: who comes back with the same one had the interrupt taken away. */
  readonly suspended: WeakSet<object>;
}

/** Refused and on record. */
export function refuse(guard: Guard, call: ToolCall, reasonCode: Refusal['decision']['reasonCode'], reason: string): Promise<Refusal> {
  const { tool, session } = call;
  return guard.recordRefusal({ tool, reasonCode, reason, ...(session !== undefined && { session }) });
}

export function errorMessage(request: ToolCallRequest, content: string): ToolMessage {
  return new ToolMessage({ tool_call_id: request.toolCall.id ?? '', name: request.toolCall.name, status: 'error', content });
}

export function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
