/**
 * Counting within a stretch of time, in memory that does not grow with what comes. Times come with the activities; sensors differ by
 * little, and a clock that is set back forgets what lies in its future.
 */

/** Tells whether `limit` events fell within the window: it keeps only that many. */
export class EventWindow {
  readonly #times: number[] = [];
  readonly #evidence: number[] = [];
  #next = 0;
  readonly #limit: number;
  readonly #widthMs: number;

  constructor(limit: number, widthMs: number) {
    this.#limit = limit;
    this.#widthMs = widthMs;
  }

  /** True when this one and the `limit - 1` before it lie within the window. */
  add(at: number, seq: number): boolean {
    this.#times[this.#next] = at;
    this.#evidence[this.#next] = seq;
    this.#next = (this.#next + 1) % this.#limit;
    const oldest = this.#times[this.#next];
    return this.#times.length === this.#limit && oldest !== undefined && Math.abs(at - oldest) < this.#widthMs;
  }

  /** Of the events it counts, oldest first. */
  evidence(): readonly number[] {
    return [...this.#evidence.slice(this.#next), ...this.#evidence.slice(0, this.#next)];
  }

  clear(): void {
    this.#times.length = 0;
    this.#evidence.length = 0;
    this.#next = 0;
  }
}

/** Like `EventWindow`, but the same name counts once as long as it is remembered. */
export class NameWindow {
  /** In order of their last time. */
  readonly #names = new Map<string, { readonly at: number; readonly seq: number }>();
  readonly #limit: number;
  readonly #widthMs: number;

  constructor(limit: number, widthMs: number) {
    this.#limit = limit;
    this.#widthMs = widthMs;
  }

  add(name: string, at: number, seq: number): boolean {
    this.#names.delete(name);
    this.#names.set(name, { at, seq });
    for (const [old, entry] of this.#names) {
      // What falls out by number was not needed: as many newer ones are within the window, or it was outside of it.
      if (this.#names.size <= this.#limit && Math.abs(at - entry.at) < this.#widthMs) break;
      this.#names.delete(old);
    }
    return this.#names.size >= this.#limit;
  }

  evidence(): readonly number[] {
    return [...this.#names.values()].map(({ seq }) => seq);
  }

  clear(): void {
    this.#names.clear();
  }
}

/** Remembers the last `size` names it was told of. */
export class RecentNames {
  readonly #names = new Set<string>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  add(name: string): void {
    this.#names.delete(name);
    this.#names.add(name);
    if (this.#names.size > this.#size) for (const oldest of this.#names) return void this.#names.delete(oldest);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }
}

/**
 * Remembers names for good in memory of one size (a Bloom filter). It never forgets: a flood makes it take other names for known
 * ones, so it serves only where that makes a rule stricter.
 */
export class NeverForgets {
  readonly #bits = new Uint32Array(BLOOM_BITS / 32);
  #isEmpty = true;

  add(name: string): void {
    this.#isEmpty = false;
    const { one, two } = hashesOf(name);
    for (let index = 0; index < BLOOM_HASHES; index++) {
      const bit = (one + index * two) % BLOOM_BITS;
      this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] ?? 0) | (1 << (bit & 31));
    }
  }

  has(name: string): boolean {
    if (this.#isEmpty) return false;
    const { one, two } = hashesOf(name);
    for (let index = 0; index < BLOOM_HASHES; index++) {
      const bit = (one + index * two) % BLOOM_BITS;
      if (((this.#bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }
}
/** 256 KiB: of 100 000 names, one in a thousand others is taken for one of them. */
const BLOOM_BITS = 2_097_152;
const BLOOM_HASHES = 4;

/** Both from 0 to 2^32; the second is odd, so that it steps through all bits. */
function hashesOf(name: string): { readonly one: number; readonly two: number } {
  let one = 2_166_136_261;
  let two = 5381;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    one = Math.imul(one ^ code, 16_777_619);
    two = Math.imul(two, 33) ^ code;
  }
  return { one: one >>> 0, two: (two | 1) >>> 0 };
}
