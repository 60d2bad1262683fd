/** Puts functions in the place of others, and takes them away again. */
import fs from 'node:fs';
import { type AnyFunction, inside, outside } from './intrinsics.ts';

export class Patches {
  readonly #undo: (() => void)[] = [];
  /** What could not be replaced, by name. */
  readonly missed: string[] = [];
  #active = true;

  /** Wrappers that somebody wrapped again cannot be taken away: they ask this, and do nothing once it is false. */
  get active(): boolean {
    return this.#active;
  }

  get count(): number {
    return this.#undo.length;
  }

  /** Replaces a method; what this version of Node does not have is passed over. */
  method(owner: object, name: string, make: (original: AnyFunction) => AnyFunction): void {
    const original: unknown = Object.getOwnPropertyDescriptor(owner, name)?.value;
    if (typeof original !== 'function') return;
    const isNodeAlone = owner === fs && name.endsWith('Sync');
    const wrapper = inside(make(outside(original as AnyFunction, isNodeAlone)), owner);
    this.value(owner, name, dressed(wrapper, original as AnyFunction));
  }

  value(owner: object, name: string, replacement: unknown): void {
    const before = Object.getOwnPropertyDescriptor(owner, name);
    if (before === undefined) return;
    if (before.configurable !== true && before.writable !== true) {
      this.missed.push(name);
      return;
    }
    Object.defineProperty(owner, name, 'value' in before ? { ...before, value: replacement } : { ...before, get: () => replacement });
    const after = Object.getOwnPropertyDescriptor(owner, name);
    if ((after?.get === undefined ? after?.value : after.get()) !== replacement) this.missed.push(name);
    this.#undo.push(() => {
      const now = Object.getOwnPropertyDescriptor(owner, name);
      if (now !== undefined && ('value' in now ? now.value : now.get?.call(owner)) === replacement)
        Object.defineProperty(owner, name, before);
    });
  }

  onUndo(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** Once. */
  undo(): void {
    this.#active = false;
    for (const each of this.#undo.splice(0).reverse()) each();
  }
}

/** With name, length and whatever else hangs on the original (`util.promisify.custom`). */
function dressed(wrapper: AnyFunction, original: AnyFunction): AnyFunction {
  for (const key of Reflect.ownKeys(original)) {
    if (key === 'prototype' || key === 'arguments' || key === 'caller') continue;
    const descriptor = Object.getOwnPropertyDescriptor(original, key);
    if (descriptor !== undefined) Object.defineProperty(wrapper, key, descriptor);
  }
  return wrapper;
}
