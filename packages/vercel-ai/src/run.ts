/** Running a permitted call and recording what became of it. */
import { CountersignError, type Permit, releasedError } from '@countersign/core';

/** Runs and releases. A plain function that returns an iterable is read to its end here: the SDK could not see it through a promise. */
export async function runPermitted(permit: Permit, run: () => unknown, signal?: AbortSignal): Promise<unknown> {
  let result: unknown;
  try {
    // Async, so that what works only when it is awaited (a query builder) is awaited inside the call.
    result = await permit.within(async () => run());
    if (isAsyncIterable(result)) result = await permit.within(() => lastOf(result as AsyncIterable<unknown>));
  } catch (error) {
    throw await releasedThrown(permit, error, signal);
  }
  return released(permit, result);
}

/**
 * The result as the model may see it. Of a text a shorter one is passed on; in place of anything else a text would be taken for
 * it by `toModelOutput` and by the application, so the SDK is told an error, which it shows to the model as its text.
 *
 * @throws {CountersignError} `RESULT_REPLACED`
 */
async function released(permit: Permit, result: unknown): Promise<unknown> {
  const shown = await permit.release({ status: 'success', result });
  if (shown.kind === 'shown') return shown.value;
  if (shown.action === 'truncate' && typeof result === 'string') return shown.text;
  throw new CountersignError('RESULT_REPLACED', shown.text);
}

/**
 * Passes on what a generator yields; each step runs in the scope of the call, the last one brings the outcome. Where a rule on
 * results may act on it, nothing is passed on but the last step, once it is released.
 *
 * @param told - what another run of the same call is given: the last step, or what was thrown, as released.
 */
export async function* streamPermitted(
  permit: Permit,
  run: () => unknown,
  told: { readonly done: (result: unknown) => void; readonly failed: (error: unknown) => void },
  signal?: AbortSignal,
): AsyncGenerator<unknown> {
  let result: unknown;
  let steps: AsyncIterator<unknown> | undefined;
  let ended = false;
  try {
    steps = (permit.within(run) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    for (;;) {
      const reading = steps;
      const step = await permit.within(() => reading.next());
      if (step.done === true) break;
      result = permit.holdsResult ? step.value : permit.mask(step.value);
      if (!permit.holdsResult) yield result;
    }
    ended = true;
  } catch (error) {
    ended = true;
    const thrown = await releasedThrown(permit, error, signal);
    told.failed(thrown);
    throw thrown;
  } finally {
    if (!ended) await abandon(permit, steps);
  }
  if (!permit.holdsResult) {
    await permit.settle({ status: 'success', result });
    told.done(result);
    return;
  }
  try {
    result = await released(permit, result);
  } catch (error) {
    told.failed(error);
    throw error;
  }
  told.done(result);
  yield result;
}

/** The reader stopped before the end. */
async function abandon(permit: Permit, steps: AsyncIterator<unknown> | undefined): Promise<void> {
  try {
    await permit.within(() => steps?.return?.());
  } finally {
    await permit.settle({ status: 'cancelled' });
  }
}

/** What is thrown on: the very error, unless a rule on results acted on it. */
async function releasedThrown(permit: Permit, error: unknown, signal: AbortSignal | undefined): Promise<unknown> {
  // `undefined` can be thrown too; the outcome needs something to describe.
  const thrown = error ?? new Error(`the tool threw ${String(error)}`);
  const shown = await permit.release({ status: signal?.aborted === true ? 'cancelled' : 'error', error: thrown });
  const told = releasedError(shown, thrown);
  return told === thrown ? error : told;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

async function lastOf(values: AsyncIterable<unknown>): Promise<unknown> {
  let last: unknown;
  for await (const value of values) last = value;
  return last;
}
