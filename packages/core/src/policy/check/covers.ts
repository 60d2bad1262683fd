/**
 * Whether one tool pattern matches everything another does. Never says yes wrongly; may say no where several patterns
 * only together cover one.
 *
 * Both are read as sets of tools, as the table in `patterns.ts` has them: without a server or with one, and a name glob
 * whose `*` stands for anything or for anything but `/`. A glob covers another exactly when it matches its text with each
 * `*` replaced by a character no pattern can hold: such a character is taken up by a `*` only, and that takes anything.
 */
import type { PatternReach } from '../patterns.ts';

/** A pattern with the reach its rule gives it. */
export interface ReachingPattern {
  readonly source: string;
  readonly reach: PatternReach;
}

export function patternCovers(wider: ReachingPattern, narrower: ReachingPattern): boolean {
  return setsCover(toolSets(wider), toolSets(narrower));
}

/** The same of what `toolSets` made of them, for those who compare many. */
export function setsCover(wider: readonly ToolSet[], narrower: readonly ToolSet[]): boolean {
  return narrower.every((set) => wider.some((other) => setCovers(other, set)));
}

export interface ToolSet {
  /** Glob of the server; undefined = tools without one. */
  readonly server: string | undefined;
  readonly name: string;
  /** Whether `*` in the name stands for `/` too. */
  readonly crossesSlash: boolean;
}

export function toolSets({ source, reach }: ReachingPattern): readonly ToolSet[] {
  const slash = source.indexOf('/');
  const server = slash < 0 ? undefined : source.slice(0, slash);
  const name = slash < 0 ? source : source.slice(slash + 1);
  if (reach === 'narrow') return [{ server, name, crossesSlash: false }];
  if (server === undefined) return ['*', undefined].map((each) => ({ server: each, name, crossesSlash: true }));
  return [
    { server, name, crossesSlash: true },
    { server: undefined, name: source, crossesSlash: true },
    ...(server === '*' ? [{ server: undefined, name, crossesSlash: true }] : []),
  ];
}

function setCovers(wider: ToolSet, narrower: ToolSet): boolean {
  if (narrower.server === undefined || wider.server === undefined) {
    if (narrower.server !== wider.server) return false;
  } else if (!globCovers(wider.server, narrower.server)) return false;
  // A `*` that takes slashes is never within one that does not.
  if (!wider.crossesSlash && narrower.crossesSlash && narrower.name.includes('*')) return false;
  return wider.crossesSlash ? globCovers(wider.name, narrower.name) : segmentsCover(wider.name, narrower.name);
}

function segmentsCover(wider: string, narrower: string): boolean {
  const [wide, narrow] = [wider.split('/'), narrower.split('/')];
  return wide.length === narrow.length && wide.every((segment, index) => globCovers(segment, narrow[index] ?? ''));
}

/** Patterns refuse control characters. */
const STAR = '\u0001';

function globCovers(wider: string, narrower: string): boolean {
  const text = narrower.replaceAll('*', STAR);
  const [head = '', ...rest] = wider.split('*');
  const tail = rest.pop();
  if (tail === undefined) return text === head;
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  const end = text.length - tail.length;
  let at = head.length;
  for (const literal of rest) {
    const found = text.indexOf(literal, at);
    if (found < 0 || found + literal.length > end) return false;
    at = found + literal.length;
  }
  return true;
}
