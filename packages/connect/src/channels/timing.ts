/** Time and chance, so that tests need neither. */
import type { Clock } from '@countersign/core';

export interface Timing extends Clock {
  /** From 0 up to, not including, 1. */
  random(): number;
  /** Resolves after so many milliseconds, or once `signal` is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

/** A pause keeps no program alive: when nothing else is left to do, nobody waits for what would come after it. */
export const realTiming: Timing = {
  nowMs: () => Date.now(),
  random: () => Math.random(),
  pause: (ms, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      timer.unref();
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    }),
};
