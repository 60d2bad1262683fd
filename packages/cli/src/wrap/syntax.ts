/**
 * Text with the places of its values: what wrapping an entry needs of JSON and TOML alike. Changes are splices of the text, so
 * that everything they do not name stays byte for byte.
 */

import { FileRefusedError } from '../failure.ts';

export type Place = { readonly start: number; readonly end: number };

export type Node =
  | (Place & { readonly kind: 'text'; readonly value: string })
  | (Place & { readonly kind: 'list'; readonly items: readonly Node[] })
  | (Place & { readonly kind: 'table'; readonly members: readonly Member[] })
  /** A number, a boolean, a date, null: `value` only tells them apart. */
  | (Place & { readonly kind: 'other'; readonly value: string });

export interface Member {
  /** Chosen by whoever wrote the file; never index a plain object with it. */
  readonly key: string;
  /** Where the key is written. TOML may spell one table in several places. */
  readonly keys: readonly [Place, ...Place[]];
  /** From the first byte of the key to the last of the value; undefined where that is not one stretch of text. */
  readonly whole: Place | undefined;
  /** Stands between braces, not on lines of a `[table]`. JSON always does. */
  readonly isInline: boolean;
  readonly value: Node;
}

/** `text` in the place of what stands between the two offsets. */
export interface Splice extends Place {
  readonly text: string;
}

export interface Syntax {
  /** @throws {FileRefusedError} with line and column. */
  parse(text: string, path: string): Node;
  quote(value: string): string;
  /** A key as it is written, quoted where it must be. */
  key(name: string): string;
  /** Members in the place of one that is one stretch of text, laid out as it is. Values are written already. */
  members(text: string, like: Member, members: readonly (readonly [key: string, value: string])[]): string;
  /** New members behind one. */
  insertAfter(text: string, member: Member, members: readonly (readonly [key: string, value: string])[]): Splice;
  /** Takes away what `insertAfter` put behind `before`; undefined when something else stands between the two by now. */
  removeAfter(text: string, before: Member, removed: Member): Splice | undefined;
}

export function memberOf(node: Node | undefined, key: string): Member | undefined {
  return node?.kind === 'table' ? node.members.find((each) => each.key === key) : undefined;
}

/** @param splices - must not overlap. */
export function spliced(text: string, splices: readonly Splice[]): string {
  let out = '';
  let at = 0;
  for (const { start, end, text: fresh } of splices.toSorted((one, other) => one.start - other.start || one.end - other.end)) {
    out += text.slice(at, start) + fresh;
    at = end;
  }
  return out + text.slice(at);
}

export function textOf(text: string, { start, end }: Place): string {
  return text.slice(start, end);
}

/** Texts put before the first item of a list, laid out as the list is. */
export function prepended(text: string, list: Node & { readonly kind: 'list' }, items: readonly string[]): Splice {
  const [first] = list.items;
  if (first === undefined) return { start: list.start + 1, end: list.start + 1, text: items.join(', ') };
  const gap = text.slice(list.start + 1, first.start);
  // A comment before the first item stays there; ours follow it on lines of their own.
  const plain = /^\s*$/.test(gap) ? gap : `${gap.includes('\r\n') ? '\r' : ''}${/\n[ \t]*$/.exec(gap)?.[0] ?? ' '}`;
  return { start: first.start, end: first.start, text: items.map((item) => `${item},${plain === '' ? ' ' : plain}`).join('') };
}

/** Takes the first `count` items away: the inverse of `prepended`. */
export function withoutFirst(text: string, list: Node & { readonly kind: 'list' }, count: number): Splice {
  const [first, next, last] = [list.items[0], list.items[count], list.items[count - 1]];
  if (first === undefined || last === undefined) return { start: list.start + 1, end: list.start + 1, text: '' };
  if (next !== undefined) return { start: first.start, end: next.start, text: '' };
  // A formatter may have put a comma behind the last one.
  const comma = /^\s*,/.exec(text.slice(last.end, list.end))?.[0] ?? '';
  return { start: first.start, end: last.end + comma.length, text: '' };
}

/** Runs what walks a tree as deep as the file's author likes. */
export function withinStack<T>(path: string, walk: () => T): T {
  try {
    return walk();
  } catch (cause) {
    if (cause instanceof RangeError) throw new FileRefusedError(`${path} is nested too deeply`, 'correct the file; nothing was changed');
    throw cause;
  }
}
