/**
 * The name that each member of an object has in its shown view.
 *
 * Those that kept theirs are known by it, and the others by their order among themselves: names that look like numbers stand
 * first in an object, and a replaced one does not look like one any more.
 *
 * @returns undefined when `after` is no view of `before`.
 */
export function renamedMembers(before: object, after: object): ReadonlyMap<string, string> | undefined {
  const names = Object.keys(before);
  const news = Object.keys(after).filter((name) => !Object.hasOwn(before, name));
  const gone = names.filter((name) => !Object.hasOwn(after, name));
  if (news.length !== gone.length) return undefined;
  const replaced = new Map(gone.map((name, i) => [name, news[i] as string]));
  return new Map(names.map((name) => [name, replaced.get(name) ?? name]));
}
