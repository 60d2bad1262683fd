/** Clock and timer of the sensors that look again and again. */

export interface PollTiming {
  /** UTC, milliseconds. */
  now(): number;
  /** Milliseconds of a clock that never goes back. */
  steady(): number;
  /** @returns ends it. */
  after(ms: number, run: () => void): () => void;
  /** Resolves when whatever else was due has run. */
  turn(): Promise<void>;
}

/** Its timers keep no process alive. */
export const REAL_TIMING: PollTiming = {
  now: () => Date.now(),
  steady: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
};

/** A long piece of work lets others run after this long. */
const SLICE_MS = 8;

/** Goes through all steps; between two of them others may run. @param step - wraps each, for whoever must know that it is in one. */
export async function inSlices<Result>(
  work: Generator<void, Result>,
  timing: PollTiming,
  step: (run: () => IteratorResult<void, Result>) => IteratorResult<void, Result> = (run) => run(),
): Promise<Result> {
  let until = timing.steady() + SLICE_MS;
  for (;;) {
    const { done, value } = step(() => work.next());
    if (done === true) return value;
    if (timing.steady() < until) continue;
    await timing.turn();
    until = timing.steady() + SLICE_MS;
  }
}
