/**
 * Arguments as a condition sees them.
 *
 * Who controls the input: the agent. The evaluator reads `value.constructor` to learn a type and compares objects with
 * `key in object`, so plain objects could be steered by keys named `constructor` or `__proto__`. Every object therefore
 * becomes a Map, whose keys are its own only; `__proto__` is refused, because a map literal in a rule stays a plain
 * object and would compare against its prototype.
 *
 * Values are converted when they are looked at: a condition on one member of a large argument does not pay for the rest.
 */

/** Deepest nesting a condition accepts. */
export const MAX_CONDITION_DEPTH = 64;
/** Most list items converted at once, nested lists included. */
export const MAX_CONDITION_ITEMS = 200_000;

/** An error of ours inside an evaluation; its text holds no argument value. */
export class ConditionFault extends Error {
  override readonly name = 'ConditionFault';
}

/**
 * A JSON value for the evaluator.
 *
 * @throws {ConditionFault} for anything that is not JSON, too deep, too large or keyed `__proto__`; for the inside of an
 *   object when the evaluator looks there.
 */
export function conditionValue(value: unknown): unknown {
  return convert(value, 0, { left: MAX_CONDITION_ITEMS });
}

/** A map of these pairs, as the evaluator wants it. Keys may not be `__proto__`. */
export function conditionMap(pairs: Iterable<readonly [string, unknown]>): ReadonlyMap<string, unknown> {
  return new ArgumentMap(Object.fromEntries(pairs), 0);
}

type PlainObject = Readonly<Record<string, unknown>>;

/**
 * An object in the shape of a Map. It shows nothing through `entries()`: the evaluator derives the deep type of a map
 * from its first entry and keeps every type it ever saw, so arguments of ever new shapes would fill the memory.
 */
class ArgumentMap extends Map<string, unknown> {
  readonly #source: PlainObject;
  readonly #depth: number;

  constructor(source: PlainObject, depth: number) {
    super();
    if (Object.hasOwn(source, '__proto__')) throw new ConditionFault('arguments have a key named __proto__');
    this.#source = source;
    this.#depth = depth;
  }

  override get(key: string): unknown {
    if (typeof key !== 'string' || !Object.hasOwn(this.#source, key)) return undefined;
    const value = this.#source[key];
    if (typeof value !== 'object' || value === null) return scalar(value);
    let converted = super.get(key);
    if (converted === undefined) {
      converted = convert(value, this.#depth + 1, { left: MAX_CONDITION_ITEMS });
      super.set(key, converted);
    }
    return converted;
  }
  override has(key: string): boolean {
    return typeof key === 'string' && Object.hasOwn(this.#source, key);
  }
  override get size(): number {
    return Object.keys(this.#source).length;
  }
  override keys(): MapIterator<string> {
    return Object.keys(this.#source)[Symbol.iterator]();
  }
  override *[Symbol.iterator](): MapIterator<[string, unknown]> {
    for (const key of Object.keys(this.#source)) yield [key, this.get(key)];
  }
  override entries(): MapIterator<[string, unknown]> {
    return NOTHING.entries();
  }
}
const NOTHING: ReadonlyMap<string, unknown> = new Map();
Object.defineProperty(ArgumentMap.prototype, 'constructor', { value: Map });

function convert(value: unknown, depth: number, budget: { left: number }): unknown {
  if (typeof value !== 'object' || value === null) return scalar(value);
  if (depth >= MAX_CONDITION_DEPTH) throw new ConditionFault(`arguments are nested deeper than ${MAX_CONDITION_DEPTH} levels`);
  if (Array.isArray(value)) {
    budget.left -= value.length;
    if (budget.left < 0) throw new ConditionFault(`arguments hold a list of more than ${MAX_CONDITION_ITEMS} items`);
    const items: unknown[] = [];
    for (const item of value) items.push(convert(item, depth + 1, budget));
    return items;
  }
  if (!isPlain(value)) throw new ConditionFault('arguments hold something that is not JSON');
  return new ArgumentMap(value, depth);
}

function scalar(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value !== 'number') throw new ConditionFault('arguments hold something that is not JSON');
  if (!Number.isFinite(value)) throw new ConditionFault('arguments hold a number that is not finite');
  return value;
}

function isPlain(value: object): value is PlainObject {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
