/** Receipts that show chosen fields only: each with its salt, of all others nothing but a digest. */
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { memberDigest, memberPointer, memberSalt, sectionPointer } from '../ledger/commitment.ts';
import type { Opening } from '../ledger/entry.ts';
import { printable } from '../verify/shapes.ts';
import type { ReceiptTarget } from './find.ts';
import type { Disclosure } from './format.ts';
import { buildReceipt, type MadeReceipt, openingOf } from './make.ts';

/** Pointers that are asked for at once. */
export const MAX_POINTERS = 1000;

/**
 * Makes a receipt that discloses single fields, of the entry or of the outcome that travels with it.
 *
 * @param pointers - RFC 6901: `/args/path` for a member of a section that is an object, `/reason` for any other section.
 * @throws {CountersignError} `OPENING_NOT_FOUND` when one of them is not there, or was forgotten; else as `makeReceipt`.
 */
export function discloseFields(path: string, target: ReceiptTarget, pointers: readonly string[]): MadeReceipt {
  if (pointers.length === 0 || pointers.length > MAX_POINTERS)
    throw new CountersignError('OPTIONS_INVALID', `name 1 to ${MAX_POINTERS} fields to disclose`);
  const left = new Set(pointers);
  const made = buildReceipt(path, target, (row) => {
    const opening = openingOf(row);
    return opening === undefined ? undefined : disclosure(opening, left);
  });
  const [first] = left;
  if (first !== undefined)
    throw new CountersignError(
      'OPENING_NOT_FOUND',
      `there is no field ${printable(first)} to disclose: see what there is with \`countersign show\`; it may have been forgotten`,
    );
  return made;
}

/** @param left - pointers still looked for; those found are taken out. */
function disclosure({ key, sections }: Opening, left: Set<string>): Disclosure | undefined {
  const shown = Object.entries(sections).flatMap(([section, value]) => {
    const fields = fieldsOf(section, value);
    const chosen = fields.filter(({ pointer }) => left.delete(pointer));
    if (chosen.length === 0) return [];
    const open = chosen.toSorted(byPointer).map((field) => ({ ...field, salt: memberSalt(key, field.pointer) }));
    const rest = fields.filter((field) => !chosen.includes(field));
    return [[section, { fields: open, withheld: rest.map(({ pointer, value }) => memberDigest(key, pointer, value)).toSorted() }] as const];
  });
  return shown.length === 0 ? undefined : { disclosed: Object.fromEntries(shown) };
}

type Field = { readonly pointer: string; readonly value: Json };

/** What the section was committed to by: its members, or the whole of anything that is no object. */
function fieldsOf(section: string, value: Json): readonly Field[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [{ pointer: sectionPointer(section), value }];
  return Object.entries(value as { readonly [name: string]: Json }).map(([name, member]) => ({
    pointer: memberPointer(section, name),
    value: member,
  }));
}

function byPointer(a: Field, b: Field): number {
  return a.pointer < b.pointer ? -1 : 1;
}
