/** What differs between two versions of arguments, value by value. */
import type { Json } from '../call.ts';

export interface ArgumentChange {
  /** JSON pointer; empty for the whole. */
  readonly pointer: string;
  /** Absent: added. */
  readonly before?: Json;
  /** Absent: removed. */
  readonly after?: Json;
}

/** More are counted, not listed. */
export const MAX_CHANGES = 200;

/** In the order of `before`, what was added last. Members are compared by name, items of lists by position. */
export function argumentChanges(before: Json, after: Json): { readonly changes: readonly ArgumentChange[]; readonly more: number } {
  const changes: ArgumentChange[] = [];
  let more = 0;
  const open: Pair[] = [{ pointer: '', before, after }];
  // Without recursion: what was typed may be nested to any depth.
  for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
    if (Object.is(pair.before, pair.after)) continue;
    const members = membersOf(pair);
    if (members !== undefined) open.push(...members.toReversed());
    else if (changes.length >= MAX_CHANGES) more++;
    else changes.push(changeOf(pair));
  }
  return { changes, more };
}

interface Pair {
  readonly pointer: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

/** Undefined when one of the two, or the kind of both, is no container to look into. */
function membersOf({ pointer, before, after }: Pair): readonly Pair[] | undefined {
  if (!isContainer(before) || !isContainer(after) || Array.isArray(before) !== Array.isArray(after)) return undefined;
  const [was, is] = [new Map<string, Json>(Object.entries(before)), new Map<string, Json>(Object.entries(after))];
  return [...new Set([...was.keys(), ...is.keys()])].map((key) => ({
    pointer: `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
    before: was.get(key),
    after: is.get(key),
  }));
}

function isContainer(value: Json | undefined): value is Extract<Json, object> {
  return typeof value === 'object' && value !== null;
}

function changeOf({ pointer, before, after }: Pair): ArgumentChange {
  return { pointer, ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
}

/** How much two texts have in common at both ends, in code units; no end lies within a character. */
export function commonEnds(one: string, other: string): { readonly start: number; readonly end: number } {
  const most = Math.min(one.length, other.length);
  let start = 0;
  while (start < most && one.charCodeAt(start) === other.charCodeAt(start)) start++;
  if (start > 0 && isHigh(one.charCodeAt(start - 1))) start--;
  let end = 0;
  while (end < most - start && one.charCodeAt(one.length - 1 - end) === other.charCodeAt(other.length - 1 - end)) end++;
  if (end > 0 && isLow(one.charCodeAt(one.length - end))) end--;
  return { start, end };
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
