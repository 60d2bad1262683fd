/**
 * What every program has, and any code in it can replace: `Map.prototype.get`, `String.prototype.includes`, `path.resolve`. The probe and
 * its rules are written with it, so whoever replaces one runs inside of the judge. Therefore each act is judged with those that were
 * there when this module was first evaluated: what was replaced since is put back for that moment, and is again what it was when the
 * built-in runs. Programs that improve on the language keep what they have.
 *
 * What was replaced before cannot be told from what Node has. A getter that gives the true one to whoever looks and another to whoever
 * uses it, and a member that was hidden in `Object.prototype` or `Array.prototype`, are found within a hundred acts, not at once.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import url from 'node:url';
import types from 'node:util/types';
import { compileFunction } from 'node:vm';

export type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

const { apply, defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;

interface Replaced {
  readonly owner: object;
  readonly key: PropertyKey;
  /** Undefined: there was none. */
  readonly by: PropertyDescriptor | undefined;
}

/** While one act is judged. */
interface Frame {
  readonly outer: Frame | undefined;
  /** Code of others may have run since it began: getters of options, texts of objects. */
  readonly isSuspect: boolean;
  replaced: Replaced[] | undefined;
}

const prototypeOf = (value: object): object => getPrototypeOf(value) as object;
/** What tests compare with the sources: each method that the probe and its rules call by name is here. */
export const KEPT: readonly (readonly [name: string, owner: object, keys: readonly PropertyKey[]])[] = [
  [
    'Array.prototype',
    Array.prototype,
    'at concat find findIndex findLast findLastIndex pop push reverse shift unshift slice splice includes indexOf lastIndexOf join keys entries values filter flat flatMap map every some forEach reduce sort toReversed toSorted toString constructor'.split(
      ' ',
    ),
  ],
  ['Array', Array, ['isArray', 'from', 'of', Symbol.species]],
  [
    'String.prototype',
    String.prototype,
    'at charAt charCodeAt codePointAt concat endsWith includes indexOf lastIndexOf match matchAll normalize padEnd padStart repeat replace replaceAll search slice split startsWith substring toString toWellFormed isWellFormed trim trimEnd trimStart toLowerCase toUpperCase valueOf'.split(
      ' ',
    ),
  ],
  ['String', String, ['fromCharCode', 'fromCodePoint', 'raw']],
  ['Map.prototype', Map.prototype, ['get', 'set', 'has', 'delete', 'clear', 'entries', 'keys', 'values', 'forEach', 'size']],
  ['Set.prototype', Set.prototype, ['has', 'add', 'delete', 'clear', 'entries', 'values', 'keys', 'forEach', 'size']],
  ['WeakMap.prototype', WeakMap.prototype, ['delete', 'get', 'set', 'has']],
  [
    'RegExp.prototype',
    RegExp.prototype,
    [
      'exec',
      'toString',
      'test',
      'flags',
      'global',
      'unicode',
      'sticky',
      'hasIndices',
      'ignoreCase',
      'multiline',
      'dotAll',
      'unicodeSets',
      'constructor',
      Symbol.replace,
      Symbol.match,
      Symbol.matchAll,
      Symbol.split,
      Symbol.search,
    ],
  ],
  ['RegExp', RegExp, [Symbol.species]],
  [
    'Object',
    Object,
    'assign defineProperty entries freeze fromEntries getOwnPropertyDescriptor getOwnPropertySymbols getPrototypeOf hasOwn is keys values'.split(
      ' ',
    ),
  ],
  ['Object.prototype', Object.prototype, ['toString', 'valueOf', 'hasOwnProperty']],
  [
    'Reflect',
    Reflect,
    [
      'apply',
      'construct',
      'defineProperty',
      'deleteProperty',
      'get',
      'getOwnPropertyDescriptor',
      'getPrototypeOf',
      'has',
      'ownKeys',
      'set',
    ],
  ],
  ['Number', Number, ['isFinite', 'isInteger', 'isNaN', 'isSafeInteger', 'parseInt']],
  ['Number.prototype', Number.prototype, ['toString', 'valueOf']],
  ['JSON', JSON, ['parse', 'stringify']],
  ['Math', Math, ['abs', 'floor', 'imul', 'max', 'min', 'round']],
  ['Function.prototype', Function.prototype, ['apply', 'bind', 'call', 'toString']],
  ['Promise', Promise, ['resolve', 'reject']],
  ['Promise.prototype', Promise.prototype, ['then', 'catch', 'finally', 'constructor']],
  ['AsyncLocalStorage.prototype', AsyncLocalStorage.prototype, ['getStore', 'run', 'exit', 'enterWith']],
  ['URL', URL, ['parse', 'canParse']],
  ['URL.prototype', URL.prototype, ['href', 'protocol', 'hostname', 'port', 'pathname', 'search', 'hash', 'host', 'toString']],
  ['Buffer', Buffer, ['from', 'alloc', 'allocUnsafe', 'concat', 'byteLength']],
  ['Buffer.prototype', Buffer.prototype, ['toString', 'equals', 'includes', 'indexOf', 'lastIndexOf', 'subarray', 'slice']],
  ['Uint8Array.prototype', prototypeOf(Uint8Array.prototype), ['set', 'subarray', 'slice', 'at', 'length', 'byteLength', Symbol.iterator]],
  // What `for ... of` and spreading go through.
  ['Array.prototype[@@iterator]', Array.prototype, [Symbol.iterator]],
  ['Map.prototype[@@iterator]', Map.prototype, [Symbol.iterator]],
  ['Set.prototype[@@iterator]', Set.prototype, [Symbol.iterator]],
  ['String.prototype[@@iterator]', String.prototype, [Symbol.iterator]],
  ...[[], new Map(), new Set(), '', 'a'.matchAll(/a/g)].map(
    (each, i) =>
      [`iterator ${i}`, prototypeOf((each as { [Symbol.iterator](): object })[Symbol.iterator]()), ['next']] as readonly [
        string,
        object,
        readonly PropertyKey[],
      ],
  ),
  ['path', path, ['basename', 'dirname', 'isAbsolute', 'join', 'normalize', 'resolve', 'relative', 'extname']],
  ['url', url, ['fileURLToPath', 'pathToFileURL']],
  ['util.types', types, ['isProxy', 'isUint8Array']],
  ['net', net, ['isIP', 'isIPv4', 'isIPv6']],
  ['net.BlockList.prototype', net.BlockList.prototype, ['check', 'addSubnet', 'addAddress']],
  ['os', os, ['tmpdir', 'homedir']],
  [
    'globalThis',
    globalThis,
    'Array Boolean Buffer Error JSON Map Math Number Object Promise Proxy Reflect RegExp Request Set String Symbol TypeError URL WeakMap decodeURIComponent encodeURIComponent parseInt process setImmediate'.split(
      ' ',
    ),
  ],
];

