/**
 * Comparing two turns of an agent that differ by a fraction of a millisecond: pair by pair.
 *
 * Each pair runs both, one right after the other and each of them first in turn, so that what slows one slows the other;
 * the difference within a pair is looked at, never two averages. Of the differences the median is told, with the interval in
 * which the true median lies with 95 % confidence, whatever their distribution: the order statistics at n/2 ± 1.96 √n/2.
 */
import { median } from './measure.ts';

export type Turn = () => Promise<unknown>;

export interface PairOptions {
  /** Timed pairs in all. */
  readonly pairs: number;
  /** Pairs between two collections of garbage; before each, both are built anew. */
  readonly slice: number;
}

export interface Comparison {
  readonly medianMs: number;
  readonly lowMs: number;
  readonly highMs: number;
  /** Median of the second of each pair. */
  readonly baselineMs: number;
}

const UNTIMED_PAIRS = 2;
const WARM_UP_SLICES = 2;
const Z_95 = 1.96;

/** What the first of each pair takes longer than the second. @param build - makes the turns of one slice and checks them after it. */
export async function comparePairs(build: () => PairOfTurns, { pairs, slice }: PairOptions): Promise<Comparison> {
  const differences: number[] = [];
  const baselines: number[] = [];
  for (let done = -WARM_UP_SLICES * slice; done < pairs; done += slice) {
    const { subject, baseline, between, close } = build();
    globalThis.gc?.();
    for (let i = -UNTIMED_PAIRS; i < slice; i++) {
      const [first, second] = i % 2 === 0 ? [subject, baseline] : [baseline, subject];
      const firstMs = await timed(first);
      const secondMs = await timed(second);
      await between?.();
      if (i < 0 || done < 0) continue;
      const [subjectMs, baselineMs] = i % 2 === 0 ? [firstMs, secondMs] : [secondMs, firstMs];
      differences.push(subjectMs - baselineMs);
      baselines.push(baselineMs);
    }
    await close();
  }
  return { ...medianInterval(differences), baselineMs: median(baselines) };
}

export interface PairOfTurns {
  readonly subject: Turn;
  readonly baseline: Turn;
  /** After each pair. */
  readonly between?: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function timed(turn: Turn): Promise<number> {
  const startedAt = performance.now();
  await turn();
  return performance.now() - startedAt;
}

function medianInterval(values: readonly number[]): Omit<Comparison, 'baselineMs'> {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (Z_95 * Math.sqrt(sorted.length)) / 2;
  const at = (rank: number): number => sorted[Math.min(Math.max(rank, 0), sorted.length - 1)] ?? Number.NaN;
  return {
    medianMs: median(values),
    lowMs: at(Math.floor(sorted.length / 2 - half) - 1),
    highMs: at(Math.ceil(sorted.length / 2 + half)),
  };
}
