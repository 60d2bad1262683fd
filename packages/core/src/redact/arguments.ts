import { createHash } from 'node:crypto';
import { types } from 'node:util';
import { CountersignError } from '../errors.ts';
import { ARRAY_BUFFER_BYTES, BINARY_CLASSES, copyBytes, TYPED_ARRAY_BYTES, URL_TEXT } from './host-types.ts';
import { pointerText } from './pointer.ts';
import { addMember } from './read.ts';
import type { Redactor } from './redact.ts';
import { redactText } from './scan.ts';

/** Containers inside one another. */
export const MAX_ARGUMENT_DEPTH = 100;
/** Values in all, containers included. */
export const MAX_ARGUMENT_NODES = 200_000;
/** UTF-8 bytes of the exact text. */
export const MAX_ARGUMENT_BYTES = 4_194_304;
/** Bytes of all buffers and typed arrays together: they are hashed, so they do not show in the exact text. */
export const MAX_ARGUMENT_BINARY_BYTES = 16_777_216;

export interface CapturedArguments {
  /** A private deep copy: what is decided on, and later run. */
  readonly value: unknown;
  /** Injective text of `value`, only ever MAC'd, never parsed and never shown. */
  readonly exact: string;
}

/**
 * Copies arguments once, so that what was decided is what runs, and writes them as one text that no other value has.
 *
 * JSON values are written as RFC 8785; others with a marker that cannot begin a JSON value: `!date(0)`,
 * `!bytes(Buffer,<sha256 hex>,<length>)`, `!map([keys],[values])`, `!set([v])`, `!url("...")`, `!regexp("source","flags",0)`,
 * `!undefined` (in arrays and at the root; array holes become `undefined`). Members that are `undefined` are left out of
 * copy and text; -0 becomes 0. Getters are never run and every property is read once, so a proxy cannot show us one value
 * and the tool another.
 *
 * @param redactor - for names in the place of a refusal, which are escaped there: afterwards nothing would find a secret in them.
 * @throws {CountersignError} `ARGUMENTS_INVALID`, naming the place by JSON pointer; nothing else, whatever `raw` does.
 */
export function captureArguments(raw: unknown, redactor: Pick<Redactor, 'text'> = BUILT_IN): CapturedArguments {
  const capture = new Capture(redactor);
  try {
    const captured = capture.any(raw);
    if (Buffer.byteLength(captured.exact) > MAX_ARGUMENT_BYTES) capture.refuse(TOO_LARGE);
    return captured;
  } catch (error) {
    // Compared by identity: a trap may throw an object that merely carries our brand, or `undefined`.
    if (capture.refusal !== undefined && error === capture.refusal) throw error;
    // No cause: a trap's own message is attacker-controlled and may quote a secret.
    throw capture.failure('could not be read (a proxy trap or a hostile object threw); pass plain data');
  }
}

