/**
 * Comparing two pieces of work on a machine that is never quiet.
 *
 * Absolute times here swing by a factor of two between runs, so only ratios taken side by side mean anything. A round
 * alternates short slices of subject and baseline, so that a neighbour who wakes up slows both; its ratio is time over
 * time. The answer is the median over the rounds, after rounds that only warm up.
 */

/** Does the work `count` times, one after the other. */
export type Work = (count: number) => void | Promise<void>;

export interface RoundOptions {
  /** Measured rounds, at least 5. */
  readonly rounds?: number;
  readonly warmUpRounds?: number;
  /** Pairs of slices in a round. */
  readonly slices?: number;
  /** Repetitions in a slice. */
  readonly count: number;
}

/**
 * For work that waits for the disk: one call, one raw commit, one call ... What a commit costs depends on what the disk
 * and the processor's caches did just before, and no application commits in a tight loop.
 */
export const ONE_BY_ONE: RoundOptions = { slices: 200, count: 1 };

const MIN_ROUNDS = 5;
const UNTIMED_SLICES = 2;

/** Time of `subject` divided by time of `baseline`, the median over all rounds. */
export async function timeRatio(subject: Work, baseline: Work, options: RoundOptions): Promise<number> {
  const { rounds = 9, warmUpRounds = 2, slices = 10, count } = options;
  if (rounds < MIN_ROUNDS) throw new Error(`a median of ${rounds} ratios says too little: measure at least ${MIN_ROUNDS} rounds`);
  const ratios: number[] = [];
  for (let round = -warmUpRounds; round < rounds; round++) {
    globalThis.gc?.();
    // The collector throws compiled code away with the rest: whoever comes first would pay for both.
    await oneRound(subject, baseline, UNTIMED_SLICES, count);
    const ratio = await oneRound(subject, baseline, slices, count);
    if (round >= 0) ratios.push(ratio);
  }
  return median(ratios);
}

async function oneRound(subject: Work, baseline: Work, slices: number, count: number): Promise<number> {
  let subjectMs = 0;
  let baselineMs = 0;
  for (let slice = 0; slice < slices; slice++) {
    subjectMs += await timed(subject, count);
    baselineMs += await timed(baseline, count);
  }
  return subjectMs / baselineMs;
}

async function timed(work: Work, count: number): Promise<number> {
  const startedAt = performance.now();
  const running = work(count);
  if (running !== undefined) await running;
  return performance.now() - startedAt;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
