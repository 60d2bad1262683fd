/** Whether a path that names something else leads to a protected file after all: symbolic and hard links. */
import { realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { foldText, MAX_PATH_CHARS, pathReadings, spellings } from './own-file-text.ts';

/** Paths looked up in the file system per call. Past it, texts are still searched for mentions. */
export const MAX_LINK_LOOKUPS = 32;
/** Other schemes than file: name no local path. */
const REMOTE_URL = /^[a-z][a-z0-9+.-]+:\/\//i;

interface Target {
  readonly path: string;
  readonly folded: string;
  readonly isFolder: boolean;
}

export interface LinkChecker {
  /** Cheap: whether the text has a separator and could be a local path. */
  mayBePath(text: string): boolean;
  /** Looks up at most `MAX_LINK_LOOKUPS` of these, the most path-like first. */
  anyLeadsHere(texts: readonly string[]): boolean;
}

export function linkChecker(targets: readonly Target[]): LinkChecker {
  return {
    mayBePath: (text) =>
      text.length < MAX_PATH_CHARS && (text.includes('/') || text.includes('\\')) && (!REMOTE_URL.test(text) || /^file:/i.test(text)),
    anyLeadsHere: (texts) => {
      if (texts.length === 0) return false;
      const paths = [...new Set(texts)].sort((left, right) => rank(left) - rank(right)).flatMap(readings);
      const looked = [...new Set(paths)].slice(0, MAX_LINK_LOOKUPS);
      return looked.some((path) => leadsHere(path, targets));
    },
  };
}

function leadsHere(path: string, targets: readonly Target[]): boolean {
  const real = realPath(path);
  if (real === undefined) return false;
  const stats = statsOf(path);
  const hasOtherNames = stats?.isFile() === true && stats.nlink > 1;
  // An ordinary path leads to itself, and the text was compared already.
  if (real === path && !hasOtherNames) return false;
  const folded = foldText(real);
  return targets.some((target) => {
    if (folded === target.folded || (target.isFolder && folded.startsWith(`${target.folded}/`))) return true;
    return hasOtherNames && isSameFile(stats, statsOf(target.path));
  });
}

function isSameFile(one: Stats, other: Stats | undefined): boolean {
  return other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

/** Real path of a file, or of its folder plus its name when only the folder exists. */
export function realPath(path: string): string | undefined {
  const own = existingPath(path);
  if (own !== undefined) return own;
  const folder = existingPath(dirname(path));
  return folder === undefined ? undefined : join(folder, basename(path));
}

function existingPath(path: string): string | undefined {
  // Arguments often name paths that do not exist here: asking first costs a fraction of the error it saves.
  if (statsOf(path) === undefined) return undefined;
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function readings(text: string): readonly string[] {
  return spellings(text).flatMap(pathReadings);
}

/** Rooted and dotted paths first: ordinary text with a slash in it must not use up the lookups. */
function rank(text: string): number {
  if (/^(?:[/\\~]|file:|\.{1,2}[/\\])/i.test(text)) return 0;
  return /\s/.test(text) ? 2 : 1;
}
