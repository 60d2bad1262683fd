/** Figures over time in a bounded number of intervals, whose width grows with what comes in. */

export const MAX_BUCKETS = 120;

export class Buckets<T> {
  #widthMs = 1000;
  #buckets = new Map<number, T>();
  #lowest = Number.POSITIVE_INFINITY;
  #highest = Number.NEGATIVE_INFINITY;
  readonly #make: () => T;
  readonly #merge: (into: T, from: T) => void;

  constructor(make: () => T, merge: (into: T, from: T) => void) {
    this.#make = make;
    this.#merge = merge;
  }

  get widthMs(): number {
    return this.#widthMs;
  }

  at(atMs: number): T {
    this.#stretch(Math.floor(atMs / this.#widthMs));
    const index = Math.floor(atMs / this.#widthMs);
    this.#lowest = Math.min(this.#lowest, index);
    this.#highest = Math.max(this.#highest, index);
    return this.#bucket(this.#buckets, index);
  }

  /** In order; those in which nothing was are not there. */
  list(): readonly (readonly [atMs: number, value: T])[] {
    return [...this.#buckets].toSorted(([a], [b]) => a - b).map(([index, value]) => [index * this.#widthMs, value] as const);
  }

  #stretch(index: number): void {
    let low = Math.min(this.#lowest, index);
    let high = Math.max(this.#highest, index);
    let factor = 1;
    while (high - low >= MAX_BUCKETS) {
      low = Math.floor(low / 2);
      high = Math.floor(high / 2);
      factor *= 2;
    }
    if (factor === 1) return;
    const wider = new Map<number, T>();
    for (const [old, value] of this.#buckets) this.#merge(this.#bucket(wider, Math.floor(old / factor)), value);
    this.#buckets = wider;
    this.#widthMs *= factor;
    this.#lowest = Math.floor(this.#lowest / factor);
    this.#highest = Math.floor(this.#highest / factor);
  }

  #bucket(buckets: Map<number, T>, index: number): T {
    const known = buckets.get(index);
    if (known !== undefined) return known;
    const made = this.#make();
    buckets.set(index, made);
    return made;
  }
}
