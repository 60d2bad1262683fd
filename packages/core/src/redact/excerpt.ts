import { types } from 'node:util';
import type { Json } from '../call.ts';
import { typedPlaceholder } from './host-types.ts';
import { addMember } from './read.ts';
import type { Redactor } from './redact.ts';
import { redactText } from './scan.ts';

/** Characters of the excerpt's canonical JSON text, unless the caller asks for another number. */
export const MAX_EXCERPT_CHARS = 2000;
const MIN_EXCERPT_CHARS = 32;
/** Bounds of what is looked at at all: results may be of any size, and of any hostility. */
const MAX_EXCERPT_DEPTH = 16;
const MAX_EXCERPT_NODES = 2000;
const MAX_SCANNED_CHARS = 65_536;
/** What is dropped behind a raw cut: longer than the visible rest of any secret that the cut may have split. */
const CUT_MARGIN_CHARS = 8192;
const MAX_PROTOTYPES = 16;

const CUT = '… [cut]';

/**
 * A short, redacted, JSON view of anything a tool returned or threw: for the ledger's openings, prompts and logs.
 *
 * Never throws and never runs a getter, a proxy trap or `toJSON`. Secrets are replaced before anything is cut, so no cut
 * secret survives. What does not fit is a string that ends in `… [cut]`.
 *
 * @param maxChars - limit for `JSON.stringify(result).length`, at least 32.
 */
export function showAnything(value: unknown, redactor: Redactor, maxChars: number = MAX_EXCERPT_CHARS): Json {
  try {
    const { shown } = redactor.redact(new Sketch(redactor).any(value));
    return cut(shown, Math.max(MIN_EXCERPT_CHARS, Math.floor(maxChars) || 0));
  } catch {
    return '[unreadable]';
  }
}

/**
 * Class name of an error, safe for a ledger body: `[A-Za-z0-9_.]{1,64}`, else `Error`; `NonError` for anything else thrown.
 * Never throws and never runs a getter.
 *
 * @param redactor - whose own values and detectors count too; default: the built-in ones.
 */
export function errorType(error: unknown, redactor?: Pick<Redactor, 'text'>): string {
  try {
    if (!isError(error)) return 'NonError';
    const name = className(error);
    // The ledger keeps this for good, so a name made of a secret must not get there.
    return name !== undefined && (redactor?.text(name) ?? redactText(name)) === name ? name : 'Error';
  } catch {
    return 'Error';
  }
}

/** Copies what is worth showing into plain JSON, within the bounds above. */
class Sketch {
  readonly #redactor: Redactor;
  readonly #ancestors: object[] = [];
  #nodes = MAX_EXCERPT_NODES;
  #chars = MAX_SCANNED_CHARS;

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  any(value: unknown): Json {
    this.#nodes -= 1;
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return Number.isFinite(value) ? value : `[${value}]`;
      case 'boolean':
        return value;
      case 'undefined':
        return null;
      case 'bigint':
      case 'symbol':
      case 'function':
        return `[${typeof value}]`;
      case 'object':
        return value === null ? null : this.#object(value);
    }
  }

  #text(value: string): string {
    const room = this.#chars;
    this.#chars = Math.max(0, room - value.length);
    if (value.length <= room) return value.toWellFormed();
    const start = this.#redactor.text(value.slice(0, room).toWellFormed());
    return start.slice(0, Math.max(0, start.length - CUT_MARGIN_CHARS)).toWellFormed() + CUT;
  }

  #object(value: object): Json {
    if (types.isProxy(value)) return '[proxy]';
    if (this.#ancestors.includes(value)) return '[cycle]';
    if (this.#ancestors.length >= MAX_EXCERPT_DEPTH) return '[too deep]';
    this.#ancestors.push(value);
    const shown = this.#container(value);
    this.#ancestors.pop();
    return shown;
  }

  #container(value: object): Json {
    if (Array.isArray(value)) return this.#array(value);
    const text = typedPlaceholder(value);
    if (text !== undefined) return this.#text(text);
    if (isError(value)) return this.#error(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return `[instance ${className(value) ?? 'of a class'}]`;
    return this.#plain(value);
  }

  #array(items: readonly unknown[]): Json {
    const shown: Json[] = [];
    for (let i = 0; i < items.length; i++) {
      if (this.#nodes <= 0) return [...shown, `[${items.length - i} more]`];
      shown.push(this.#member(Object.getOwnPropertyDescriptor(items, i)));
    }
    return shown;
  }

  #plain(value: object): Json {
    const names = Object.keys(value);
    const shown: { [name: string]: Json } = {};
    let members = 0;
    for (const name of names) {
      if (this.#nodes <= 0) {
        addMember(shown, '…', `[${names.length - members} more]`);
        break;
      }
      const descriptor = Object.getOwnPropertyDescriptor(value, name);
      if (descriptor !== undefined && 'value' in descriptor && descriptor.value === undefined) continue;
      addMember(shown, this.#text(name), this.#member(descriptor));
      members += 1;
    }
    return shown;
  }

  #error(error: object): Json {
    const name = dataProperty(error, 'name');
    const message = dataProperty(error, 'message');
    const code = dataProperty(error, 'code');
    return {
      name: typeof name === 'string' ? this.#text(name) : errorType(error),
      message: typeof message === 'string' ? this.#text(message) : '[unreadable]',
      ...(typeof code === 'string' || typeof code === 'number' ? { code: this.any(code) } : {}),
    };
  }

  #member(descriptor: PropertyDescriptor | undefined): Json {
    // Holes and getters count as nodes too: an array may be four billion holes.
    if (descriptor !== undefined && !('value' in descriptor)) return this.any('[getter]');
    return this.any(descriptor?.value);
  }
}

function isError(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return false;
  return types.isNativeError(value) || prototypes(value).includes(Error.prototype);
}

function className(value: object): string | undefined {
  for (const prototype of prototypes(value)) {
    const make: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
    if (typeof make !== 'function' || types.isProxy(make)) continue;
    const name: unknown = Object.getOwnPropertyDescriptor(make, 'name')?.value;
    return typeof name === 'string' && /^[A-Za-z0-9_.]{1,64}$/.test(name) ? name : undefined;
  }
  return undefined;
}

/** A property's value as data, from the object or its prototypes; `undefined` for a getter. */
function dataProperty(value: object, name: string): unknown {
  for (const holder of [value, ...prototypes(value)]) {
    const descriptor = Object.getOwnPropertyDescriptor(holder, name);
    if (descriptor !== undefined) return descriptor.value;
  }
  return undefined;
}

/** The prototype chain as far as it can be walked without running anyone's code. */
function prototypes(value: object): readonly object[] {
  const chain: object[] = [];
  let next = Object.getPrototypeOf(value) as object | null;
  while (next !== null && chain.length < MAX_PROTOTYPES && !types.isProxy(next)) {
    chain.push(next);
    next = Object.getPrototypeOf(next) as object | null;
  }
  return chain;
}

function cut(shown: Json, limit: number): Json {
  const text = JSON.stringify(shown);
  if (text.length <= limit) return shown;
  const body = typeof shown === 'string' ? shown : text;
  let length = limit;
  for (;;) {
    const kept = body.slice(0, length) + CUT;
    const excess = JSON.stringify(kept).length - limit;
    if (excess <= 0) return kept;
    // A character is at most six in JSON, so this never cuts too much. Half a surrogate pair is six where the pair is two: it
    // never fits where the pair did not, so no cut ends inside one.
    length -= Math.max(1, Math.ceil(excess / 6));
  }
}
