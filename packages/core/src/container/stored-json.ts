/** Reading JSON that somebody else stored: bounded in depth, and members only by name and type. */
import type { Json } from '../call.ts';
import { MAX_CANONICAL_DEPTH } from '../ledger/canonical.ts';

export type Members = { readonly [key: string]: Json };

/**
 * The object a text holds; undefined for anything else, also for one nested deeper than an entry may be.
 *
 * @param exactNumbers - numbers a double cannot hold come as the text that stood there.
 */
export function parseMembers(text: string, exactNumbers = false): Members | undefined {
  let value: unknown;
  try {
    value = exactNumbers ? JSON.parse(text, keepExact) : JSON.parse(text);
  } catch {
    return undefined;
  }
  return isShallow(value) ? members(value) : undefined;
}

export function members(value: unknown): Members | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;
}

/** A member of an object from anybody: own ones only. */
export function member(object: Members | undefined, name: string): Json | undefined {
  return object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
}

export function textOf(object: Members | undefined, name: string): string | undefined {
  const value = member(object, name);
  return typeof value === 'string' ? value : undefined;
}

export function countOf(object: Members | undefined, name: string): number | undefined {
  const value = member(object, name);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function membersOf(object: Members | undefined, name: string): Members | undefined {
  return members(member(object, name));
}

/** JavaScript hands the source of a number to the reviver; the types do not know it yet. */
function keepExact(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return typeof value === 'number' && source !== undefined && String(value) !== source ? source : value;
}

/** No deeper than an entry may be: whoever walks it needs no bound of its own. */
export function isShallow(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_CANONICAL_DEPTH) return false;
  for (const item of Array.isArray(value) ? value : Object.values(value)) if (!isShallow(item, depth + 1)) return false;
  return true;
}
