/**
 * Reading the built-in types that are not JSON without trusting the object: accessors are taken from the prototypes once,
 * so that an own property of the same name (`{ byteLength: 0 }`) or a getter is never consulted.
 */
import { types } from 'node:util';

/** Serialised URL of a real `URL`; throws for anything else. */
export const URL_TEXT: (url: object) => string = accessor(URL.prototype, 'href');
export const ARRAY_BUFFER_BYTES: (buffer: object) => number = accessor(ArrayBuffer.prototype, 'byteLength');
const TYPED_ARRAY: object = Object.getPrototypeOf(Uint8Array.prototype);
export const TYPED_ARRAY_BYTES: (array: object) => number = accessor(TYPED_ARRAY, 'byteLength');
const TYPED_ARRAY_OFFSET: (array: object) => number = accessor(TYPED_ARRAY, 'byteOffset');
const TYPED_ARRAY_BUFFER: (array: object) => ArrayBufferLike = accessor(TYPED_ARRAY, 'buffer');
const MAP_SIZE: (map: object) => number = accessor(Map.prototype, 'size');
const SET_SIZE: (set: object) => number = accessor(Set.prototype, 'size');
const VIEW_BYTES: (view: object) => number = accessor(DataView.prototype, 'byteLength');

interface BinaryClass {
  readonly name: string;
  over(buffer: ArrayBuffer): NodeJS.TypedArray;
}

/** Typed arrays by prototype. */
export const BINARY_CLASSES: ReadonlyMap<unknown, BinaryClass> = new Map<unknown, BinaryClass>([
  [Buffer.prototype, { name: 'Buffer', over: (buffer) => Buffer.from(buffer) }],
  [Uint8Array.prototype, { name: 'Uint8Array', over: (buffer) => new Uint8Array(buffer) }],
  [Uint8ClampedArray.prototype, { name: 'Uint8ClampedArray', over: (buffer) => new Uint8ClampedArray(buffer) }],
  [Int8Array.prototype, { name: 'Int8Array', over: (buffer) => new Int8Array(buffer) }],
  [Uint16Array.prototype, { name: 'Uint16Array', over: (buffer) => new Uint16Array(buffer) }],
  [Int16Array.prototype, { name: 'Int16Array', over: (buffer) => new Int16Array(buffer) }],
  [Uint32Array.prototype, { name: 'Uint32Array', over: (buffer) => new Uint32Array(buffer) }],
  [Int32Array.prototype, { name: 'Int32Array', over: (buffer) => new Int32Array(buffer) }],
  [Float32Array.prototype, { name: 'Float32Array', over: (buffer) => new Float32Array(buffer) }],
  [Float64Array.prototype, { name: 'Float64Array', over: (buffer) => new Float64Array(buffer) }],
  [BigInt64Array.prototype, { name: 'BigInt64Array', over: (buffer) => new BigInt64Array(buffer) }],
  [BigUint64Array.prototype, { name: 'BigUint64Array', over: (buffer) => new BigUint64Array(buffer) }],
]);

/** A private copy of the bytes of a typed array. Not `slice`, which asks the object for the class of the copy. */
export function copyBytes(array: object): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint8Array(TYPED_ARRAY_BUFFER(array), TYPED_ARRAY_OFFSET(array), TYPED_ARRAY_BYTES(array)));
}

/**
 * What stands in the shown view for a built-in object that is not JSON: `[bytes:12]`, `[date 2026-11-22T06:00:00.000Z]`,
 * `[map:2]`, `[set:3]`, `[regexp]`, `[url https://...]`. The URL is not redacted here. `undefined` for every other object.
 */
export function typedPlaceholder(value: object): string | undefined {
  // Most objects are plain, and each question below leaves the engine. Whoever takes its prototype from a map has a plain object.
  if (!types.isProxy(value)) {
    if (Array.isArray(value)) return undefined;
    const prototype: unknown = Object.getPrototypeOf(value);
    if ((prototype === Object.prototype || prototype === null) && !ArrayBuffer.isView(value)) return undefined;
  }
  if (types.isDate(value)) return dateText(Date.prototype.getTime.call(value));
  if (types.isMap(value)) return `[map:${MAP_SIZE(value)}]`;
  if (types.isSet(value)) return `[set:${SET_SIZE(value)}]`;
  if (types.isRegExp(value)) return '[regexp]';
  if (types.isTypedArray(value)) return `[bytes:${TYPED_ARRAY_BYTES(value)}]`;
  if (types.isArrayBuffer(value)) return `[bytes:${ARRAY_BUFFER_BYTES(value)}]`;
  if (types.isDataView(value)) return `[bytes:${VIEW_BYTES(value)}]`;
  if (isUrl(value)) return `[url ${URL_TEXT(value)}]`;
  return undefined;
}

function dateText(time: number): string {
  return Number.isNaN(time) ? '[date invalid]' : `[date ${new Date(time).toISOString()}]`;
}

function isUrl(value: object): boolean {
  if (types.isProxy(value) || Object.getPrototypeOf(value) !== URL.prototype) return false;
  try {
    URL_TEXT(value);
    return true;
  } catch {
    return false;
  }
}

function accessor<T>(prototype: object, name: string): (target: object) => T {
  const property = Object.getOwnPropertyDescriptor(prototype, name);
  if (property?.get === undefined) throw new TypeError(`this runtime has no accessor ${name}`);
  return (target) => property.get?.call(target) as T; // the language defines what these accessors return
}
