import { types } from 'node:util';
import type { Json } from '../call.ts';
import type { Redactor } from './redact.ts';
import { renamedMembers } from './renamed-members.ts';

/** Values of one result, containers included. */
const MAX_MASKED_NODES = 1_000_000;
const MAX_MASKED_DEPTH = 150;

/** Stands for a result that could not be read without running somebody's code, contains itself, or is too large. */
export const WITHHELD_RESULT = '[result withheld: it could not be masked]';

/**
 * A tool's result without its secrets, on its way to the model. The very same value when nothing was found in it.
 *
 * Texts, plain objects and arrays are masked as arguments are shown. Everything else (dates, bytes, maps, instances of
 * classes, functions) is passed on as it is, unless the name of its member says it is a secret: what is inside is not looked
 * at. Never throws and never runs a getter or a proxy trap; what would need that is withheld.
 */
export function maskResult<T>(result: T, redactor: Redactor): T {
  const masked = tryMask(result, redactor);
  // A masked value has the shape of the value, with texts in place of what was a secret.
  return (masked === undefined ? WITHHELD_RESULT : masked.value) as T;
}

/**
 * The same, without a text in place of what could not be masked.
 *
 * @param clean - changes texts and names of members further. Must leave its own output alone.
 * @returns undefined when it cannot be masked; `others`: something in it was passed on without being looked into.
 */
export function tryMask(
  result: unknown,
  redactor: Redactor,
  clean?: (text: string) => string,
): { readonly value: unknown; readonly others: boolean } | undefined {
  try {
    const copy = new Copy();
    const plain = copy.of(result);
    const { shown: redacted, findings } = redactor.redact(plain);
    const shown = clean === undefined ? redacted : cleaned(redacted, clean);
    const others = copy.others.size > 0;
    if (findings.length === 0 && shown === redacted) return { value: result, others };
    return { value: others ? putBack(plain, shown, copy.others) : shown, others };
  } catch {
    return undefined;
  }
}

/** The very same value when there was nothing to clean. @throws {TypeError} when two members come to have one name. */
function cleaned(value: Json, clean: (text: string) => string): Json {
  if (typeof value === 'string') return clean(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item: Json) => cleaned(item, clean));
    return items.every((item, i) => item === (value as readonly Json[])[i]) ? value : items;
  }
  const members = Object.entries(value).map(([name, member]): [string, Json] => [clean(name), cleaned(member, clean)]);
  if (members.every(([name, member]) => Object.hasOwn(value, name) && (value as { readonly [name: string]: Json })[name] === member))
    return value;
  if (new Set(members.map(([name]) => name)).size < members.length) throw new TypeError('two members of one name');
  return Object.fromEntries(members);
}

/** What is JSON in a value; for the rest stand objects of no members, each remembered with what it stands for. */
class Copy {
  readonly others = new Map<object, unknown>();
  readonly #ancestors = new Set<object>();
  #nodes = MAX_MASKED_NODES;

  of(value: unknown): unknown {
    this.#nodes -= 1;
    if (this.#nodes < 0) throw new RangeError('too many values');
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (typeof value !== 'object') return this.#other(value);
    if (types.isProxy(value)) throw new TypeError('a proxy');
    const prototype: unknown = Object.getPrototypeOf(value);
    if (Array.isArray(value) ? prototype !== Array.prototype : prototype !== Object.prototype && prototype !== null)
      return this.#other(value);
    if (this.#ancestors.has(value) || this.#ancestors.size >= MAX_MASKED_DEPTH) throw new RangeError('too deep, or without end');
    this.#ancestors.add(value);
    const copied = Array.isArray(value) ? this.#array(value) : this.#object(value);
    this.#ancestors.delete(value);
    return copied;
  }

  #array(items: readonly unknown[]): unknown[] {
    if (items.length > this.#nodes) throw new RangeError('too many values');
    return Array.from({ length: items.length }, (_, i) => this.of(data(Object.getOwnPropertyDescriptor(items, i))));
  }

  #object(value: object): object {
    return Object.fromEntries(Object.keys(value).map((name) => [name, this.of(data(Object.getOwnPropertyDescriptor(value, name)))]));
  }

  #other(value: unknown): object {
    const stand = new Date(0);
    this.others.set(stand, value);
    return stand;
  }
}

function data(descriptor: PropertyDescriptor | undefined): unknown {
  if (descriptor?.get !== undefined || descriptor?.set !== undefined) throw new TypeError('a getter');
  return descriptor?.value;
}

/** @throws {TypeError} when the shown view is none of what is shown. */
function putBack(plain: unknown, shown: Json, others: ReadonlyMap<object, unknown>): unknown {
  if (typeof plain !== 'object' || plain === null) return shown;
  // Hidden as a whole, for its name.
  if (typeof shown === 'string' && shown.startsWith('[redacted:')) return shown;
  if (others.has(plain)) return others.get(plain);
  if (typeof shown !== 'object' || shown === null) return shown;
  if (Array.isArray(shown)) return shown.map((item, i) => putBack((plain as readonly unknown[])[i], item, others));
  const view = shown as { readonly [name: string]: Json };
  const names = renamedMembers(plain, view);
  if (names === undefined) throw new TypeError('another object');
  const members = plain as Readonly<Record<string, unknown>>;
  return Object.fromEntries([...names].map(([name, as]) => [as, putBack(members[name], view[as] ?? null, others)]));
}
