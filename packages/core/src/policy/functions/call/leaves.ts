/** The texts and numbers of a call's arguments, each with the words of the member it stands under. */
import { nameWords } from '../../../redact/key-names.ts';
import { ConditionFault } from '../../condition-value.ts';
import { spend } from '../../evaluation.ts';

/** More texts and numbers than this in one call are a fault. */
export const MAX_LEAVES = 100_000;
const MAX_DEPTH = 64;
const LEAVES_PER_STEP = 16;

export interface Leaf {
  /** Member name as written; that of the list for its items; '' at the top. */
  readonly name: string;
  /** Words of that name, in lower case. */
  readonly words: readonly string[];
  readonly value: string | number;
  /** The object it stands in; undefined for a value that is no object. */
  readonly holder: ReadonlyMap<string, unknown> | undefined;
  /** The list it is an item of. */
  readonly list: readonly unknown[] | undefined;
}

const known = new WeakMap<object, readonly Leaf[]>();

/**
 * All leaves, in order. Arguments are walked once, however many rules ask.
 *
 * @param args - as conditions see them: maps, lists, texts, numbers.
 */
export function leavesOf(args: unknown): readonly Leaf[] {
  let leaves = typeof args === 'object' && args !== null ? known.get(args) : undefined;
  if (leaves === undefined) {
    const found: Leaf[] = [];
    walk(args, { name: '', words: [], holder: undefined, list: undefined }, found, 0);
    leaves = found;
    if (typeof args === 'object' && args !== null) known.set(args, leaves);
  }
  spend(1 + leaves.length / LEAVES_PER_STEP);
  return leaves;
}

type Place = Omit<Leaf, 'value'>;

function walk(value: unknown, place: Place, found: Leaf[], depth: number): void {
  if (typeof value === 'string' || typeof value === 'number') {
    if (found.length >= MAX_LEAVES) throw new ConditionFault(`the arguments hold more than ${MAX_LEAVES} texts and numbers`);
    found.push({ ...place, value });
    return;
  }
  if (depth >= MAX_DEPTH) throw new ConditionFault(`the arguments are nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) {
    for (const item of value) walk(item, { ...place, list: value }, found, depth + 1);
    return;
  }
  if (!(value instanceof Map)) return;
  for (const [name, item] of value as ReadonlyMap<string, unknown>)
    walk(item, { name, words: nameWords(name), holder: value, list: undefined }, found, depth + 1);
}
