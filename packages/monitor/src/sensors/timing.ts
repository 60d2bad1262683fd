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
