/** Editing arguments on a terminal: one value at a time, by its JSON pointer. */
import type { Json } from '../call.ts';

/** Longest line that is taken for an edit: a cut one could say something else. */
export const MAX_EDIT_LINE_CHARS = 1000;

/** The arguments with one change made, or what is wrong with the line. */
export type LineEdit = { readonly args: Json } | { readonly fault: string };

/**
 * `/amount 70` sets a value, `/note` alone takes it out. Names with spaces cannot be written here.
 *
 * @param line - typed by the person, without the `e` in front.
 */
export function editByLine(args: Json, line: string): LineEdit {
  const [, pointer = '', text = ''] = /^(\S*)\s*([\s\S]*)$/.exec(line.trim()) ?? [];
  if (!pointer.startsWith('/')) return { fault: 'e needs a JSON pointer and a JSON value: e /amount 70' };
  let value: Json | undefined;
  try {
    value = text === '' ? undefined : (JSON.parse(text) as Json);
  } catch {
    return { fault: 'the value is not JSON: texts stand in double quotes' };
  }
  const names = pointer
    .slice(1)
    .split('/')
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  return change(args, names, value) ?? { fault: 'nothing stands at that pointer' };
}

function change(at: Json, [name = '', ...rest]: readonly string[], value: Json | undefined): { readonly args: Json } | undefined {
  if (typeof at !== 'object' || at === null) return undefined;
  const entries = new Map(Object.entries(at));
  const isNew = !entries.has(name);
  if (isNew && (rest.length > 0 || value === undefined || name === '__proto__')) return undefined;
  // One past the end adds an item.
  if (Array.isArray(at) && isNew && name !== String(at.length)) return undefined;
  const inner = rest.length === 0 ? value : change(entries.get(name) as Json, rest, value)?.args;
  if (inner === undefined && rest.length > 0) return undefined;
  if (inner === undefined) entries.delete(name);
  else entries.set(name, inner);
  return { args: Array.isArray(at) ? [...entries.values()] : Object.fromEntries(entries) };
}