/** Four places for each: owner, key, and what was there, which is a value or the getter of one. */
const slots: unknown[] = [];
const PLACES = 4;
const before = new Map<object, Map<PropertyKey, PropertyDescriptor>>();
/** Those that are values, to be compared by reading them: a tenth of what looking at each costs. */
const comparisons: string[] = [];
/** Getters of the language: to be looked at, each time; those of URLs and buffers where an act was given any. */
const looks: string[] = [];
const looksAtObjects: string[] = [];
const OF_OBJECTS: ReadonlySet<object> = new Set([URL.prototype, prototypeOf(Uint8Array.prototype)]);
for (const [, owner, keys] of KEPT) {
  for (const key of keys) {
    const descriptor = getOwnPropertyDescriptor(owner, key);
    if (descriptor === undefined) continue;
    const at = slots.length;
    if ('value' in descriptor) comparisons.push(`s${at}[s${at + 1}]!==s${at + 2}`);
    else if (owner !== globalThis) (OF_OBJECTS.has(owner) ? looksAtObjects : looks).push(`look(s${at},s${at + 1})?.get!==s${at + 3}`);
    slots.push(owner, key, descriptor.value, descriptor.get);
    const kept = before.get(owner) ?? new Map<PropertyKey, PropertyDescriptor>();
    before.set(owner, kept.set(key, descriptor));
  }
}
/** Straight down, so that each read has a place of its own in the code: a loop costs ten times as much. Made of numbers alone. */
const differs = straight([...comparisons, ...looks]);
const differsInObjects = straight(looksAtObjects);
function straight(differences: readonly string[]): () => boolean {
  const names = ['look', ...slots.map((_, at) => `s${at}`)];
  return compileFunction(`return()=>${differences.join('||')}`, names)(getOwnPropertyDescriptor, ...slots) as () => boolean;
}
/** A getter can give the true one to whoever compares. So of each so many are looked at, in turn. */
const LOOKED_AT = 4;
let next = 0;

/** Whatever is added to these is a member of everything, or of every list. */
const OPEN = [Object.prototype, Array.prototype] as const;
const KEYS = OPEN.map((owner) => ownKeys(owner).length);
const known = OPEN.map((owner) => new Set(ownKeys(owner)));
const mapGet = getOwnPropertyDescriptor(Map.prototype, 'get')?.value as AnyFunction;
const setHas = getOwnPropertyDescriptor(Set.prototype, 'has')?.value as AnyFunction;

const NOTHING: readonly never[] = Object.freeze([]);
const ACTS = 32;
let acts = 0;

let current: Frame | undefined;
/** Since all was looked at nothing but Node itself ran: the next look is spared. */
let isFresh = false;

