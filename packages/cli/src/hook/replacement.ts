/**
 * One text in place of what a tool brought, in the shape of what it brought: Claude Code drops a replacement that is not what
 * the tool could have returned, and shows the original.
 */

/** Members that say what kind of thing the rest is: another word there would be no shape of the tool's. */
const KEPT: ReadonlySet<string> = new Set(['type', 'mode', 'filePath', 'file_path', 'url', 'query', 'command']);
/** Members that hold what the model reads, best first. */
const SHOWN: readonly string[] = ['stdout', 'content', 'text', 'result', 'output'];
/** Deeper responses are replaced by the text alone. */
const MAX_DEPTH = 64;

/** Every text of `response` but those of `KEPT` is gone, and `text` stands where the model reads first. Lists are emptied, unless the text has to stand in one. */
export function inShapeOf(response: unknown, text: string): unknown {
  const place = placeOf(response, 0);
  if (place === undefined) return typeof response === 'object' && response !== null ? cleared(response, [], text) : text;
  return cleared(response, place, text);
}

type Path = readonly (string | number)[];

/** Where the text goes; undefined: nothing in it is a text that may be replaced. */
function placeOf(value: unknown, depth: number): Path | undefined {
  if (typeof value === 'string') return [];
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return undefined;
  const members = Array.isArray(value) ? [...value.entries()] : ranked(value);
  for (const [member, item] of members) {
    const inner = placeOf(item, depth + 1);
    if (inner !== undefined) return [member, ...inner];
  }
  return undefined;
}

function ranked(value: object): readonly (readonly [string, unknown])[] {
  const open = Object.entries(value).filter(([member]) => !KEPT.has(member));
  const rank = (member: string): number => (SHOWN.includes(member) ? SHOWN.indexOf(member) : SHOWN.length);
  return open.toSorted(([a], [b]) => rank(a) - rank(b));
}

function cleared(value: unknown, place: Path | undefined, text: string): unknown {
  if (typeof value === 'string') return place === undefined ? '' : text;
  if (typeof value !== 'object' || value === null) return value;
  const [member, ...inner] = place ?? [];
  if (Array.isArray(value)) return member === undefined ? [] : [cleared(value[Number(member)], inner, text)];
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      if (KEPT.has(name) && typeof item === 'string') return [name, item];
      return [name, cleared(item, name === member ? inner : undefined, text)];
    }),
  );
}
