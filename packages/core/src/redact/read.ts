/**
 * Reading objects and lists without running anybody's code: every property once, by its descriptor. What would need code is
 * shown as a word in its place.
 */
import { types } from 'node:util';

/** Members of its own, in the order of these names. */
export function readValues(value: object, names: readonly string[]): unknown[] {
  return names.map((name) => dataOf(Object.getOwnPropertyDescriptor(value, name)));
}

/** As many items as the list is long; a hole is `undefined`. The caller bounds the length. */
export function readItems(items: readonly unknown[]): unknown[] {
  const read: unknown[] = [];
  for (let i = 0; i < items.length; i++) read.push(dataOf(Object.getOwnPropertyDescriptor(items, i)));
  return read;
}

/** Gives a new object one more member of its own, whatever objects inherit by that name. */
export function addMember<T>(members: { [name: string]: T }, name: string, member: T): void {
  if (name in members) Object.defineProperty(members, name, { value: member, enumerable: true, configurable: true, writable: true });
  else members[name] = member;
}

/** `[proxy]` for one: any question to it but this runs a trap, or throws. */
export function withoutProxy(value: unknown): unknown {
  return typeof value === 'object' && value !== null && types.isProxy(value) ? '[proxy]' : value;
}

function dataOf(descriptor: PropertyDescriptor | undefined): unknown {
  if (descriptor === undefined) return undefined;
  return 'value' in descriptor ? withoutProxy(descriptor.value) : '[getter]';
}