const BUILT_IN: Pick<Redactor, 'text'> = { text: (value) => redactText(value) };
const TOO_LARGE = `is larger than ${MAX_ARGUMENT_BYTES} bytes as text; pass a reference instead`;
/** Nothing in it to escape. */
const PLAIN_STRING = /^[ !#-[\]-~]*$/;
/** In longer ones the engine's own search for what is to be escaped is the faster one. */
const SHORT_CHARS = 128;
const UNDEFINED: CapturedArguments = { value: undefined, exact: '!undefined' };

/** More are sorted by a library, which makes lists for it. */
const FEW_NAMES = 32;

/** The texts in the order of their names. */
function inOrder(texts: string[], names: string[]): readonly string[] {
  if (names.length <= FEW_NAMES) {
    for (let i = 1; i < names.length; i++) {
      const name = names[i] as string;
      const text = texts[i] as string;
      let at = i;
      for (; at > 0 && (names[at - 1] as string) > name; at--) {
        names[at] = names[at - 1] as string;
        texts[at] = texts[at - 1] as string;
      }
      names[at] = name;
      texts[at] = text;
    }
    return texts;
  }
  const order = names.map((_, i) => i).sort((one, other) => ((names[one] as string) < (names[other] as string) ? -1 : 1));
  return order.map((i) => texts[i] as string);
}

class Capture {
  readonly #redactor: Pick<Redactor, 'text'>;
  refusal: CountersignError | undefined;
  readonly #path: (string | number)[] = [];
  readonly #ancestors: object[] = [];
  #nodes = 0;
  #chars = 0;
  #binaryBytes = 0;

  constructor(redactor: Pick<Redactor, 'text'>) {
    this.#redactor = redactor;
  }

  any(raw: unknown): CapturedArguments {
    this.#countNodes(1);
    switch (typeof raw) {
      case 'string':
        return { value: raw, exact: this.#quote(raw) };
      case 'number':
        return this.#number(raw);
      case 'boolean':
        return { value: raw, exact: String(raw) };
      case 'undefined':
        return UNDEFINED;
      case 'object':
        return raw === null ? { value: null, exact: 'null' } : this.#object(raw);
      case 'bigint':
        return this.refuse('is a BigInt; pass a string or a safe integer');
      case 'symbol':
      case 'function':
        return this.refuse(`is a ${typeof raw}; pass plain data`);
    }
  }

  refuse(problem: string): never {
    throw this.failure(problem);
  }

  failure(problem: string): CountersignError {
    const pointer = pointerText(this.#path.map((step) => (typeof step === 'string' ? this.#redactor.text(step) : step)));
    this.refusal = new CountersignError('ARGUMENTS_INVALID', `arguments${pointer === '' ? '' : ` at ${pointer}`}: value ${problem}`, {
      details: { pointer },
    });
    return this.refusal;
  }

  #number(raw: number): CapturedArguments {
    if (!Number.isFinite(raw)) this.refuse(`is ${raw}; pass a finite number`);
    const value = raw === 0 ? 0 : raw;
    return { value, exact: String(value) };
  }

  #object(raw: object): CapturedArguments {
    if (this.#ancestors.includes(raw)) this.refuse('contains itself; pass a tree');
    if (this.#ancestors.length >= MAX_ARGUMENT_DEPTH) this.refuse(`is nested deeper than ${MAX_ARGUMENT_DEPTH} levels`);
    this.#ancestors.push(raw);
    const captured = this.#container(raw);
    this.#ancestors.pop();
    return captured;
  }

  #container(raw: object): CapturedArguments {
    if (Array.isArray(raw)) return this.#array(raw);
    const prototype: unknown = Object.getPrototypeOf(raw);
    if (prototype === Object.prototype || prototype === null) return this.#plain(raw);
    // Brand *and* prototype: an object of a subclass would lose what makes it one. Proxies have no brand.
    if (prototype === Date.prototype && types.isDate(raw)) return this.#date(raw);
    if (prototype === Map.prototype && types.isMap(raw)) return this.#map(raw);
    if (prototype === Set.prototype && types.isSet(raw)) return this.#set(raw);
    if (prototype === RegExp.prototype && types.isRegExp(raw)) return this.#regexp(raw);
    if (prototype === URL.prototype) return this.#url(raw);
    if (prototype === ArrayBuffer.prototype && types.isArrayBuffer(raw)) return this.#arrayBuffer(raw);
    if (types.isTypedArray(raw)) return this.#typedArray(raw, prototype);
    return this.refuse('is an instance of a class; pass plain data');
  }

  #plain(raw: object): CapturedArguments {
    const keys = Reflect.ownKeys(raw);
    this.#checkRoom(keys.length);
    const value: { [name: string]: unknown } = {};
    const names: string[] = [];
    const texts: string[] = [];
    let isSorted = true;
    for (const key of keys) {
      if (typeof key === 'symbol') this.refuse('has a symbol as key');
      this.#path.push(key);
      if (key === '__proto__') this.refuse('has the name __proto__; rename it');
      const member = this.any(this.#read(raw, key));
      if (member !== UNDEFINED) {
        addMember(value, key, member.value);
        // RFC 8785 section 3.2.3: by UTF-16 code units, which is how JavaScript compares strings.
        isSorted &&= names.length === 0 || (names.at(-1) as string) < key;
        names.push(key);
        texts.push(`${this.#quote(key)}:${member.exact}`);
      }
      this.#path.pop();
    }
    return { value, exact: `{${(isSorted ? texts : inOrder(texts, names)).join(',')}}` };
  }

  #array(raw: readonly unknown[]): CapturedArguments & { readonly value: readonly unknown[] } {
    const prototype: unknown = Object.getPrototypeOf(raw);
    if (prototype !== Array.prototype) this.refuse('is an instance of a class; pass plain data');
    const length: unknown = Object.getOwnPropertyDescriptor(raw, 'length')?.value;
    // A proxy may answer anything.
    if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) return this.refuse('has no usable length');
    this.#checkRoom(length);
    const value: unknown[] = [];
    let present = 0;
    let exact = '[';
    for (let i = 0; i < length; i++) {
      this.#path.push(i);
      const descriptor = Object.getOwnPropertyDescriptor(raw, i);
      if (descriptor !== undefined) present += 1;
      const item = this.any(descriptor === undefined ? undefined : this.#data(descriptor));
      value.push(item.value);
      exact += i === 0 ? item.exact : `,${item.exact}`;
      this.#path.pop();
    }
    if (Reflect.ownKeys(raw).length !== present + 1) this.refuse('is an array with properties besides its elements');
    return { value, exact: `${exact}]` };
  }

  #date(raw: Date): CapturedArguments {
    this.#refuseExtras(raw, 0);
    const time = Date.prototype.getTime.call(raw);
    if (Number.isNaN(time)) this.refuse('is an invalid Date');
    return { value: new Date(time), exact: `!date(${time})` };
  }

  #map(raw: ReadonlyMap<unknown, unknown>): CapturedArguments {
    this.#refuseExtras(raw, 0);
    const rawKeys: unknown[] = [];
    const rawValues: unknown[] = [];
    Map.prototype.forEach.call(raw, (value: unknown, key: unknown) => {
      rawKeys.push(key);
      rawValues.push(value);
    });
    const keys = this.#array(rawKeys);
    const values = this.#array(rawValues);
    return { value: new Map(keys.value.map((key, i) => [key, values.value[i]])), exact: `!map(${keys.exact},${values.exact})` };
  }

  #set(raw: ReadonlySet<unknown>): CapturedArguments {
    this.#refuseExtras(raw, 0);
    const items: unknown[] = [];
    Set.prototype.forEach.call(raw, (item: unknown) => items.push(item));
    const { value, exact } = this.#array(items);
    return { value: new Set(value), exact: `!set(${exact})` };
  }

  #regexp(raw: RegExp): CapturedArguments {
    this.#refuseExtras(raw, 1);
    const lastIndex: unknown = Object.getOwnPropertyDescriptor(raw, 'lastIndex')?.value;
    if (typeof lastIndex !== 'number' || !Number.isSafeInteger(lastIndex)) this.refuse('is a RegExp whose lastIndex is not an integer');
    const value = new RegExp(raw.source, raw.flags);
    value.lastIndex = lastIndex;
    return { value, exact: `!regexp(${this.#quote(raw.source)},${this.#quote(raw.flags)},${lastIndex})` };
  }

  #url(raw: object): CapturedArguments {
    this.#refuseExtras(raw, 0);
    const href = URL_TEXT(raw);
    return { value: new URL(href), exact: `!url(${this.#quote(href)})` };
  }

  #arrayBuffer(raw: ArrayBuffer): CapturedArguments {
    this.#refuseExtras(raw, 0);
    this.#countBinary(ARRAY_BUFFER_BYTES(raw));
    const copy = copyBytes(new Uint8Array(raw));
    return { value: copy.buffer, exact: bytesText('ArrayBuffer', copy) };
  }

  #typedArray(raw: NodeJS.TypedArray, prototype: unknown): CapturedArguments {
    const binary = BINARY_CLASSES.get(prototype);
    if (binary === undefined) return this.refuse('is an instance of a class; pass plain data');
    this.#countBinary(TYPED_ARRAY_BYTES(raw));
    // The copy is hashed, not the original: shared memory may change in between.
    const copy = copyBytes(raw);
    return { value: binary.over(copy.buffer), exact: bytesText(binary.name, copy) };
  }

  #read(raw: object, key: string): unknown {
    const descriptor = Object.getOwnPropertyDescriptor(raw, key);
    if (descriptor === undefined) return this.refuse('disappeared while it was read');
    return this.#data(descriptor);
  }

  #data(descriptor: PropertyDescriptor): unknown {
    if (descriptor.get !== undefined || descriptor.set !== undefined) this.refuse('is a getter or setter; pass plain data');
    if (descriptor.enumerable !== true) this.refuse('is a hidden (non-enumerable) property');
    return descriptor.value;
  }

  #refuseExtras(raw: object, expected: number): void {
    if (Reflect.ownKeys(raw).length !== expected) this.refuse('has properties of its own besides its content');
  }

  #quote(text: string): string {
    // Checked before any copying: a string far too long is refused at the cost of looking at its length.
    if (this.#chars + text.length > MAX_ARGUMENT_BYTES) this.refuse(TOO_LARGE);
    if (!text.isWellFormed()) this.refuse('holds a lone surrogate; pass well-formed Unicode');
    const quoted = text.length <= SHORT_CHARS && PLAIN_STRING.test(text) ? `"${text}"` : JSON.stringify(text);
    this.#chars += quoted.length;
    return quoted;
  }

  #countNodes(count: number): void {
    this.#checkRoom(count);
    this.#nodes += count;
  }

  #checkRoom(count: number): void {
    if (this.#nodes + count > MAX_ARGUMENT_NODES) this.refuse(`brings the arguments above ${MAX_ARGUMENT_NODES} values`);
  }

  #countBinary(bytes: number): void {
    this.#binaryBytes += bytes;
    if (this.#binaryBytes > MAX_ARGUMENT_BINARY_BYTES) this.refuse(`brings binary data above ${MAX_ARGUMENT_BINARY_BYTES} bytes`);
  }
}

function bytesText(name: string, bytes: Uint8Array): string {
  return `!bytes(${name},${createHash('sha256').update(bytes).digest('hex')},${bytes.length})`;
}
