/** What a bench says: one number, and the bound it must keep. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  /** `x`: a ratio to the baseline measured beside it. */
  readonly unit: string;
  /** Null for a figure that is only printed. */
  readonly bound: number | null;
  readonly ok: boolean;
  /** Where the true value lies with 95 % confidence, when that was worked out. */
  readonly interval?: Interval;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A figure, and which side of its bound is the good one. */
export interface Measured extends Figure {
  readonly sense: 'at most' | 'at least' | 'lower end at most' | 'printed';
}

/** One statement about speed. `measure` gives undefined when this machine cannot tell; it says why on stderr. */
export interface Claim {
  readonly name: string;
  /** Words it is asked for by, besides parts of its name. */
  readonly groups?: readonly string[];
  measure(): Promise<Measured | undefined>;
}

export function grouped(groups: readonly string[], claims: readonly Claim[]): readonly Claim[] {
  return claims.map((claim) => ({ ...claim, groups: [...(claim.groups ?? []), ...groups] }));
}

export function atMost(name: string, value: number, bound: number, unit = 'x'): Measured {
  return { name, value: rounded(value), unit, bound, ok: value <= bound, sense: 'at most' };
}

export function atLeast(name: string, value: number, bound: number, unit = 'x'): Measured {
  return { name, value: rounded(value), unit, bound, ok: value >= bound, sense: 'at least' };
}

export function printed(name: string, value: number, unit = 'x'): Measured {
  return { name, value: rounded(value), unit, bound: null, ok: true, sense: 'printed' };
}

/** Missed only when the whole interval lies beyond the bound: what cannot be told from chance is no miss. */
export function lowerEndAtMost(name: string, value: number, { low, high }: Interval, bound: number, unit = '%'): Measured {
  const interval = { low: rounded(low), high: rounded(high) };
  return { name, value: rounded(value), unit, bound, ok: low <= bound, interval, sense: 'lower end at most' };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
