/** The texts in a value, its keys included. The value is what conditions see: texts, numbers, lists and maps. */
import { spend } from '../../evaluation.ts';

const STEPS_PER_ITEM = 0.25;

/** In the order in which they stand. Depth and size are bounded where arguments become values (`condition-value.ts`). */
export function* textsIn(value: unknown): Generator<string> {
  spend(STEPS_PER_ITEM);
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const item of value) yield* textsIn(item);
  else if (value instanceof Map) {
    for (const [key, item] of value as ReadonlyMap<unknown, unknown>) {
      yield* textsIn(key);
      yield* textsIn(item);
    }
  } else if (isPlain(value)) {
    // A map that is written in the rule.
    for (const [key, item] of Object.entries(value)) {
      yield key;
      yield* textsIn(item);
    }
  }
}

/** Values as they stand, keys left out: texts, and undefined for each number, truth value and null. */
export function* valuesIn(value: unknown): Generator<string | undefined> {
  spend(STEPS_PER_ITEM);
  if (Array.isArray(value)) for (const item of value) yield* valuesIn(item);
  else if (value instanceof Map) for (const [, item] of value as ReadonlyMap<unknown, unknown>) yield* valuesIn(item);
  else if (isPlain(value)) for (const item of Object.values(value)) yield* valuesIn(item);
  else yield typeof value === 'string' ? value : undefined;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
