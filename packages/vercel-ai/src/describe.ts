/** For `useChat`: which approval of the store a request in the page stands for. Tells, and grants nothing. */
import type { Guard } from '@countersign/core';
import type { UIMessageChunk } from 'ai';
import { approvalOf } from './approval.ts';
import { type FrameworkCall, ownProperty } from './call.ts';
import type { GuardToolsOptions } from './options.ts';

/**
 * What the page finds as `part.approval.descriptor`. Once it is in the page it is the client's word like the rest of the
 * history: it says which approval to ask the host's route about, and that route says what is asked and who may answer.
 */
export interface ApprovalDescriptor {
  readonly approvalId: string;
  /** UTC milliseconds; for display. */
  readonly expiresAtMs: number;
}

/**
 * Adds an `ApprovalDescriptor` to every approval request that goes to the page:
 * `toUIMessageStream({ stream }).pipeThrough(describeApprovals(guard, options))`. Everything else passes as it is; so does
 * a request whose approval cannot be found. Never fails the stream.
 *
 * @param options - as given to `guardTools`.
 * @param toolsContext - as given to `streamText`, when `options` are functions of it.
 */
export function describeApprovals<CHUNK extends UIMessageChunk>(
  guard: Guard,
  options: GuardToolsOptions = {},
  toolsContext?: unknown,
): TransformStream<CHUNK, CHUNK> {
  /** Calls of the step that streams: a request is never about an earlier one. */
  const calls = new Map<string, FrameworkCall>();
  return new TransformStream<CHUNK, CHUNK>({
    async transform(chunk, controller) {
      if (chunk.type === 'start-step') calls.clear();
      if (chunk.type === 'tool-input-available') {
        const { toolCallId, toolName, input } = chunk;
        calls.set(toolCallId, { toolCallId, toolName, input });
      }
      const call = chunk.type === 'tool-approval-request' && chunk.isAutomatic !== true ? calls.get(chunk.toolCallId) : undefined;
      const approvalDescriptor =
        call === undefined ? undefined : await descriptorOf(guard, call, { ...options, context: ownProperty(toolsContext, call.toolName) });
      controller.enqueue(approvalDescriptor === undefined ? chunk : { ...chunk, approvalDescriptor });
    },
  });
}

async function descriptorOf(...asked: Parameters<typeof approvalOf>): Promise<ApprovalDescriptor | undefined> {
  try {
    const row = await approvalOf(...asked);
    return row === undefined ? undefined : { approvalId: row.id, expiresAtMs: row.expiresAtMs };
  } catch {
    // The page can still show the request; it cannot be answered there until the store is back.
    return undefined;
  }
}
