/** Running a permitted call and recording what became of it. */
import { CountersignError, type Permit, releasedError } from '@countersign/core';
import { isGraphBubbleUp, isParentCommand, ParentCommand } from '@langchain/langgraph';
import { isPair, releaseCommand, releasePair, releaseReturned } from './released.ts';

export interface Run {
  /** Of the call, as the model wrote it. */
  readonly id: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs the work of a tool in the scope of the call and releases what it returns; what it throws is thrown on, unless a rule on
 * results acted on it. A generator is released when it is read.
 */
export async function runReleased(permit: Permit, tool: object, run: () => unknown, of: Run): Promise<unknown> {
  const returned = await runUnsettled(permit, run, of);
  const release = (result: unknown): Promise<unknown> =>
    isPair(tool, result) ? releasePair(permit, result, of.id) : releaseReturned(permit, result, of.id);
  return isAsyncGenerator(returned) ? settleAtEnd(permit, returned, of, release) : release(returned);
}

/** The same, for a caller who releases what is returned. */
export async function runUnsettled<T>(permit: Permit, run: () => T | Promise<T>, of: Run): Promise<T> {
  try {
    // Async, so that what works only when it is awaited (a query builder) is awaited inside the call.
    return await permit.within(async () => run());
  } catch (error) {
    throw await releaseThrown(permit, error, of);
  }
}

/**
 * What is thrown on. A tool that interrupts stops half-way and LangGraph will run it again from its start. The permit was for one
 * run, so the call ends here as `cancelled` and the run after the resume is refused (`CALL_ALREADY_RUN`). Durable, because the
 * process usually ends with an interrupt.
 */
async function releaseThrown(permit: Permit, error: unknown, { id, signal }: Run): Promise<unknown> {
  if (steersGraph(error) && isParentCommand(error)) {
    const command = await releaseCommand(permit, error.command, id);
    return command === error.command ? error : new ParentCommand(command);
  }
  if (steersGraph(error)) {
    await permit.settle({ status: 'cancelled' }, { durable: true });
    return error;
  }
  // `undefined` can be thrown too; the outcome needs something to describe.
  const thrown = error ?? new Error(`the tool threw ${String(error)}`);
  const released = await permit.release({ status: signal?.aborted === true ? 'cancelled' : 'error', error: thrown });
  const told = releasedError(released, thrown);
  if (told !== thrown) return told;
  return permit.holdsResult ? inPlainWords(error) : error;
}

/** LangChain tells the model an error by its own `toString`, where rules on results looked at its name and message. */
function inPlainWords(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error;
  const own: unknown = Reflect.get(error, 'toString');
  if (own === Error.prototype.toString || own === Object.prototype.toString) return error;
  return new CountersignError('TOOL_FAILED', error instanceof Error ? Error.prototype.toString.call(error) : 'the tool threw an object');
}

/** What LangGraph throws to itself (interrupts, commands to a parent graph). Its own question fails for what is thrown as `null`. */
export function steersGraph(error: unknown): boolean {
  return error !== null && isGraphBubbleUp(error);
}

export function isAsyncGenerator(value: unknown): value is AsyncGenerator<unknown, unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value && 'return' in value;
}

/**
 * A generator runs when it is read, so the scope of the call is entered for each step and the outcome comes with the last. Where a
 * rule on results may act on it, only the last is passed on, once it is released.
 */
export async function* settleAtEnd(
  permit: Permit,
  events: AsyncGenerator<unknown, unknown>,
  of: Run,
  release: (result: unknown) => Promise<unknown>,
): AsyncGenerator<unknown, unknown> {
  let ended = false;
  try {
    for (;;) {
      const step = await permit.within(() => events.next());
      if (step.done === true) {
        ended = true;
        return await release(step.value);
      }
      if (!permit.holdsResult) yield permit.mask(step.value);
    }
  } catch (error) {
    if (ended) throw error;
    ended = true;
    throw await releaseThrown(permit, error, of);
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
