/** Numbers that look random and are the same for the same seed (mulberry32). */
export interface Random {
  /** From 0, below `limit`. */
  below(limit: number): number;
  between(low: number, high: number): number;
  one<Item>(items: readonly Item[]): Item;
  chance(share: number): boolean;
  /** Lower-case letters and digits. */
  word(length: number): string;
}

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    below,
    between: (low, high) => low + below(high - low + 1),
    one: (items) => items[below(items.length)] as (typeof items)[number],
    chance: (share) => next() < share,
    word: (length) => Array.from({ length }, () => 'abcdefghijklmnopqrstuvwxyz0123456789'[below(36)]).join(''),
  };
}
