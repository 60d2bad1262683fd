/**
 * A list of path patterns, as the predecessor reads them. A path matches when the pattern matches all of it (`*` passes slashes), or
 * when the pattern, segment by segment, matches its beginning: `/home/<star>/.ssh` holds for everything below such a folder.
 */
import { compileGlob, type Glob } from './glob.ts';

/** The pattern of the list that holds for a path, as written. */
export type PathPatterns = (path: string) => string | undefined;

interface Segmented {
  readonly pattern: string;
  readonly whole: Glob;
  readonly segments: readonly Glob[];
}

/** @param expand - makes a pattern absolute, in the spelling paths are compared in. */
export function compilePaths(patterns: readonly string[], expand: (pattern: string) => string): PathPatterns {
  /** What ends in `/**` or has no wildcard holds for a folder: found by the folders of a path, however many patterns there are. */
  const folders = new Map<string, string>();
  const within = new Map<string, string>();
  /** By length: whether a folder that is so long is among them. Most folders of a path need not be looked up. */
  const lengths: boolean[] = [];
  const others: Segmented[] = [];
  for (const pattern of patterns) {
    const text = expand(pattern);
    const below = /^([^*?[]*[^*?[/])\/\*{1,2}$/.exec(text)?.[1];
    if (!/[*?[]/.test(text)) folders.set(text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text, pattern);
    else if (below !== undefined) within.set(below, pattern);
    else others.push({ pattern, whole: compileGlob(text), segments: text.split('/').map(compileGlob) });
  }
  for (const folder of [...folders.keys(), ...within.keys()]) {
    while (lengths.length <= folder.length) lengths.push(false);
    lengths[folder.length] = true;
  }
  return (path) => {
    if (path.length < lengths.length && lengths[path.length] === true) {
      const pattern = folders.get(path);
      if (pattern !== undefined) return pattern;
    }
    for (
      let slash = lengths.length === 0 ? -1 : path.lastIndexOf('/');
      slash >= 0;
      slash = slash === 0 ? -1 : path.lastIndexOf('/', slash - 1)
    ) {
      const length = slash === 0 ? 1 : slash;
      if (length >= lengths.length || lengths[length] !== true) continue;
      const folder = path.slice(0, length);
      const pattern = folders.get(folder) ?? within.get(folder);
      if (pattern !== undefined) return pattern;
    }
    return others.length === 0 ? undefined : others.find((other) => holds(other, path))?.pattern;
  };
}

function holds({ whole, segments }: Segmented, path: string): boolean {
  if (whole(path)) return true;
  const parts = path.split('/');
  return parts.length >= segments.length && segments.every((segment, index) => segment(parts[index] ?? ''));
}
