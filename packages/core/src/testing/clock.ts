import type { Clock } from '../interfaces.ts';

export interface FixedClock extends Clock {
  advance(ms: number): void;
}

/** A clock that moves only when told to. */
export function fixedClock(startMs: number = Date.UTC(2026, 0, 1)): FixedClock {
  let now = startMs;
  return {
    nowMs: () => now,
    advance(ms) {
      now += ms;
    },
  };
}
