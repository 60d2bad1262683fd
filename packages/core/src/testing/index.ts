/** For tests and benches: a store that keeps nothing and a clock that stands still. */
export { type FixedClock, fixedClock } from './clock.ts';
export { type MemoryStore, memoryStore } from './memory-store.ts';
