/** Running a permitted call and recording what became of it. */
import type { Permit } from '@countersign/core';
import { ToolMessage } from '@langchain/core/messages';
import { isGraphBubbleUp, isParentCommand } from '@langchain/langgraph';

/** Runs `run` in the scope of the call and settles; whatever it throws is thrown on, unchanged. */
export async function runPermitted<T>(permit: Permit, run: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
  let result: T;
  try {
    result = await permit.within(run);
  } catch (error) {
    await settleThrown(permit, error, signal);
    throw error;
  }
  await settleReturned(permit, result);
  return result;
}

export async function settleReturned(permit: Permit, result: unknown): Promise<void> {
  const isMessage = ToolMessage.isInstance(result);
  const content = isMessage ? result.content : result;
  if (isMessage && result.status === 'error') return permit.settle({ status: 'error', error: content });
  await permit.settle({ status: 'success', result: content });
}

/**
 * A tool that interrupts stops half-way and LangGraph will run it again from its start. The permit was for one run, so
 * the call ends here as `cancelled` and the run after the resume is refused (`CALL_ALREADY_RUN`). Durable, because the
 * process usually ends with an interrupt.
 */
export async function settleThrown(permit: Permit, error: unknown, signal?: AbortSignal): Promise<void> {
  if (isParentCommand(error)) return permit.settle({ status: 'success' });
  if (isGraphBubbleUp(error)) return permit.settle({ status: 'cancelled' }, { durable: true });
  // `undefined` can be thrown too; the outcome needs something to describe.
  const thrown = error ?? new Error(`the tool threw ${String(error)}`);
  await permit.settle({ status: signal?.aborted === true ? 'cancelled' : 'error', error: thrown });
}
