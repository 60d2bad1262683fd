/** Running a permitted call and recording what became of it. */
import type { Permit } from '@countersign/core';
import { ToolMessage } from '@langchain/core/messages';
import { isGraphBubbleUp, isParentCommand } from '@langchain/langgraph';

/** Runs `run` in the scope of the call and settles; whatever it throws is thrown on, unchanged. */
export async function runPermitted<T>(permit: Permit, run: () => T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const result = masked(permit, await runUnsettled(permit, run, signal));
  await settleReturned(permit, result);
  return result;
}

/** The same, for a caller who settles what is returned. */
export async function runUnsettled<T>(permit: Permit, run: () => T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await permit.within(run);
  } catch (error) {
    await settleThrown(permit, error, signal);
    throw error;
  }
}

/** What the model sees of a result: of a message its content, and its artifact too. The very same value when nothing changed. */
export function masked<T>(permit: Permit, result: T): T {
  if (!ToolMessage.isInstance(result)) return permit.mask(result);
  const { content, artifact, tool_call_id, name, status, id, additional_kwargs, response_metadata, metadata } = result;
  const shown = { content: permit.mask(content), artifact: permit.mask(artifact as unknown) };
  if (shown.content === content && shown.artifact === artifact) return result;
  const fields = { tool_call_id, additional_kwargs, response_metadata, ...(metadata !== undefined && { metadata }) };
  const named = { ...(name !== undefined && { name }), ...(status !== undefined && { status }), ...(id !== undefined && { id }) };
  // A message with the same fields is what `T` says it is.
  return new ToolMessage({ ...fields, ...named, ...shown }) as T;
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
async function settleThrown(permit: Permit, error: unknown, signal: AbortSignal | undefined): Promise<void> {
  if (isParentCommand(error)) return permit.settle({ status: 'success' });
  if (isGraphBubbleUp(error)) return permit.settle({ status: 'cancelled' }, { durable: true });
  // `undefined` can be thrown too; the outcome needs something to describe.
  const thrown = error ?? new Error(`the tool threw ${String(error)}`);
  await permit.settle({ status: signal?.aborted === true ? 'cancelled' : 'error', error: thrown });
}

export function isAsyncGenerator(value: unknown): value is AsyncGenerator<unknown, unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value && 'return' in value;
}

/** A generator runs when it is read, so the scope of the call is entered for each step and the outcome comes with the last. */
export async function* settleAtEnd(
  permit: Permit,
  events: AsyncGenerator<unknown, unknown>,
  signal: AbortSignal | undefined,
): AsyncGenerator<unknown, unknown> {
  let ended = false;
  try {
    for (;;) {
      const step = await permit.within(() => events.next());
      const value = masked(permit, step.value);
      if (step.done === true) {
        ended = true;
        await settleReturned(permit, value);
        return value;
      }
      yield value;
    }
  } catch (error) {
    ended = true;
    await settleThrown(permit, error, signal);
    throw error;
  } finally {
    if (!ended) await abandon(permit, events);
  }
}

/** The reader stopped before the end. */
async function abandon(permit: Permit, events: AsyncGenerator<unknown, unknown>): Promise<void> {
  try {
    await permit.within(() => events.return(undefined));
  } finally {
    await permit.settle({ status: 'cancelled' });
  }
}