/** A function that runs with what there was. @param owner - what it is a method of: any other `this` may be somebody's own making. */
export function inside(run: AnyFunction, owner?: object): AnyFunction {
  return function (this: unknown, ...args) {
    let isSuspect = typeof this === 'object' && this !== null && this !== owner;
    for (let i = 0; i < args.length && !isSuspect; i++)
      isSuspect = (typeof args[i] === 'object' && args[i] !== null) || typeof args[i] === 'function';
    const frame: Frame = { outer: current, isSuspect, replaced: isFresh && !isSuspect ? undefined : restored(isSuspect) };
    isFresh = false;
    current = frame;
    try {
      return apply(run, this, args);
    } finally {
      putBack(frame);
      current = frame.outer;
    }
  };
}

/** Once, with what there was. */
export function within<T>(work: () => T): T {
  const frame: Frame = { outer: current, isSuspect: true, replaced: restored(true) };
  current = frame;
  try {
    return work();
  } finally {
    putBack(frame);
    current = frame.outer;
  }
}

/**
 * A function that runs with what the program has, although it is called inside.
 *
 * @param isNodeAlone - it calls nothing of anybody's, when it is given texts and numbers.
 */
export function outside(run: AnyFunction, isNodeAlone = false): AnyFunction {
  return function (this: unknown, ...args) {
    const frame = current;
    if (frame?.replaced === undefined) {
      if (frame === undefined || !isNodeAlone || frame.isSuspect) return apply(run, this, args);
      isFresh = true;
      try {
        return apply(run, this, args);
      } finally {
        isFresh = false;
      }
    }
    putBack(frame);
    current = undefined;
    try {
      return apply(run, this, args);
    } finally {
      current = frame;
      frame.replaced = restored(frame.isSuspect);
    }
  };
}

/** Once more, where code of others had its chance since. */
export function recheck(): void {
  if (current?.isSuspect !== true) return;
  const again = restored(true);
  if (again === undefined) return;
  const list = (current.replaced ??= []);
  // By index: what lists can do is what this is about.
  for (let i = 0; i < again.length; i++) define(list, list.length, again[i]);
}

/** @throws {TypeError} when one was replaced for good; nothing is judged then, and nothing goes on. */
function restored(isSuspect: boolean): Replaced[] | undefined {
  return hasChanged(isSuspect) ? allRestored() : undefined;
}

function hasChanged(isSuspect: boolean): boolean {
  // What is no object any more throws.
  try {
    if (differs() || (isSuspect && differsInObjects())) return true;
  } catch {
    return true;
  }
  for (let left = LOOKED_AT; left > 0; left--) {
    if (!isThere(next, getOwnPropertyDescriptor(slots[next] as object, slots[next + 1] as PropertyKey))) return true;
    next = next + PLACES < slots.length ? next + PLACES : 0;
  }
  // Members that were put there by assignment. Others are counted now and then: that costs as much as all the rest.
  for (const _ in NOTHING as object) return true;
  if (++acts % ACTS === 0) for (let i = 0; i < OPEN.length; i++) if (ownKeys(OPEN[i] as object).length !== KEYS[i]) return true;
  return false;
}

/** As a value what was one, as a getter what was one: each can be put in the place of the other. */
function isThere(at: number, by: PropertyDescriptor | undefined): boolean {
  return by !== undefined && by.value === slots[at + 2] && by.get === slots[at + 3];
}

function allRestored(): Replaced[] | undefined {
  let list: Replaced[] | undefined;
  for (let i = 0; i < slots.length; i += PLACES) {
    const owner = slots[i] as object;
    const key = slots[i + 1] as PropertyKey;
    const by = getOwnPropertyDescriptor(owner, key);
    if (isThere(i, by)) continue;
    const was = apply(mapGet, apply(mapGet, before, [owner]), [key]) as PropertyDescriptor;
    list ??= [];
    define(list, list.length, { owner, key, by });
    if (!defineProperty(owner, key, was)) throw stuck();
  }
  for (let i = 0; i < OPEN.length; i++) {
    const owner = OPEN[i] as object;
    const keys = ownKeys(owner);
    if (keys.length === KEYS[i]) continue;
    for (let j = 0; j < keys.length; j++) {
      const key = keys[j] as PropertyKey;
      if (apply(setHas, known[i], [key])) continue;
      list ??= [];
      define(list, list.length, { owner, key, by: getOwnPropertyDescriptor(owner, key) });
      if (!deleteProperty(owner, key)) throw stuck();
    }
  }
  return list;
}

function putBack(frame: Frame): void {
  const list = frame.replaced;
  frame.replaced = undefined;
  if (list === undefined) return;
  // The last one first: what was replaced twice is again what it was at the beginning.
  for (let i = list.length - 1; i >= 0; i--) {
    const { owner, key, by } = list[i] as Replaced;
    if (by === undefined) deleteProperty(owner, key);
    else defineProperty(owner, key, by);
  }
}

/** Not by assignment, which asks setters of prototypes. */
function define(list: Replaced[], at: number, value: Replaced | undefined): void {
  defineProperty(list, at, { __proto__: null, value, writable: true, enumerable: true, configurable: true } as PropertyDescriptor);
}

function stuck(): TypeError {
  return new TypeError('what every program has was replaced for good: the probe cannot judge, so nothing goes on');
}
