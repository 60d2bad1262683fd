/** How much of a budget is used, as a store reads it back from its charges. */

/** Whose use of a budget is asked for. */
export interface BudgetQuery {
  readonly budget: string;
  /** Absent = for life. */
  readonly windowMs?: number;
  /** This key alone, as recorded: for a budget by key, its MAC. */
  readonly key?: string;
  /** Most keys that come back, the fullest first. */
  readonly limit: number;
}

export interface KeyUse {
  readonly key: string;
  /** Micro-units charged in the window and not given back. */
  readonly used: number;
  /** When the oldest of it leaves the window, and how much that is. Absent for life, or when nothing is used. */
  readonly frees?: { readonly atMs: number; readonly amount: number };
}

export interface BudgetUse {
  /** Fullest first; keys that use nothing are left out. */
  readonly keys: readonly KeyUse[];
  /** All keys that use something, listed or not. */
  readonly count: number;
}

/** First millisecond that counts at `nowMs`: a charge exactly one window ago has left it. */
export function countsFrom(nowMs: number, windowMs: number | undefined): number {
  return windowMs === undefined ? Number.MIN_SAFE_INTEGER : nowMs - windowMs + 1;
}
