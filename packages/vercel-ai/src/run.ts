/** Running a permitted call and recording what became of it. */
import type { Permit } from '@countersign/core';

/** Runs and settles. A plain function that returns an iterable is read to its end here: the SDK could not see it through a promise. */
export async function runPermitted(permit: Permit, run: () => unknown, signal?: AbortSignal): Promise<unknown> {
  let result: unknown;
  try {
    result = await permit.within(run);
    if (isAsyncIterable(result)) result = await permit.within(() => lastOf(result as AsyncIterable<unknown>));
  } catch (error) {
    await settleThrown(permit, error, signal);
    throw error;
  }
  const shown = permit.mask(result);
  await permit.settle({ status: 'success', result: shown });
  return shown;
}

/** Passes on what a generator yields; each step runs in the scope of the call, the last one brings the outcome. */
export async function* streamPermitted(permit: Permit, run: () => unknown, signal?: AbortSignal): AsyncGenerator<unknown> {
  let result: unknown;
  let steps: AsyncIterator<unknown> | undefined;
  let ended = false;
  try {
    steps = (permit.within(run) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    for (;;) {
      const reading = steps;
      const step = await permit.within(() => reading.next());
      if (step.done === true) break;
      result = permit.mask(step.value);
      yield result;
    }
    ended = true;
  } catch (error) {
    ended = true;
    await settleThrown(permit, error, signal);
    throw error;
  } finally {
    if (!ended) await abandon(permit, steps);
  }
  await permit.settle({ status: 'success', result });
}

/** The reader stopped before the end. */
async function abandon(permit: Permit, steps: AsyncIterator<unknown> | undefined): Promise<void> {
  try {
    await permit.within(() => steps?.return?.());
  } finally {
    await permit.settle({ status: 'cancelled' });
  }
}

async function settleThrown(permit: Permit, error: unknown, signal: AbortSignal | undefined): Promise<void> {
  // `undefined` can be thrown too; the outcome needs something to describe.
  const thrown = error ?? new Error(`the tool threw ${String(error)}`);
  await permit.settle({ status: signal?.aborted === true ? 'cancelled' : 'error', error: thrown });
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

async function lastOf(values: AsyncIterable<unknown>): Promise<unknown> {
  let last: unknown;
  for await (const value of values) last = value;
  return last;
}
