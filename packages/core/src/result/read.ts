/** A tool's result as plain JSON, for rules to look at. Whatever a tool returned may be hostile, and of any size. */
import { types } from 'node:util';
import type { Json } from '../call.ts';
import { ConditionFault } from '../policy/condition-value.ts';
import { typedPlaceholder } from '../redact/host-types.ts';

/** Values of one result, containers included. */
const MAX_RESULT_NODES = 1_000_000;
const MAX_RESULT_DEPTH = 150;
/** Characters of all texts and names of a result that rules look at: as many as the largest message of the MCP proxy has bytes. */
export const MAX_RESULT_CHARS = 16_777_216;
const MAX_PROTOTYPES = 16;

/**
 * The same as JSON: instances of classes by their own members, dates, bytes, maps and the like as placeholders, and what JSON
 * does not know left out.
 *
 * @throws {ConditionFault} for what would show a reader something else than is seen here: a getter, a proxy, a `toJSON` of
 *   its own; for what contains itself, and past the bounds above. No code of the value is run.
 */
export function readResult(value: unknown): Json {
  return new Reading().of(value) ?? null;
}

/** What was thrown, as the model is told of it: `TypeError: text`, or the text alone. @throws {ConditionFault} as above. */
export function readError(error: unknown): Json {
  if (typeof error !== 'object' || error === null) return readResult(error);
  if (types.isProxy(error)) throw new ConditionFault('what was thrown is a proxy');
  // Of an error readers take the message; of anything else what it says of itself.
  if (
    !types.isNativeError(error) &&
    holders(error).some(
      (holder) => !BUILT_IN.has(holder) && (Object.hasOwn(holder, 'toString') || Object.hasOwn(holder, Symbol.toPrimitive)),
    )
  )
    throw new ConditionFault('what was thrown has a text of its own');
  return types.isNativeError(error) || prototypes(error).includes(Error.prototype) ? errorText(error) : readResult(error);
}

/** Whose `toString` gives no more than is read here. */
const BUILT_IN: ReadonlySet<object> = new Set([
  Object.prototype,
  Error.prototype,
  Array.prototype,
  Date.prototype,
  URL.prototype,
  RegExp.prototype,
]);

function errorText(error: object): string {
  const [name, message] = [text(error, 'name'), text(error, 'message')];
  const told = name === 'Error' || name === '' ? message : `${name}: ${message}`;
  if (told.length > MAX_RESULT_CHARS) throw tooLarge();
  return told;
}

class Reading {
  readonly #ancestors = new Set<object>();
  #nodes = MAX_RESULT_NODES;
  #chars = MAX_RESULT_CHARS;

  of(value: unknown): Json | undefined {
    this.#nodes -= 1;
    if (this.#nodes < 0) throw tooLarge();
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return Number.isFinite(value) ? value : null;
      case 'boolean':
        return value;
      case 'bigint':
        return this.#text(String(value));
      case 'object':
        return value === null ? null : this.#object(value);
      case 'undefined':
      case 'function':
      case 'symbol':
        return undefined;
    }
  }

  #text(value: string): string {
    this.#chars -= value.length;
    if (this.#chars < 0) throw tooLarge();
    return value;
  }

  #object(value: object): Json {
    if (types.isProxy(value)) throw new ConditionFault('the result holds a proxy');
    // JSON takes what is in the box, which a class of its own may give out differently.
    if (types.isBoxedPrimitive(value)) throw new ConditionFault('the result holds a boxed text or number');
    const placeholder = typedPlaceholder(value);
    if (placeholder !== undefined) {
      if (!isShownAsItself(value)) throw new ConditionFault('the result holds a built-in object with members of its own');
      return this.#text(placeholder);
    }
    if (types.isNativeError(value) && Object.keys(value).length === 0 && !hasToJson(value)) return this.#text(errorText(value));
    if (this.#ancestors.has(value) || this.#ancestors.size >= MAX_RESULT_DEPTH)
      throw new ConditionFault('the result is nested too deep, or without end');
    if (hasToJson(value)) throw new ConditionFault('the result has a toJSON of its own');
    this.#ancestors.add(value);
    const read = Array.isArray(value) ? this.#array(value) : this.#members(value);
    this.#ancestors.delete(value);
    // Of an error with members JSON shows these, and a reader its text.
    return types.isNativeError(value) ? [this.#text(errorText(value)), read] : read;
  }

  #array(items: readonly unknown[]): Json {
    if (items.length > this.#nodes) throw tooLarge();
    return Array.from({ length: items.length }, (_, i) => this.of(data(Object.getOwnPropertyDescriptor(items, i))) ?? null);
  }

  #members(value: object): Json {
    const members: [string, Json][] = [];
    for (const name of Object.keys(value)) {
      const read = this.of(data(Object.getOwnPropertyDescriptor(value, name)));
      if (read !== undefined) members.push([this.#text(name), read]);
    }
    // From entries: a member named __proto__ stays a member.
    return Object.fromEntries(members);
  }
}

function hasToJson(value: object): boolean {
  return holders(value).some((holder) => Object.hasOwn(holder, 'toJSON'));
}

/** Built-in objects whose `toJSON` shows no more than the placeholder says, or the bytes. */
const PLAIN_TO_JSON: ReadonlySet<object> = new Set([Date.prototype, URL.prototype, Buffer.prototype]);

function isShownAsItself(value: object): boolean {
  if (holders(value).some((holder) => Object.hasOwn(holder, 'toJSON') && !PLAIN_TO_JSON.has(holder))) return false;
  if (ArrayBuffer.isView(value)) return true; // its members are its bytes
  return Object.keys(value).length === 0;
}

function data(descriptor: PropertyDescriptor | undefined): unknown {
  if (descriptor?.get !== undefined || descriptor?.set !== undefined) throw new ConditionFault('the result holds a getter');
  return descriptor?.value;
}

/** A data property of an error, its own or its class's. */
function text(error: object, name: string): string {
  for (const holder of holders(error)) {
    const descriptor = Object.getOwnPropertyDescriptor(holder, name);
    if (descriptor === undefined) continue;
    const value = data(descriptor);
    if (typeof value === 'object' && value !== null) throw new ConditionFault(`the ${name} of an error is no text`);
    return typeof value === 'string' ? value : '';
  }
  return '';
}

function holders(value: object): readonly object[] {
  return [value, ...prototypes(value)];
}

/** @throws {ConditionFault} when the chain cannot be walked without running somebody's code. */
function prototypes(value: object): readonly object[] {
  const chain: object[] = [];
  for (let next = Object.getPrototypeOf(value) as object | null; next !== null; next = Object.getPrototypeOf(next) as object | null) {
    if (types.isProxy(next) || chain.length >= MAX_PROTOTYPES) throw new ConditionFault('the result is of a class that cannot be read');
    chain.push(next);
  }
  return chain;
}

function tooLarge(): ConditionFault {
  return new ConditionFault(`the result is larger than ${MAX_RESULT_CHARS} characters or ${MAX_RESULT_NODES} values`);
}
